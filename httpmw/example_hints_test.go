package httpmw_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"

	"github.com/netparts/netparts/httpmw"
)

// A page that takes a while to make tells first what it will need, so that the browser
// fetches that in the meantime.
func ExampleEarlyHints() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := httpmw.EarlyHints(w, r, httpmw.Hint{Target: "/static/style.css", As: "style"})
		if err != nil {
			log.Print(err) // the page does not depend on it
		}
		fmt.Fprint(w, "a page")
	}))
	defer srv.Close()

	trace := &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			fmt.Println(code, header.Get("Link"))
			return nil
		},
	}
	r, err := http.NewRequest("GET", srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := srv.Client().Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, string(b))
	// Output:
	// 103 </static/style.css>; rel=preload; as=style
	// 200 a page
}

// A program whose clients want pushes over HTTP/2 sends what belongs to a page along.
// All others, like the one here, get the page.
func ExamplePush() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := httpmw.Push(w, r, "/static/style.css", "/static/hiking.svg"); err != nil {
			log.Print(err) // a target is wrong; the page does not depend on it
		}
		fmt.Fprint(w, "a page")
	}))
	defer srv.Close()

	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, string(b))
	// Output:
	// 200 a page
}
