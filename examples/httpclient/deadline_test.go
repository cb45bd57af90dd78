package httpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is a handler that never answers. It watches the context of the request, which ends
// when the client has gone: one that does not would never end, and its server neither.
func stuck(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// stuckBody is one that stops amid its answer.
func stuckBody(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	io.WriteString(w, "the first part")
	if err := http.NewResponseController(w).Flush(); err != nil {
		return // the client has gone
	}
	<-r.Context().Done()
}

// Nothing limits how long a request may take unless one says so: after a day this one still
// waits, and http.Get would wait with it for ever. In the bubble the day takes no time.
func TestRequestWithoutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := inMemory(t, http.HandlerFunc(stuck))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			resp, err := do(ctx, client, http.MethodGet, memory, nil)
			if err == nil {
				err = resp.Body.Close()
			}
			ended <- err
		}()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("the request ended within a day: %v", err)
		default:
		}
		cancel() // the only thing that ends it
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v, want %v", err, context.Canceled)
		}
	})
}

// The context of a request limits all of it, from dialing to the last byte of the body.
// The time runs from the moment when the context is made.
func Example_deadline() {
	server := httptest.NewServer(http.HandlerFunc(stuck))
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err == nil {
		resp.Body.Close()
	}
	fmt.Println("the time is up:", errors.Is(err, context.DeadlineExceeded))
	// Output:
	// the time is up: true
}

// The deadline strikes when it is due, and as the same error, whether the header is
// still to come or the body. So does the Timeout of a client, which is a deadline for each
// of its requests.
func TestDeadline(t *testing.T) {
	const limit = 5 * time.Second
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		begun   bool // the response has
	}{
		"in the headers": {stuck, false},
		"in the body":    {stuckBody, true},
	} {
		for _, version := range versions {
			for _, own := range []bool{true, false} { // a context of its own, or that of the client
				t.Run(fmt.Sprintf("%s, %s, context %v", name, version.name, own), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						client := inMemory(t, tt.handler, version.set)
						ctx := t.Context()
						if own {
							limited, cancel := context.WithTimeout(ctx, limit)
							defer cancel()
							ctx = limited
						} else {
							client.Timeout = limit
						}
						begin := time.Now()
						resp, err := do(ctx, client, http.MethodGet, memory, nil)
						if (err == nil) != tt.begun {
							t.Fatalf("the header: %v", err)
						}
						if err == nil {
							defer resp.Body.Close()
							var part []byte
							part, err = io.ReadAll(resp.Body)
							if string(part) != "the first part" {
								t.Errorf("the body is %q", part)
							}
						}
						if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != limit {
							t.Errorf("%v after %v, want %v after %v", err, took, context.DeadlineExceeded, limit)
						}
					})
				})
			}
		}
	}
}

// A deadline that has passed before anybody reads the body counts, too: who thinks for long
// between the header and the body has spent the time of the body.
func TestDeadlineBeforeTheBodyIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := inMemory(t, http.HandlerFunc(stuckBody))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		resp, err := do(ctx, client, http.MethodGet, memory, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		time.Sleep(time.Minute)
		begin := time.Now()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 0 {
			t.Errorf("%v after %v, want %v at once", err, time.Since(begin), context.DeadlineExceeded)
		}
	})
}
