package httpmw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/netparts/netparts/httpmw"
)

// A resource that can be read and added to. HEAD and OPTIONS come with it.
func ExampleMethods() {
	list := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "dust, mop") })
	add := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	handler := httpmw.Methods(map[string]http.Handler{
		http.MethodGet:  list,
		http.MethodPost: httpmw.MaxBody(1 << 20)(add),
	})

	for _, method := range []string{"GET", "POST", "OPTIONS", "DELETE"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, "/chores", nil))
		fmt.Printf("%s %d %q\n", method, w.Code, w.Header().Get("Allow"))
	}
	// Output:
	// GET 200 ""
	// POST 201 ""
	// OPTIONS 204 "GET, HEAD, OPTIONS, POST"
	// DELETE 405 "GET, HEAD, OPTIONS, POST"
}

// A handler that shows requests, as proxies do, must not do so for TRACE: a script could
// read a cookie that it cannot read itself.
func ExampleRejectMethods() {
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "Cookie: %q", r.Header.Get("Cookie")) })
	handler := httpmw.RejectMethods(http.MethodTrace)(show)

	r := httptest.NewRequest(http.MethodTrace, "/", nil)
	r.Header.Set("Cookie", "secret")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 405 Method Not Allowed
}
