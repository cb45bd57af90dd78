package httpmw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

var wideProtos = []string{"HTTP/1.1", "HTTP/2.0"}

// The whole record, for what handlers do, in both protocols.
func TestWideEventRecords(t *testing.T) {
	wrapped := errors.Join(http.ErrAbortHandler)
	tests := []struct {
		name    string
		method  string
		handler http.HandlerFunc
		want    wideRecord
		status  int // that the client sees
	}{
		{"implicit 200", "GET", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "Hello!")
		}, wideRecord{status: 200, length: 6}, 200},
		{"nothing written", "GET", func(http.ResponseWriter, *http.Request) {}, wideRecord{status: 200}, 200},
		{
			"status alone", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
			wideRecord{status: 404},
			404,
		},
		{
			"server error", "GET", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
			wideRecord{status: 503, length: 3, level: "ERROR"},
			503,
		},
		{"informational, then 201", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(100)
			w.WriteHeader(201)
			io.WriteString(w, "made")
		}, wideRecord{status: 201, length: 4}, 201},
		{
			"informational alone", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103) },
			wideRecord{status: 200},
			200,
		},
		{"superfluous WriteHeader", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(500)
			io.WriteString(w, "gone")
			w.WriteHeader(201)
		}, wideRecord{status: 404, length: 4}, 404},
		{"io.Copy", "GET", func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, io.LimitReader(strings.NewReader("some of this"), 4))
		}, wideRecord{status: 200, length: 4}, 200},
		{
			"Flush only", "GET", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
			wideRecord{status: 200},
			200,
		},
		{
			"HEAD", "HEAD", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Hello!") },
			wideRecord{status: 200, method: "HEAD"},
			200,
		},
		{"body of a 304", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(304)
			io.WriteString(w, "Hello!")
		}, wideRecord{status: 304}, 304},
		{
			"panic before bytes", "GET", func(http.ResponseWriter, *http.Request) { panic("secret") },
			wideRecord{level: "ERROR", rest: `,"panic":"string"`},
			0,
		},
		{"panic after an informational status", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			panic(io.ErrShortWrite)
		}, wideRecord{level: "ERROR", rest: `,"panic":"*errors.errorString"`}, 0},
		{"panic after bytes", "GET", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "Hel")
			panic(wrapped)
		}, wideRecord{status: 200, length: 3, level: "ERROR", rest: `,"panic":"*errors.joinError"`}, 0},
		{
			"panic with nil", "GET", func(http.ResponseWriter, *http.Request) { panic(nil) },
			wideRecord{level: "ERROR", rest: `,"panic":"*runtime.PanicNilError"`},
			0,
		},
		{"abort", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(202)
			panic(http.ErrAbortHandler)
		}, wideRecord{status: 202, rest: `,"panic":"http.ErrAbortHandler"`}, 0},
	}
	for _, proto := range wideProtos {
		for _, tt := range tests {
			t.Run(proto+"/"+tt.name, func(t *testing.T) {
				lines := newWideLines()
				s := wideServer(t, proto, httpmw.WideEvent(lines.json(), nil)(tt.handler))
				status, _, err := wideGet(t, s, proto, tt.method, "/x")
				if status != tt.status || (err == nil) != (tt.status != 0) {
					t.Errorf("the client sees %d, %v, want %d", status, err, tt.status)
				}
				tt.want.proto = proto
				tt.want.want(t, lines.next(t))
				lines.none(t)
			})
		}
	}
}

// Goexit ends the goroutine of the connection: with HTTP/2 that of the stream, which nobody
// ends then.
func TestWideEventGoexit(t *testing.T) {
	lines := newWideLines()
	s := wideServer(t, "HTTP/1.1", httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { runtime.Goexit() })))
	if status, _, err := wideGet(t, s, "HTTP/1.1", "GET", "/x"); err == nil {
		t.Errorf("there is a response, %d", status)
	}
	wideRecord{level: "ERROR", rest: `,"panic":"runtime.Goexit"`}.want(t, lines.next(t))
}

// The value that a panic goes on with is the handler's.
func TestWideEventPanicGoesOn(t *testing.T) {
	value := &struct{ a int }{1}
	lines := newWideLines()
	h := httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) }))
	defer func() {
		if v := recover(); v != value {
			t.Errorf("the panic goes on with %v, want %v", v, value)
		}
		lines.next(t)
	}()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	t.Error("the panic does not go on")
}

