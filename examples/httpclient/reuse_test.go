package httpclient_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// drainAndClose closes the body of a response of which the rest is of no interest. If
// that is at most limit bytes, it is read before, so that the connection can serve the next
// request: with HTTP/1.1 that needs a body that was read to its end. A longer one is not
// worth it, and the connection is closed. How long this may take is for the context of
// the request to say.
func drainAndClose(body io.ReadCloser, limit int64) error {
	// One more than the limit, since the end shows only behind the last byte. Whatever
	// goes wrong here costs no more than the connection.
	_, _ = io.CopyN(io.Discard, body, limit+1)
	return body.Close()
}

// reused sends a request, and reports whether a connection of an earlier one served it.
func reused(client *http.Client, url string) (resp *http.Response, reused bool, err error) {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
	})
	resp, err = do(ctx, client, http.MethodGet, url, nil)
	return resp, reused, err
}

// Close alone releases what a body holds. It does not read what is left of a long one, so
// the connection ends with it, and the next request has to dial. After a body that was
// drained it does not.
func Example_reuse() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 1<<20))
	}))
	defer server.Close()
	client := server.Client()
	client.Timeout = time.Minute

	for _, done := range []string{"closed", "drained", "read"} {
		resp, again, err := reused(client, server.URL)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("on a connection that served before: %v; then the body is %s\n", again, done)
		switch done {
		case "closed":
			err = resp.Body.Close()
		case "drained":
			err = drainAndClose(resp.Body, 1<<20)
		case "read":
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// on a connection that served before: false; then the body is closed
	// on a connection that served before: false; then the body is drained
	// on a connection that served before: true; then the body is read
}

// Which rest costs the connection: with HTTP/1.1 each that is longer than what is drained.
// With HTTP/2 none does, as the rest of a stream is in nobody's way. (Whether Close by
// itself reads a short rest is a matter of the release; that of Go 1.26 reads none.)
func TestReuse(t *testing.T) {
	const long = 512 << 10
	for _, tt := range []struct {
		name  string
		size  int // of the body
		drain int64
		reuse bool // with HTTP/1.1
	}{
		{"nothing to read", 0, -1, true},
		{"closed unread", long, -1, false},
		{"a byte to drain and no more", long, 1, false},
		{"a short one is drained", 100, 1 << 10, true},
		{"as long as the limit", 64 << 10, 64 << 10, true},
		{"longer than the limit", long, long - 2, false},
		{"a long one is drained", long, long, true},
	} {
		for _, version := range versions {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, chunked %v", tt.name, version.name, chunked), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						client := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
							if !chunked {
								w.Header().Set("Content-Length", fmt.Sprint(tt.size))
							}
							io.WriteString(w, strings.Repeat("x", tt.size)) // fails if the client goes
						}), version.set)
						for i := range 3 {
							resp, got, err := reused(client, memory)
							if err != nil {
								t.Fatal(err)
							}
							if want := i > 0 && (tt.reuse || version.name == "HTTP/2"); got != want {
								t.Errorf("request %d: reused %v, want %v", i, got, want)
							}
							if tt.drain < 0 {
								err = resp.Body.Close()
							} else {
								err = drainAndClose(resp.Body, tt.drain)
							}
							if err != nil {
								t.Error(err)
							}
							synctest.Wait() // a connection that closes is out of the way
						}
					})
				})
			}
		}
	}
}

// Each connection that stays open costs both ends something. Who has three things to ask of a
// server, and then nothing more for long, lets the last request say so: its connection
// ends with its response. A client of very many servers does that with each. Without
// keep-alive in the whole client (DisableKeepAlives) all three would dial.
func TestCloseAfterTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened, closed atomic.Int32
		watch := func(s *http.Server, _ *http.Transport) {
			s.ConnState = func(_ net.Conn, state http.ConnState) {
				switch state {
				case http.StateNew:
					opened.Add(1)
				case http.StateClosed:
					closed.Add(1)
				}
			}
		}
		var told []bool // by the header of each request
		client := inMemory(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			told = append(told, r.Close)
		}), watch)
		const last = 3
		for i := 1; i <= last+1; i++ {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, memory, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Close = i == last
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if err := drainAndClose(resp.Body, 1<<10); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			wantOpened, wantClosed := int32(1), int32(0)
			if i >= last {
				wantClosed = 1
			}
			if i > last {
				wantOpened = 2 // the request after the last one dials
			}
			if opened.Load() != wantOpened || closed.Load() != wantClosed {
				t.Errorf("after request %d: %d opened, %d closed, want %d and %d", i, opened.Load(), closed.Load(), wantOpened, wantClosed)
			}
		}
		if got := fmt.Sprint(told); got != "[false false true false]" {
			t.Errorf("the server was told to close: %v", got)
		}
	})
}
