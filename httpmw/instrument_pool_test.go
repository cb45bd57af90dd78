package httpmw_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// instrumentServe serves a request through Instrument alone, and returns the handler's
// writer. What the handler panics with ends there.
func instrumentServe(w http.ResponseWriter, r *http.Request, handler http.HandlerFunc) (kept http.ResponseWriter) {
	defer func() { _ = recover() }()
	httpmw.Instrument(new(httpmw.Metrics), nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept = w
		handler(w, r)
	})).ServeHTTP(w, r)
	return kept
}

// A handler's goroutine that still writes when the handler has returned gets an error from
// all that it may try, and its bytes do not get anywhere.
func TestInstrumentLateWritesFail(t *testing.T) {
	below := httptest.NewRecorder()
	late := instrumentServe(below, httptest.NewRequest("GET", "/", nil), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("A", "in time")
		fmt.Fprint(w, "in time")
	})
	late.Header().Set("A", "late")
	late.WriteHeader(500)
	if n, err := late.Write([]byte("late")); n != 0 || err == nil {
		t.Errorf("Write() = %d, %v, want an error", n, err)
	}
	if n, err := io.WriteString(late, "late"); n != 0 || err == nil {
		t.Errorf("WriteString() = %d, %v, want an error", n, err)
	}
	late.(http.Flusher).Flush()
	control := http.NewResponseController(late)
	if err := control.Flush(); err == nil {
		t.Error("Flush() = nil, want an error")
	}
	if _, _, err := control.Hijack(); err == nil {
		t.Error("Hijack() = nil, want an error")
	}
	for u := late; ; {
		v, ok := u.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		if u = v.Unwrap(); u == http.ResponseWriter(below) {
			t.Error("Unwrap() leads to the writer of a request that has ended")
			break
		}
	}
	if got := below.Result(); got.StatusCode != 200 || got.Header.Get("A") != "in time" || below.Body.String() != "in time" {
		t.Errorf("the response is %d %v %q, want what was written in time", got.StatusCode, got.Header, below.Body)
	}
}

// What was tried late does not count for a request that comes after.
func TestInstrumentForgetsLateWrites(t *testing.T) {
	l := newInstrumentLog()
	var late http.ResponseWriter
	h := httpmw.Instrument(l, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { late = w }))
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if got := l.next(t); got.Status != 200 || got.WriteErr != nil {
			t.Fatalf("a handler that writes nothing: got %+v, want status 200 and no error", got)
		}
		late.WriteHeader(500)
		if _, err := late.Write([]byte("late")); err == nil {
			t.Fatal("Write() after the end = nil, want an error")
		}
	}
}

// A Recorder that somebody may still hold is not used for another request.
func TestInstrumentUsesNoRecorderAgainThatMayBeHeld(t *testing.T) {
	http1 := func() *http.Request { return httptest.NewRequest("GET", "/", nil) }
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name    string
		request *http.Request
		handler http.HandlerFunc
	}{
		{"panic", http1(), func(http.ResponseWriter, *http.Request) { panic("as intended") }},
		{"panic that Recover ends", http1(), func(w http.ResponseWriter, r *http.Request) {
			httpmw.Recover(nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				panic("as intended")
			})).ServeHTTP(w, r)
		}},
		{"abort", http1(), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"context", http1().WithContext(canceled), func(http.ResponseWriter, *http.Request) {}},
		{"hijack", http1(), func(w http.ResponseWriter, _ *http.Request) {
			if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
				t.Error(err)
			}
		}},
		{"HTTP/2", func() *http.Request {
			r := http1()
			r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
			return r
		}(), func(http.ResponseWriter, *http.Request) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first := hijackable{httptest.NewRecorder()}
			late := instrumentServe(first, tt.request, tt.handler)
			others := make([]*httptest.ResponseRecorder, 100)
			for i := range others {
				others[i] = httptest.NewRecorder()
				instrumentServe(hijackable{others[i]}, http1(), func(http.ResponseWriter, *http.Request) {
					if _, err := late.Write([]byte("late")); err != nil {
						t.Error(err)
					}
				})
			}
			for _, o := range others {
				if o.Body.Len() != 0 {
					t.Fatalf("the response to another request is %q", o.Body)
				}
			}
			if got := strings.Count(first.Body.String(), "late"); got != len(others) {
				t.Errorf("the writer of the first request has got %d of %d late writes", got, len(others))
			}
		})
	}
}

// hijackable is a writer whose connection may be taken.
type hijackable struct{ *httptest.ResponseRecorder }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// Within a chain there is one Recorder, and it is of the outermost.
func TestInstrumentSharesTheRecorder(t *testing.T) {
	l := newInstrumentLog()
	var outer, inner *httpmw.Recorder
	h := httpmw.Instrument(l, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var over http.ResponseWriter
		inner, over = httpmw.Record(w)
		if over != w {
			t.Error("Instrument has wrapped the writer again")
		}
		fmt.Fprint(w, "hello")
	}))
	rec, w := httpmw.Record(httptest.NewRecorder())
	outer = rec
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if inner != outer || outer.Bytes() != 5 || outer.Status() != 200 {
		t.Errorf("the Recorder outside of Instrument has %d bytes and status %d, want 5 and 200 in the same one", outer.Bytes(), outer.Status())
	}
	if got := l.next(t); got.Bytes != 5 {
		t.Errorf("Bytes = %d, want 5", got.Bytes)
	}
}

// Many requests at once, each with a response of its own, and under -race.
func TestInstrumentAtOnce(t *testing.T) {
	m := new(httpmw.Metrics)
	h := httpmw.Instrument(m, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Path", r.URL.Path)
		fmt.Fprint(w, r.URL.Path)
		if len(r.URL.Path)%7 == 0 {
			panic(http.ErrAbortHandler)
		}
	}))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				path := fmt.Sprintf("/%d/%d", i, j*j*j)
				w := httptest.NewRecorder()
				func() {
					defer func() { _ = recover() }()
					h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				}()
				if w.Body.String() != path || w.Header().Get("Path") != path {
					t.Errorf("the response to %s is %v %q", path, w.Header(), w.Body)
				}
			}
		})
	}
	wg.Wait()
	if got := metricsRead(t, m).value(t, "http_requests_total"); got != 8*500 {
		t.Errorf("http_requests_total = %v, want %d", got, 8*500)
	}
}