func TestWideEventHijack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		late   bool // writes after it
		want   wideRecord
	}{
		{"without a status", 0, false, wideRecord{rest: `,"hijacked":true`}},
		{"after 101", 101, false, wideRecord{status: 101, rest: `,"hijacked":true`}},
		{"and writes", 0, true, wideRecord{rest: `,"hijacked":true,"write_error":"http: connection has been hijacked"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := newWideLines()
			s := wideServer(t, "HTTP/1.1", httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					if tt.status != 0 {
						w.WriteHeader(tt.status)
					}
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					io.WriteString(conn, "raw")
					if tt.late {
						w.WriteHeader(500)
						io.WriteString(w, "late")
					}
				})))
			got := wideRaw(t, s, "GET /x HTTP/1.1\r\nHost: example.com\r\nUser-Agent: agent\r\n\r\n")
			if !strings.HasSuffix(got, "raw") {
				t.Errorf("the client got %q", got)
			}
			tt.want.want(t, lines.next(t))
		})
	}
}

// A client that leaves ends the request's context. A deadline of the server's is not the
// client.
func TestWideEventClientGone(t *testing.T) {
	lines := newWideLines()
	running := make(chan struct{})
	h := httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		running <- struct{}{}
		<-r.Context().Done()
	}))
	t.Run("HTTP/1.1", func(t *testing.T) {
		s := wideServer(t, "HTTP/1.1", h)
		conn := connect(t, "tcp", s.Listener.Addr().String())
		io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: example.com\r\nUser-Agent: agent\r\n\r\n")
		<-running
		conn.Close()
		wideRecord{status: 200, rest: `,"canceled":true`}.want(t, lines.next(t))
	})
	t.Run("HTTP/2.0", func(t *testing.T) {
		s := wideServer(t, "HTTP/2.0", h)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-running; cancel() }()
		req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "example.com"
		req.Header.Set("User-Agent", "agent")
		if resp, err := s.Client().Do(req); err == nil {
			resp.Body.Close()
			t.Error("there is a response")
		}
		wideRecord{status: 200, proto: "HTTP/2.0", rest: `,"canceled":true`}.want(t, lines.next(t))
	})
	t.Run("deadline", func(t *testing.T) {
		go func() { <-running }()
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "/x", nil)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if line := lines.next(t); strings.Contains(line, "canceled") {
			t.Errorf("the record is %s", line)
		}
	})
}

// The first error of a write is in the record: the client resets the connection while the
// handler writes more than fits.
func TestWideEventWriteError(t *testing.T) {
	lines := newWideLines()
	s := wideServer(t, "HTTP/1.1", httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		})))
	conn := connect(t, "tcp", s.Listener.Addr().String())
	io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if line := lines.next(t); !strings.Contains(line, `,"write_error":"write tcp 127.0.0.1`) {
		t.Errorf("the record is %s", line)
	}
}

// What the client sent is logged, and not what handlers make of the request's URL, which
// they share.
func TestWideEventRewrittenRequest(t *testing.T) {
	r := httptest.NewRequest("GET", "http://example.com/x%2Fy?a=1", nil)
	r.Header.Set("User-Agent", "agent")
	r.RemoteAddr = "127.0.0.1:1"
	line := wideDirect(t, nil, r, func(_ http.ResponseWriter, r *http.Request) {
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = "/other", "", "b"
		r.Header.Set("User-Agent", "other")
		r.Method, r.Host, r.RemoteAddr, r.ContentLength = "PUT", "other", "other", 7
	})
	wideRecord{status: 200, uri: "/x%2Fy?redacted"}.want(t, line)
}

// The pattern is the one of the outer mux that the middleware sees, also behind
// middleware that copies the request, and after a panic.
func TestWideEventPattern(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	inner := http.NewServeMux()
	inner.Handle("GET /a/{id}", ok)
	inner.Handle("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	mux := http.NewServeMux()
	mux.Handle("/strip/", http.StripPrefix("/strip", inner))
	mux.Handle("/a/", inner)
	mux.Handle("/panic", inner)
	lines := newWideLines()
	wide := httpmw.WideEvent(lines.json(), nil)
	for _, tt := range []struct {
		name, path, want string
		handler          http.Handler
	}{
		{"mux", "/a/1", "GET /a/{id}", wide(inner)},
		{"none", "/none", "", wide(inner)},
		{"nested middleware", "/a/1", "GET /a/{id}", wide(wide(httpmw.Recover(nil)(wide(inner))))},
		{"nested mux", "/a/1", "GET /a/{id}", wide(mux)},
		{"StripPrefix", "/strip/a/1", "/strip/", wide(mux)},
		{"inside of a StripPrefix", "/strip/a/1", "GET /a/{id}", http.StripPrefix("/strip", wide(inner))},
		{"panic", "/panic", "/panic", wide(wide(mux))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.path, nil)
			func() {
				defer func() { _ = recover() }()
				tt.handler.ServeHTTP(httptest.NewRecorder(), r)
			}()
			for len(lines) > 0 {
				if line := lines.next(t); !strings.Contains(line, `"pattern":"`+tt.want+`"`) {
					t.Errorf("the record is %s, want the pattern %q", line, tt.want)
				}
			}
		})
	}
}

// net/http removes the temporary files of the form that it finds in its own request.
func TestWideEventBringsFormBack(t *testing.T) {
	body := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\ncontent\r\n--b--\r\n"
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	wideDirect(t, nil, r, func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(0); err != nil {
			t.Error(err)
		}
	})
	if r.MultipartForm == nil || len(r.MultipartForm.File["f"]) != 1 {
		t.Fatal("the form is not in the server's request")
	}
	if err := r.MultipartForm.RemoveAll(); err != nil {
		t.Error(err)
	}
}
