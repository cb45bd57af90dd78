package httpmw_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// Handlers that look at the start of a body, or at none of it, need not care for the rest.
// Up to 64 KiB are read for the sake of the connection, within a quarter of a second.
func ExampleDrainAndClose() {
	drain := httpmw.DrainAndClose(&httpmw.DrainOptions{MaxBytes: 64 << 10, MaxTime: 250 * time.Millisecond})
	handler := drain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := make([]byte, 5)
		if _, err := io.ReadFull(r.Body, start); err != nil {
			http.Error(w, "too short", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "It begins with %q.", start)
	}))
	srv := httptest.NewServer(handler)
	defer srv.Close()

	resp, err := srv.Client().Post(srv.URL, "text/plain", strings.NewReader("Hello, friend!"))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\nThe connection ends: %v\n", b, resp.Close)
	// Output:
	// It begins with "Hello".
	// The connection ends: false
}

// A handler that reads all of a body should be able to say how much that is. One that is
// announced as longer never gets to it; one that turns out longer is an error when read.
func ExampleMaxBody() {
	handler := httpmw.MaxBody(10)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
			http.Error(w, fmt.Sprintf("more than %d bytes", tooLong.Limit), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "no body", http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, len(b), "bytes")
	}))

	for _, text := range []string{"Hello.", "Hello, friend!"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(text)))
		fmt.Print(w.Code, " ", w.Body)

		r := httptest.NewRequest("POST", "/", strings.NewReader(text))
		r.ContentLength = -1 // as with chunks
		w = httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 6 bytes
	// 200 6 bytes
	// 413 Request Entity Too Large
	// 413 more than 10 bytes
}
