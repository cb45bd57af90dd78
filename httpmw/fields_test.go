package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// wideRequest is the request that a wideRecord with no fields is about.
func wideRequest() *http.Request {
	r := httptest.NewRequest("GET", "/x", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("User-Agent", "agent")
	return r
}

// Fields stand behind the others in the order in which they came, few or many, beside
// all that does not fit every request.
func TestAddFields(t *testing.T) {
	for n := range 30 {
		var rest strings.Builder
		line := wideDirect(t, nil, wideRequest(), func(_ http.ResponseWriter, r *http.Request) {
			for i := range n {
				httpmw.AddFields(r.Context(), slog.Int(fmt.Sprint("f", i), i))
				fmt.Fprintf(&rest, `,"f%d":%d`, i, i)
			}
		})
		wideRecord{status: 200, rest: rest.String()}.want(t, line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lines := newWideLines()
	w := &viewFake{err: errors.New("a\nb")}
	func() {
		defer func() { _ = recover() }()
		httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			httpmw.AddFields(r.Context(), slog.Int("f", 1), slog.Group("g", slog.Int("h", 2)), slog.Attr{}, slog.Group("empty"))
			w.Write([]byte("body"))
			w.(http.Hijacker).Hijack()
			panic(1)
		})).ServeHTTP(viewAll{w, w, w, w, w}, wideRequest().WithContext(ctx))
	}()
	wideRecord{
		status: 200, length: 4, level: "ERROR",
		rest: `,"hijacked":true,"canceled":true,"write_error":"a\\nb","panic":"int","f":1,"g":{"h":2}`,
	}.want(t, lines.next(t))
}

// Any goroutine of a handler may add, with a context of its own, and none waits for
// another. What comes after the end is dropped.
func TestAddFieldsConcurrently(t *testing.T) {
	lines := newWideLines()
	var group sync.WaitGroup
	var late context.Context
	end := make(chan struct{})
	h := httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		late = r.Context()
		for range 8 {
			group.Go(func() {
				for range 100 {
					httpmw.AddFields(ctx, slog.Int("early", 1))
				}
			})
		}
		group.Wait()
		for range 8 {
			group.Go(func() {
				for {
					httpmw.AddFields(ctx, slog.Int("beside", 1))
					select {
					case <-end:
						return
					default:
						runtime.Gosched()
					}
				}
			})
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), wideRequest())
	httpmw.AddFields(late, slog.Int("late", 1))
	close(end)
	group.Wait()
	line := lines.next(t)
	if n := strings.Count(line, `"early":1`); n != 800 || strings.Contains(line, "late") {
		t.Errorf("%d fields of 800 are in the record, %q", n, line[:min(len(line), 300)])
	}
	lines.none(t)
	httpmw.AddFields(t.Context(), slog.Int("nowhere", 1))
}

// The context is the request's own in all else.
func TestWideEventContext(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithDeadline(context.WithValue(t.Context(), key{}, "value"), time.Now().Add(time.Hour))
	wideDirect(t, nil, wideRequest().WithContext(ctx), func(_ http.ResponseWriter, r *http.Request) {
		got := r.Context()
		deadline, ok := got.Deadline()
		want, _ := ctx.Deadline()
		if got.Value(key{}) != "value" || got.Value(http.ServerContextKey) != nil || !ok || !deadline.Equal(want) {
			t.Error("the values or the deadline differ")
		}
		child, stop := context.WithCancel(got)
		defer stop()
		cancel()
		<-child.Done()
		if child.Err() != context.Canceled || got.Err() != context.Canceled {
			t.Errorf("the context ended with %v, its child with %v", got.Err(), child.Err())
		}
	})
}

