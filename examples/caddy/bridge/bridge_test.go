package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/netparts/netparts/examples/caddy/bridge"
	"github.com/netparts/netparts/httpmw"
)

// noisy is middleware as it is written for net/http.
func noisy(name string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Println(name, "in")
			next.ServeHTTP(w, r)
			fmt.Println(name, "out")
		})
	}
}

// Middleware that exists for net/http serves in Caddy as it is, here two of a kind. The
// outermost sees the request first and the answer last, as in
// one(two(three(handler))).
func Example() {
	outer, inner := bridge.New(noisy("outer")), bridge.New(noisy("inner"))
	hello := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		fmt.Println("handler")
		_, err := io.WriteString(w, "hello")
		return err
	})

	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	err := outer.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return inner.ServeHTTP(w, r, hello)
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.Body)
	// Output:
	// outer in
	// inner in
	// handler
	// inner out
	// outer out
	// hello
}

// serve runs middleware around a handler of Caddy.
func serve(wrap func(http.Handler) http.Handler, r *http.Request, next caddyhttp.HandlerFunc) (*httptest.ResponseRecorder, error) {
	w := httptest.NewRecorder()
	return w, bridge.New(wrap).ServeHTTP(w, r, next)
}

func newRequest(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a/path", nil)
}

// as is the middleware that does nothing.
func as(next http.Handler) http.Handler { return next }

// The error is what Caddy chooses its error routes by, so it must arrive as it is.
func TestErrorIsKept(t *testing.T) {
	want := caddyhttp.Error(http.StatusTeapot, io.ErrUnexpectedEOF)
	w, err := serve(as, newRequest(t), func(http.ResponseWriter, *http.Request) error { return want })
	if err != error(want) || w.Body.Len() != 0 {
		t.Errorf("error %v, body %q, want %v alone", err, w.Body, want)
	}
}

// Middleware that answers itself ends the request, without an error.
func TestMiddlewareAnswers(t *testing.T) {
	refuse := httpmw.RejectMethods(http.MethodGet)
	w, err := serve(refuse, newRequest(t), func(http.ResponseWriter, *http.Request) error {
		t.Error("the next handler was called")
		return nil
	})
	if err != nil || w.Code != http.StatusMethodNotAllowed {
		t.Errorf("%d, %v", w.Code, err)
	}
}

// Middleware may hold state that it makes when it is put together.
func TestWrapIsCalledOnce(t *testing.T) {
	calls := 0
	m := bridge.New(func(next http.Handler) http.Handler {
		calls++
		return next
	})
	for range 3 {
		err := m.ServeHTTP(httptest.NewRecorder(), newRequest(t), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
		if err != nil {
			t.Error(err)
		}
	}
	if calls != 1 {
		t.Errorf("wrap was called %d times", calls)
	}
}

// Requests at the same time each go to their own next handler.
func TestConcurrentRequests(t *testing.T) {
	m := bridge.New(as)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			want := fmt.Errorf("error %d", i)
			err := m.ServeHTTP(httptest.NewRecorder(), newRequest(t), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return want }))
			if err != want {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	wg.Wait()
}

// What Caddy has put into the context reaches the next handler, and so does what the
// middleware has put there. Afterwards the request has its own context again: the one of the
// middleware may be canceled, and Caddy may go on, for example with a page for errors.
func TestContexts(t *testing.T) {
	type key struct{}
	add := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, "added"))
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	r := caddyhttp.PrepareRequest(newRequest(t), caddy.NewReplacer(), nil, nil)
	caddyhttp.SetVar(r.Context(), "name", "value")
	_, err := serve(add, r, func(_ http.ResponseWriter, r *http.Request) error {
		if v := caddyhttp.GetVar(r.Context(), "name"); v != "value" {
			t.Errorf("the variable is %v", v)
		}
		if v := r.Context().Value(key{}); v != "added" {
			t.Errorf("the middleware's value is %v", v)
		}
		caddyhttp.SetVar(r.Context(), "name", "changed")
		return nil
	})
	if err != nil || r.Context().Err() != nil || r.Context().Value(key{}) != nil {
		t.Errorf("error %v; the context of the request is the middleware's: %v", err, r.Context())
	}
	if v := caddyhttp.GetVar(r.Context(), "name"); v != "changed" {
		t.Errorf("the variable is %v afterwards", v)
	}
}

