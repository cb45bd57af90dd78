package httpmw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/netparts/netparts/httpmw"
)

// What all handlers of a program have in common stands in one chain. The first middleware
// sees a request first.
func ExampleChain() {
	common := httpmw.Chain(
		httpmw.RejectMethods(http.MethodTrace),
		httpmw.NoSniff,
		httpmw.DrainAndClose(nil),
	)
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "Hello, friend!")
	})
	handler := common(mux)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/hello", nil))
	fmt.Println(w.Code, w.Body, w.Header().Get("X-Content-Type-Options"))
	// Output:
	// 200 Hello, friend! nosniff
}

// A header that every response should have, if its handler does not say otherwise.
func ExampleSetHeader() {
	handler := httpmw.SetHeader("Cache-Control", "no-store")(http.NotFoundHandler())

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Header().Get("Cache-Control"))
	// Output:
	// no-store
}

// What users have uploaded must not become a script because it looks like one.
func ExampleNoSniff() {
	handler := httpmw.NoSniff(http.FileServer(http.Dir("testdata")))

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/missing", nil))
	fmt.Println(w.Code, w.Header().Get("X-Content-Type-Options"))
	// Output:
	// 404 nosniff
}