// Of two WideEvents in a chain a handler adds to the inner one; both have the right
// numbers.
func TestWideEventTwice(t *testing.T) {
	outer, inner := newWideLines(), newWideLines()
	h := httpmw.WideEvent(outer.json(), nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpmw.AddFields(r.Context(), slog.Int("outer", 1))
		httpmw.WideEvent(inner.json(), nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			httpmw.AddFields(r.Context(), slog.Int("inner", 1))
			w.WriteHeader(418)
			w.Write([]byte("tea"))
		})).ServeHTTP(w, r)
		w.Write([]byte("pot"))
	}))
	h.ServeHTTP(httptest.NewRecorder(), wideRequest())
	wideRecord{status: 418, length: 3, rest: `,"inner":1`}.want(t, inner.next(t))
	wideRecord{status: 418, length: 6, rest: `,"outer":1`}.want(t, outer.next(t))
}

// All handlers of package slog show the attributes flat, and pass each of them to
// ReplaceAttr.
func TestWideEventHandlers(t *testing.T) {
	replace := func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "duration" {
			return slog.Attr{}
		}
		a.Key = strings.Join(append(groups, strings.ToUpper(a.Key)), ".")
		return a
	}
	opts := &slog.HandlerOptions{ReplaceAttr: replace}
	const text = `STATUS_CODE=200 RESPONSE_LENGTH=0 CONTENT_LENGTH=0 METHOD=GET PROTO=HTTP/1.1 ` +
		`REMOTE_ADDR=127.0.0.1 URI=/x USER_AGENT=agent HOST=example.com PATTERN="" F=1`
	const json = `"STATUS_CODE":200,"RESPONSE_LENGTH":0,"CONTENT_LENGTH":0,"METHOD":"GET","PROTO":"HTTP/1.1",` +
		`"REMOTE_ADDR":"127.0.0.1","URI":"/x","USER_AGENT":"agent","HOST":"example.com","PATTERN":"","F":1`
	inGroup := " G." + strings.ReplaceAll(text, " ", " G.")
	for _, tt := range []struct {
		name    string
		handler func(wideLines) slog.Handler
		want    string
	}{
		{"text", func(l wideLines) slog.Handler { return slog.NewTextHandler(l, opts) }, `LEVEL=INFO MSG=request ` + text},
		{"JSON", func(l wideLines) slog.Handler { return slog.NewJSONHandler(l, opts) }, `{"LEVEL":"INFO","MSG":"request",` + json + `}`},
		{"multi", func(l wideLines) slog.Handler {
			return slog.NewMultiHandler(slog.NewTextHandler(l, opts), slog.NewTextHandler(newWideLines(), nil))
		}, `LEVEL=INFO MSG=request ` + text},
		{"attributes", func(l wideLines) slog.Handler {
			return slog.NewTextHandler(l, opts).WithAttrs([]slog.Attr{slog.Int("a", 1)})
		}, `LEVEL=INFO MSG=request A=1 ` + text},
		{
			"group", func(l wideLines) slog.Handler { return slog.NewTextHandler(l, opts).WithGroup("G") },
			`LEVEL=INFO MSG=request` + strings.ReplaceAll(inGroup, " G.", " G.G."),
		},
		{
			"JSON group", func(l wideLines) slog.Handler { return slog.NewJSONHandler(l, opts).WithGroup("G") },
			`{"LEVEL":"INFO","MSG":"request","G":{` + strings.ReplaceAll(strings.ReplaceAll(json, `,"`, `,"G.`), `"STATUS`, `"G.STATUS`) + `}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := newWideLines()
			h := httpmw.WideEvent(slog.New(tt.handler(lines)), nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				httpmw.AddFields(r.Context(), slog.Int("f", 1))
			}))
			h.ServeHTTP(httptest.NewRecorder(), wideRequest())
			if got := lines.next(t); got != tt.want {
				t.Errorf("the record is\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// The source of the records is the line that made the middleware.
func TestWideEventSource(t *testing.T) {
	lines := newWideLines()
	_, _, here, _ := runtime.Caller(0)
	wide := httpmw.WideEvent(slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{AddSource: true})), nil)
	wide(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), wideRequest())
	_, file, _, _ := runtime.Caller(0)
	if line, want := lines.next(t), fmt.Sprintf("%s:%d ", filepath.Base(file), here+1); !strings.Contains(line, want) {
		t.Errorf("the record is %s, want the source %s", line, want)
	}
}

func TestWideEventOptions(t *testing.T) {
	boom := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	abort := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	debug := func(int) slog.Level { return slog.LevelDebug }
	severe := func(status int) slog.Level { return slog.Level(status) }
	for _, tt := range []struct {
		name    string
		opts    httpmw.WideEventOptions
		handler http.Handler
		want    string // begins so
	}{
		{"message", httpmw.WideEventOptions{Message: "m"}, http.NotFoundHandler(), "level=INFO msg=m status_code=404 "},
		{"level", httpmw.WideEventOptions{Level: severe}, http.NotFoundHandler(), "level=ERROR+396 msg=request status_code=404 "},
		{"too low", httpmw.WideEventOptions{Level: debug}, http.NotFoundHandler(), ""},
		{"panic", httpmw.WideEventOptions{Level: debug}, boom, "level=ERROR msg=request status_code=0 "},
		{"panic above", httpmw.WideEventOptions{Level: func(int) slog.Level { return 12 }}, boom, "level=ERROR+4 "},
		{"panic that is ended", httpmw.WideEventOptions{Level: debug}, httpmw.Recover(nil)(boom), "level=ERROR msg=request status_code=500 "},
		{"abort", httpmw.WideEventOptions{Level: func(int) slog.Level { return slog.LevelInfo }}, abort, "level=INFO msg=request status_code=0 "},
		{"skipped", httpmw.WideEventOptions{Skip: func(r *http.Request) bool { return r.URL.Path == "/x" }}, http.NotFoundHandler(), ""},
		{"not skipped", httpmw.WideEventOptions{Skip: func(*http.Request) bool { return false }}, http.NotFoundHandler(), "level=INFO "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := newWideLines()
			logger := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}}))
			w := httptest.NewRecorder()
			func() {
				defer func() { _ = recover() }()
				httpmw.WideEvent(logger, &tt.opts)(tt.handler).ServeHTTP(w, wideRequest())
			}()
			if tt.want == "" {
				lines.none(t)
			} else if line := lines.next(t); !strings.HasPrefix(line, tt.want) {
				t.Errorf("the record is %s, want %s...", line, tt.want)
			}
		})
	}
}

// Options are read when the middleware is made.
func TestWideEventOptionsAreCopied(t *testing.T) {
	lines := newWideLines()
	opts := &httpmw.WideEventOptions{Query: []string{"page"}}
	h := httpmw.WideEvent(lines.json(), opts)(http.NotFoundHandler())
	opts.Query[0], opts.Message = "token", "other"
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x?page=1&token=secret", nil))
	if line := lines.next(t); !strings.Contains(line, `"msg":"request"`) || !strings.Contains(line, `"uri":"/x?page=1&redacted"`) {
		t.Errorf("the record is %s", line)
	}
}

// An unseenError is one that nobody should print.
type unseenError struct{ t *testing.T }

func (e unseenError) Error() string {
	e.t.Error("the error was printed")
	return ""
}

// What is not logged costs no formatting, and neither logger nor handler see it.
func TestWideEventSilent(t *testing.T) {
	lines := newWideLines()
	high := slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: slog.LevelError}))
	for _, logger := range []*slog.Logger{nil, slog.New(slog.DiscardHandler), high} {
		w := &viewFake{err: unseenError{t}}
		called := false
		httpmw.WideEvent(logger, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			called = true
			httpmw.AddFields(r.Context(), slog.Int("f", 1))
			w.Write([]byte("body"))
		})).ServeHTTP(w, wideRequest())
		if !called {
			t.Error("the handler was not called")
		}
	}
	lines.none(t)
}