// Placeholders look at the one request that Caddy has made, whatever copies there are. They
// must see what the middleware has changed, and what handlers behind it change.
func TestPlaceholders(t *testing.T) {
	strip := func(next http.Handler) http.Handler { return http.StripPrefix("/a", next) }
	repl := caddy.NewReplacer()
	r := caddyhttp.PrepareRequest(newRequest(t), repl, nil, nil)
	const question = "{http.request.method} {http.request.uri.path}"
	_, err := serve(strip, r, func(_ http.ResponseWriter, r *http.Request) error {
		if got := repl.ReplaceAll(question, ""); got != "GET /path" {
			t.Errorf("inside: %q", got)
		}
		r.Method = http.MethodPut // as the handler "rewrite" does
		return nil
	})
	if got := repl.ReplaceAll(question, ""); err != nil || got != "PUT /path" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// A handler behind the bridge reaches all of http.ResponseController, also through a writer
// of the middleware's.
func TestResponseController(t *testing.T) {
	observe := httpmw.WideEvent(nil, nil)
	m := bridge.New(observe)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := m.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			c := http.NewResponseController(w)
			err := errors.Join(c.SetWriteDeadline(time.Now().Add(time.Minute)), c.SetReadDeadline(time.Now().Add(time.Minute)), c.Flush())
			conn, _, hijackErr := c.Hijack()
			if hijackErr == nil {
				defer conn.Close()
				_, hijackErr = io.WriteString(conn, "0\r\n\r\n") // the end of the chunks
			}
			return errors.Join(err, hijackErr)
		}))
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 0 || resp.StatusCode != http.StatusOK {
		t.Errorf("%d %q, %v", resp.StatusCode, b, err)
	}
}

// Middleware may give up on a handler that does not end. Caddy goes on with the request
// only when that has ended too: its handlers share the request without locks.
func TestWaitsForTheNextHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		impatient := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Second, "too late") }
		begin := time.Now()
		w, err := serve(impatient, newRequest(t), func(http.ResponseWriter, *http.Request) error {
			time.Sleep(time.Minute)
			return io.ErrClosedPipe
		})
		if !errors.Is(err, io.ErrClosedPipe) || w.Code != http.StatusServiceUnavailable || w.Body.String() != "too late" {
			t.Errorf("%d %q, %v", w.Code, w.Body, err)
		}
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("it took %v", d)
		}
	})
}

// A next handler that middleware calls after it has returned is not run at all.
func TestTooLate(t *testing.T) {
	called := make(chan func())
	late := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			go func() { called <- func() { next.ServeHTTP(w, r) } }()
		})
	}
	r := newRequest(t)
	if _, err := serve(late, r, func(http.ResponseWriter, *http.Request) error {
		t.Error("the next handler was called")
		return nil
	}); err != nil {
		t.Error(err)
	}
	(<-called)()
}

// A panic passes, as http.ErrAbortHandler must, and the request has its own context again.
func TestPanic(t *testing.T) {
	r := newRequest(t)
	own := r.Context()
	defer func() {
		if v := recover(); v != http.ErrAbortHandler || r.Context() != own {
			t.Errorf("recovered %v, context %v", v, r.Context())
		}
	}()
	_, err := serve(as, r, func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
	t.Errorf("no panic, but %v", err)
}

// A handler of Caddy may stand inside of middleware, and its error goes to Caddy.
func TestHandler(t *testing.T) {
	refused := bridge.Handler(caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return io.ErrNoProgress }))
	guard := httpmw.RestrictPrefix("p", &httpmw.RestrictOptions{NotFound: refused})
	_, err := serve(guard, newRequest(t), func(http.ResponseWriter, *http.Request) error {
		t.Error("the next handler was called")
		return nil
	})
	if err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
}

// Middleware that passes on a request of its own making has lost the way back. That is a
// fault of the program, and the client gets a 500 rather than nothing.
func TestLostRequest(t *testing.T) {
	lose := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.Background()))
		})
	}
	w, err := serve(lose, newRequest(t), func(http.ResponseWriter, *http.Request) error {
		t.Error("the next handler was called")
		return nil
	})
	if err != nil || w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "Internal Server Error") {
		t.Errorf("%d %q, %v", w.Code, w.Body, err)
	}
}

// Behind the bridge a Handler is not inside of middleware any more. It must not wait for the
// handler that it is called by.
func TestHandlerBehindTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bridge.Handler(caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			t.Error("the handler was called")
			return nil
		}))
		w, err := serve(as, newRequest(t), func(w http.ResponseWriter, r *http.Request) error {
			h.ServeHTTP(w, r)
			return nil
		})
		if err != nil || w.Code != http.StatusInternalServerError {
			t.Errorf("%d, %v", w.Code, err)
		}
	})
}
