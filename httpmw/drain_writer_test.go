package httpmw_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// bodyForeign is a writer of another package, which shows nothing of what it wraps but by
// Unwrap.
type bodyForeign struct{ http.ResponseWriter }

func (f bodyForeign) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// bodyOpaque does not even do that.
type bodyOpaque struct{ http.ResponseWriter }

// bodyWrap puts a handler behind writers.
func bodyWrap(h http.Handler, wrap func(http.ResponseWriter) http.ResponseWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrap(w), r) })
}

func bodyRecord(w http.ResponseWriter) http.ResponseWriter {
	_, w = httpmw.Record(w)
	return w
}

// bodyWrappers are the ways to net/http's writer that lead there.
var bodyWrappers = map[string]func(http.ResponseWriter) http.ResponseWriter{
	"none":           func(w http.ResponseWriter) http.ResponseWriter { return w },
	"Record":         bodyRecord,
	"foreign":        func(w http.ResponseWriter) http.ResponseWriter { return bodyForeign{w} },
	"Record foreign": func(w http.ResponseWriter) http.ResponseWriter { return bodyRecord(bodyForeign{w}) },
	"foreign Record": func(w http.ResponseWriter) http.ResponseWriter { return bodyForeign{bodyRecord(w)} },
}

func TestDrainAndCloseThroughWriters(t *testing.T) {
	for name, wrap := range bodyWrappers {
		for _, tt := range drainCases {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tt.test(t, func(t *testing.T, h http.Handler) func() net.Conn { return bodyServe(t, bodyWrap(h, wrap)) })
				})
			})
		}
	}
}

// drainUnreadable fails a test that reads it.
type drainUnreadable struct{ t *testing.T }

func (d drainUnreadable) Read([]byte) (int, error) {
	d.t.Error("the body was read")
	return 0, io.ErrUnexpectedEOF
}

// Without a deadline a read might never end.
func TestDrainAndCloseReadsNothingWithoutADeadline(t *testing.T) {
	r := httptest.NewRequest("POST", "/", drainUnreadable{t})
	rec := httptest.NewRecorder()
	httpmw.DrainAndClose(nil)(http.HandlerFunc(drainUnread)).ServeHTTP(rec, r)
	if got := rec.Body.String(); got != "hello" {
		t.Errorf("body = %q, want hello", got)
	}

	// Over the limit such a writer still gets the header that ends the connection.
	conn := bodyServeTCP(t, bodyWrap(
		drainSite(&httpmw.DrainOptions{MaxBytes: 5}, func(http.ResponseWriter, *http.Request) {}),
		func(w http.ResponseWriter) http.ResponseWriter { return bodyOpaque{w} },
	))()
	if _, err := io.WriteString(conn, drainFixed(6)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	if got, want := bodyAnswer(t, reader, "POST"), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("response = %q, want %q", got, want)
	}
}

// bodyDeadlines has deadlines and full duplex like the writer below, and does not lead to it.
type bodyDeadlines struct {
	http.ResponseWriter
	*http.ResponseController
}

func bodyHides(w http.ResponseWriter) http.ResponseWriter {
	return bodyDeadlines{w, http.NewResponseController(w)}
}

// With full duplex net/http goes on with a connection although the rest of the body met a
// deadline. What comes late must never be taken for a request.
func TestDrainAndCloseSmugglesNothingInFullDuplex(t *testing.T) {
	next := "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	panics := func(w http.ResponseWriter, r *http.Request) {
		drainFullDuplex(w, r)
		panic("a handler's")
	}
	timeout := httpmw.Timeout(time.Hour, nil)
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"bare":    func(h http.Handler) http.Handler { return h },
		"hidden":  func(h http.Handler) http.Handler { return bodyWrap(h, bodyHides) },
		"Timeout": timeout,
	} {
		for kind, handler := range map[string]http.HandlerFunc{"returns": drainFullDuplex, "panics": panics} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					conn := bodyServe(t, drainRecovers(wrap(drainSite(nil, handler))))()
					if _, err := io.WriteString(conn, drainLength(bodyLen(next)+5)+"01234"); err != nil {
						t.Fatal(err)
					}
					r := bufio.NewReader(conn)
					bodyAnswer(t, r, "POST")
					time.Sleep(time.Minute)
					// The connection may have ended.
					_, _ = io.WriteString(conn, next+"GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
					rest, _ := io.ReadAll(r)
					if n := bytes.Count(rest, []byte("HTTP/1.1")); n > 1 || n == 1 && !bytes.Contains(rest, []byte("hello")) {
						t.Errorf("the body was taken for a request: %q", rest)
					}
				})
			})
		}
	}
}

