//go:build linux

package load_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/netparts/netparts/internal/bench/load"
)

var request = []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")

// openHTTP opens two connections to a server with a handler.
func openHTTP(t *testing.T, h http.HandlerFunc) (*load.HTTP, error) {
	t.Helper()
	return openMany(t, 2, h)
}

// openMany opens so many connections.
func openMany(t *testing.T, count int, h http.HandlerFunc) (*load.HTTP, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	conns, err := load.OpenHTTP(srv.Listener.Addr().String(), count, request, func(r *http.Response, body []byte) error {
		if r.StatusCode != http.StatusOK || string(body) != "the answer" {
			return fmt.Errorf("%s: %q", r.Status, body)
		}
		return nil
	})
	if err == nil {
		t.Cleanup(func() {
			if err := conns.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return conns, err
}

func TestHTTP(t *testing.T) {
	var seconds atomic.Int64
	conns, err := openHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		// What a date is does not matter, as long as it is as long.
		w.Header().Set("Date", fmt.Sprintf("Mon, 02 Mar 2026 10:00:%02d GMT", seconds.Add(1)))
		_, err := io.WriteString(w, "the answer")
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	done, err := conns.Run(25)
	if err != nil || done.Count != 25 || done.Took <= 0 {
		t.Errorf("Run(25) = %+v, %v", done, err)
	}
	if n := seconds.Load(); n != 26 {
		t.Errorf("%d requests, want 26", n)
	}
}

// With that many the server is waited for meanwhile, by a request that it understands.
func TestHTTPOfManyConnections(t *testing.T) {
	const count = 600
	var requests atomic.Int64
	conns, err := openMany(t, count, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if _, err := io.WriteString(w, "the answer"); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	before := requests.Load()
	done, err := conns.Run(count)
	if err != nil || done.Count != count || requests.Load() != before+count {
		t.Errorf("Run(%d) = %+v, %v, after %d requests more", count, done, err, requests.Load()-before)
	}
}

func TestHTTPNoticesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, later, want string }{
		{"another body", "The answer", "came back"},
		{"a longer body", "the answer, and more", "came back"},
		{"the end of the connection", "", "closed the connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var count atomic.Int64
			conns, err := openHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
				body := "the answer"
				if count.Add(1) > 5 {
					if body = tt.later; body == "" {
						panic(http.ErrAbortHandler)
					}
				}
				_, err := io.WriteString(w, body)
				if err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conns.Run(20); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestHTTPChecksTheFirstResponse(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a status": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "the answer", http.StatusTeapot) },
		"no date": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			_, err := io.WriteString(w, "the answer")
			if err != nil {
				t.Error(err)
			}
		},
		"no response": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := openHTTP(t, h); err == nil || errors.Is(err, load.ErrSilent) {
				t.Errorf("OpenHTTP: %v", err)
			}
		})
	}
}
