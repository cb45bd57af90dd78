package httpmw_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// A handler that has to wait for something slow gives up with its request's context, and the
// client gets an answer in any case.
func ExampleTimeout() {
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Hour): // what it waits for
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
	limit := httpmw.Timeout(time.Millisecond, &httpmw.TimeoutOptions{
		Status: http.StatusGatewayTimeout,
		Body:   "Timed out while reading response",
		// WebSockets and the like have no end. They are told by their path, since clients
		// can send any header.
		Skip: func(r *http.Request) bool { return r.URL.Path == "/socket" },
	})

	srv := httptest.NewServer(limit(slow))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status)
	fmt.Println(string(body))
	// Output:
	// 504 Gateway Timeout
	// Timed out while reading response
}