func bodyLen(s string) int64 { return int64(len(s)) }

// Through Timeout the connection ends as without it.
func TestDrainAndCloseInsideTimeout(t *testing.T) {
	for _, tt := range drainCases {
		if tt.name == "MaxBytesReader inside" {
			continue // its writer is not what counts here
		}
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.test(t, func(t *testing.T, h http.Handler) func() net.Conn {
					return bodyServe(t, httpmw.Timeout(time.Hour, nil)(h))
				})
			})
		})
	}
}

// A limit outside ends the connection as it would alone.
func TestDrainAndCloseInsideALimit(t *testing.T) {
	site := drainSite(nil, drainUnread)
	conn := bodyServeTCP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited := r.WithContext(r.Context())
		limited.Body = http.MaxBytesReader(w, r.Body, 10)
		site.ServeHTTP(w, limited)
	}))()
	if _, err := io.WriteString(conn, drainFixed(11)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if got := bodyAnswer(t, r, "POST"); got != drainBye {
		t.Errorf("response = %q, want %q", got, drainBye)
	}
	if bodyNext(t, r) {
		t.Error("what follows was answered, want the end of the connection")
	}
}

// A panic that somebody recovers when net/http has drained already leaves the watch of the
// connection alone: a deadline would end it.
func TestDrainAndCloseLeavesTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := drainSite(nil, func(w http.ResponseWriter, r *http.Request) {
			drainFlushes(w, r)
			panic("a handler's")
		})
		conn := bodyServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			drainRecovers(site).ServeHTTP(w, r)
			time.Sleep(time.Minute)
			if r.Context().Err() != nil {
				t.Error("the context ended")
			}
		}))()
		if _, err := io.WriteString(conn, drainFixed(10)); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if got := bodyAnswer(t, r, "POST"); got != drainFlushed("") {
			t.Errorf("response = %q, want %q", got, drainFlushed(""))
		}
		if !bodyReused(t, conn, r) {
			t.Error("the connection ended")
		}
	})
}

// Those outside see what a ServeMux inside has matched, also after a panic.
func TestBodiesCarryThePatternBack(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{name}", func(_ http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == "panic" {
			panic("a handler's")
		}
	})
	for name, mw := range map[string]httpmw.Middleware{"DrainAndClose": httpmw.DrainAndClose(nil), "MaxBody": httpmw.MaxBody(100)} {
		for _, path := range []string{"/calm", "/panic"} {
			patterns := make(chan string, 1)
			conn := bodyServeTCP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { patterns <- r.Pattern }()
				drainRecovers(mw(mux)).ServeHTTP(w, r)
			}))()
			if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"); err != nil {
				t.Fatal(err)
			}
			if got := <-patterns; got != "POST /{name}" {
				t.Errorf("%s, %s: pattern = %q, want POST /{name}", name, path, got)
			}
		}
	}
}

// net/http removes the files of a form after the response, and looks for them in its own
// request only.
func TestBodiesLeaveNoFilesOfForms(t *testing.T) {
	for name, mw := range map[string]httpmw.Middleware{"DrainAndClose": httpmw.DrainAndClose(nil), "MaxBody": httpmw.MaxBody(1 << 20)} {
		var form bytes.Buffer
		mp := multipart.NewWriter(&form)
		part, err := mp.CreateFormFile("f", "f.txt")
		if err != nil {
			t.Fatal(err)
		}
		part.Write(bytes.Repeat([]byte("x"), 100<<10))
		mp.Close()
		names := make(chan string, 1)
		srv := httptest.NewServer(mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			name := ""
			if err := r.ParseMultipartForm(1); err == nil {
				if f, err := r.MultipartForm.File["f"][0].Open(); err == nil {
					if file, ok := f.(*os.File); ok {
						name = file.Name()
					}
					f.Close()
				}
			}
			names <- name
		})))
		defer srv.Close()
		resp, err := srv.Client().Post(srv.URL, mp.FormDataContentType(), &form)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		file := <-names
		if file == "" {
			t.Fatalf("%s: the form has no file", name)
		}
		srv.Close() // the request is over for certain
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file of the form is still there: %v", name, err)
			os.Remove(file)
		}
	}
}

// bodyHTTP2 serves HTTP/2 over TLS, and returns a client and the count of connections.
func bodyHTTP2(t *testing.T, h http.Handler) (*http.Client, string, *atomic.Int32) {
	t.Helper()
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	client := srv.Client()
	client.Timeout = 20 * time.Second
	return client, srv.URL, &conns
}

// HTTP/2 ends the stream alone, so nothing is drained, and the connection goes on.
func TestDrainAndCloseLeavesHTTP2Alone(t *testing.T) {
	var given, got http.ResponseWriter
	drained := httpmw.DrainAndClose(&httpmw.DrainOptions{MaxBytes: -1})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = w
		drainUnread(w, r)
	}))
	client, url, conns := bodyHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given = w
		drained.ServeHTTP(w, r)
	}))
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		body, stalled := io.Pipe()
		req, err := http.NewRequestWithContext(ctx, "POST", url, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if resp.Proto != "HTTP/2.0" || string(b) != "hello" || err != nil {
			t.Errorf("response over %s = %q, %v, want hello", resp.Proto, b, err)
		}
		resp.Body.Close()
		stalled.Close()
		cancel()
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("it took %d connections, want 1", got)
	}
	if given != got {
		t.Error("the writer was wrapped for HTTP/2")
	}
}

// A handler behind DrainAndClose gets a writer as able as it was, and the Recorder that
// there is.
func TestDrainAndCloseKeepsAbilities(t *testing.T) {
	rec, recorded := httpmw.Record(httptest.NewRecorder())
	for name, w := range map[string]http.ResponseWriter{
		"httptest": httptest.NewRecorder(), "bare": bodyOpaque{httptest.NewRecorder()}, "recorded": recorded,
	} {
		h := httpmw.DrainAndClose(nil)(http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
			_, f := w.(http.Flusher)
			_, h := w.(http.Hijacker)
			_, p := w.(http.Pusher)
			_, rf := w.(io.ReaderFrom)
			_, gotF := got.(http.Flusher)
			_, gotH := got.(http.Hijacker)
			_, gotP := got.(http.Pusher)
			_, gotRF := got.(io.ReaderFrom)
			if f != gotF || h != gotH || p != gotP || rf != gotRF {
				t.Errorf("%s: abilities %v %v %v %v became %v %v %v %v", name, f, h, p, rf, gotF, gotH, gotP, gotRF)
			}
			if inner, _ := httpmw.Record(got); name == "recorded" && inner != rec {
				t.Error("a second Recorder in the chain")
			}
			io.WriteString(got, "hello")
		}))
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", drainUnreadable{t}))
	}
	if rec.Bytes() != 5 || rec.Status() != 200 {
		t.Errorf("the Recorder has %d bytes, status %d, want 5 and 200", rec.Bytes(), rec.Status())
	}
}

func TestDrainAndClosePanicsOnANegativeTime(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	httpmw.DrainAndClose(&httpmw.DrainOptions{MaxTime: -1})
}
