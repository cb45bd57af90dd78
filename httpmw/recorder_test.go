package httpmw_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// recordHandler runs a handler with a Recorder, which is for check when it has ended.
func recordHandler(h http.HandlerFunc, check func(*httpmw.Recorder)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec, w := httpmw.Record(w)
		defer check(rec)
		h(w, r)
	})
}

// What a Recorder knows of what a handler does, in both protocols.
func TestRecorder(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int
		bytes   int64
		err     string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, 0, 0, ""},
		{"Write", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("abc")) }, 200, 3, ""},
		{"Write of nothing", func(w http.ResponseWriter, _ *http.Request) { w.Write(nil); w.WriteHeader(404) }, 200, 0, ""},
		{"WriteString", func(w http.ResponseWriter, _ *http.Request) { w.(io.StringWriter).WriteString("abc") }, 200, 3, ""},
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(500) }, 404, 0, ""},
		{"informational", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103) }, 0, 0, ""},
		{"informational, status", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(100)
			w.WriteHeader(103)
			w.WriteHeader(404)
			w.WriteHeader(103)
		}, 404, 0, ""},
		{"source of nothing, status", func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, io.LimitReader(strings.NewReader(""), 1))
			w.WriteHeader(404)
		}, 404, 0, ""},
		{"Flush", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, 200, 0, ""},
		{"body of 204", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := w.Write([]byte("abc")); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		}, 204, 0, ""},
		{"body of 304", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(304)
			io.Copy(w, io.LimitReader(strings.NewReader("abc"), 3))
		}, 304, 0, ""},
		{"too much", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			w.(http.Flusher).Flush()
			w.Write([]byte("abc"))
		}, 200, 0, "more than"},
		{"source that fails", func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)))
		}, 200, 3, ""},
	} {
		for _, proto := range wideProtos {
			t.Run(proto+"/"+tt.name, func(t *testing.T) {
				ended := make(chan struct{})
				s := wideServer(t, proto, recordHandler(tt.handler, func(rec *httpmw.Recorder) {
					defer close(ended)
					if rec.Status() != tt.status || rec.Bytes() != tt.bytes || (rec.Err() != nil) != (tt.err != "") ||
						rec.Err() != nil && !strings.Contains(rec.Err().Error(), tt.err) || rec.Hijacked() {
						t.Errorf("the Recorder has %d, %d bytes, %v, hijacked %t; want %d, %d, %q",
							rec.Status(), rec.Bytes(), rec.Err(), rec.Hijacked(), tt.status, tt.bytes, tt.err)
					}
				}))
				wideGet(t, s, proto, "GET", "/")
				<-ended
			})
		}
	}
}

// What is no status panics as it does without a Recorder, and is not recorded.
func TestRecorderInvalidStatus(t *testing.T) {
	for _, status := range []int{-1, 0, 99, 1000} {
		rec, w := httpmw.Record(httptest.NewRecorder())
		func() {
			defer func() {
				if v, ok := recover().(string); !ok || !strings.HasPrefix(v, "invalid WriteHeader code") {
					t.Errorf("WriteHeader(%d) panics with %v", status, v)
				}
			}()
			w.WriteHeader(status)
			t.Errorf("WriteHeader(%d) does not panic", status)
		}()
		if rec.Status() != 0 {
			t.Errorf("after WriteHeader(%d) Status = %d", status, rec.Status())
		}
	}
}

// After a hijack nothing is recorded but the error.
func TestRecorderHijack(t *testing.T) {
	for _, status := range []int{0, 101} {
		ended := make(chan struct{})
		s := wideServer(t, "HTTP/1.1", recordHandler(func(w http.ResponseWriter, _ *http.Request) {
			if status != 0 {
				w.WriteHeader(status)
			}
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
			w.WriteHeader(500)
			if _, err := io.WriteString(w, "late"); err != http.ErrHijacked {
				t.Errorf("a late write returns %v", err)
			}
			if _, _, err := w.(http.Hijacker).Hijack(); err != http.ErrHijacked {
				t.Errorf("a second hijack returns %v", err)
			}
		}, func(rec *httpmw.Recorder) {
			defer close(ended)
			if rec.Status() != status || !rec.Hijacked() || rec.Bytes() != 0 || rec.Err() != http.ErrHijacked {
				t.Errorf("the Recorder has %d, hijacked %t, %d bytes, %v", rec.Status(), rec.Hijacked(), rec.Bytes(), rec.Err())
			}
		}))
		wideRaw(t, s, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
		<-ended
	}
}

// The first error counts, as do the bytes that went out with it.
func TestRecorderErrors(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	w := &recordShort{err: first, n: 2}
	rec, view := httpmw.Record(w)
	check := func(bytes int64) {
		t.Helper()
		if rec.Err() != first || rec.Bytes() != bytes || rec.Status() != 200 {
			t.Errorf("the Recorder has %v, %d bytes, %d", rec.Err(), rec.Bytes(), rec.Status())
		}
	}
	if n, err := view.Write([]byte("abc")); n != 2 || err != first {
		t.Errorf("Write = %d, %v", n, err)
	}
	check(2)
	w.err = second
	if n, err := io.WriteString(view, "abc"); n != 2 || err != second {
		t.Errorf("WriteString = %d, %v", n, err)
	}
	check(4)
	if n, err := view.(io.ReaderFrom).ReadFrom(strings.NewReader("abc")); n != 2 || err != second {
		t.Errorf("ReadFrom = %d, %v", n, err)
	}
	check(6)

	w.err = first
	rec, view = httpmw.Record(w)
	if err := http.NewResponseController(view).Flush(); err != first {
		t.Errorf("Flush = %v", err)
	}
	check(0)
}

// A recordShort writes n bytes of what it is given, and fails.
type recordShort struct {
	httptest.ResponseRecorder
	err error
	n   int
}

func (w *recordShort) Write([]byte) (int, error)         { return w.n, w.err }
func (w *recordShort) WriteString(string) (int, error)   { return w.n, w.err }
func (w *recordShort) ReadFrom(io.Reader) (int64, error) { return int64(w.n), w.err }
func (w *recordShort) FlushError() error                 { return w.err }

// Whether a flush is possible is no error of the response, and does not begin it.
func TestRecorderFlushNotSupported(t *testing.T) {
	rec, w := httpmw.Record(struct{ http.ResponseWriter }{new(viewFake)})
	if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Flush = %v", err)
	}
	if rec.Err() != nil || rec.Status() != 0 {
		t.Errorf("the Recorder has %v, %d", rec.Err(), rec.Status())
	}
}

// An error of ReadFrom is either the source's or the response's.
func TestRecorderReadFromErrors(t *testing.T) {
	broken := errors.New("broken")
	dir, err := os.Open(t.TempDir()) // which can be opened and not read
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, tt := range []struct {
		name string
		src  io.Reader
		err  error // of the writer
		want error
	}{
		{"source", iotest.ErrReader(broken), nil, nil},
		{"source with bytes", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), nil, nil},
		{"limited source", io.LimitReader(iotest.ErrReader(broken), 1), nil, nil},
		{"writer", strings.NewReader("abc"), broken, broken},
		{"writer of nothing", strings.NewReader(""), broken, broken},
		{"writer that says EOF", strings.NewReader("abc"), io.EOF, io.EOF},
		{"both", iotest.ErrReader(io.ErrUnexpectedEOF), broken, nil},
		{"directory", dir, nil, nil},
		{"limited directory", io.LimitReader(dir, 9), nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &viewFake{err: tt.err}
			rec, w := httpmw.Record(viewAll{f, f, f, f, f})
			n, err := w.(io.ReaderFrom).ReadFrom(tt.src)
			if err == nil || n != rec.Bytes() {
				t.Errorf("ReadFrom = %d, %v, with %d bytes in the Recorder", n, err, rec.Bytes())
			}
			if !errors.Is(rec.Err(), tt.want) || (rec.Err() != nil) != (tt.want != nil) {
				t.Errorf("Err = %v, want %v", rec.Err(), tt.want)
			}
			if begun := n > 0 || tt.want != nil; (rec.Status() == 200) != begun {
				t.Errorf("Status = %d after %d bytes", rec.Status(), n)
			}
		})
	}
}

// The middleware of a chain shares a Recorder, and has one on each side of a writer of
// another package; the numbers are right in all of them.
func TestRecorderIsShared(t *testing.T) {
	outer, w := httpmw.Record(httptest.NewRecorder())
	same, w := httpmw.Record(w)
	inner, w := httpmw.Record(recordDoubling{w})
	if same != outer || inner == outer {
		t.Errorf("the Recorders are %p, %p, and %p behind the foreign writer", outer, same, inner)
	}
	w.WriteHeader(404)
	io.WriteString(w, "abc")
	http.NewResponseController(w).Flush()
	if outer.Status() != 404 || inner.Status() != 404 || outer.Bytes() != 6 || inner.Bytes() != 3 {
		t.Errorf("the Recorders have %d and %d, %d and %d bytes", outer.Status(), inner.Status(), outer.Bytes(), inner.Bytes())
	}
}

// What makes a Recorder by itself shares one that is there too.
func TestRecorderIsSharedByMiddleware(t *testing.T) {
	outer, w := httpmw.Record(httptest.NewRecorder())
	called := false
	httpmw.Chain(
		httpmw.WideEvent(newWideLines().json(), nil),
		httpmw.Instrument(new(httpmw.Metrics), nil),
		httpmw.Recover(nil),
	)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called = true
		if rec, same := httpmw.Record(w); rec != outer || same != w {
			t.Error("there is a second Recorder")
		}
	})).ServeHTTP(w, wideRequest())
	if !called {
		t.Error("the handler was not called")
	}
}

// A recordDoubling writes everything twice.
type recordDoubling struct{ http.ResponseWriter }

func (w recordDoubling) Write(p []byte) (int, error) {
	if _, err := w.ResponseWriter.Write(bytes.Repeat(p, 2)); err != nil {
		return 0, err
	}
	return len(p), nil
}
func (w recordDoubling) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A real connection: a flush arrives, a passed deadline fails reads, and a hijacked
// connection is the client's, through four foreign writers.
func TestResponseControllerOfServer(t *testing.T) {
	flushed := make(chan struct{})
	s := wideServer(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recs, w := viewLayers(w, 4)
		c := http.NewResponseController(w)
		if r.URL.Path == "/hijack" {
			conn, _, err := c.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "raw")
			for _, rec := range recs {
				if !rec.Hijacked() {
					t.Error("a Recorder does not know of the hijack")
				}
			}
			return
		}
		if err := errors.Join(c.EnableFullDuplex(), c.Flush(), c.SetReadDeadline(time.Unix(1, 0))); err != nil {
			t.Error(err)
		}
		if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read after the deadline returns %v", err)
		}
		<-flushed
		if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "late")
		if err := c.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(recs[0].Err(), os.ErrDeadlineExceeded) {
			t.Errorf("a flush after the deadline returns %v, the Recorder knows %v", err, recs[0].Err())
		}
	}))
	conn := connect(t, "tcp", s.Listener.Addr().String())
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("the flush brought %q, %v", line, err)
	}
	close(flushed)
	if got := wideRaw(t, s, "GET /hijack HTTP/1.1\r\nHost: example.com\r\n\r\n"); got != "raw" {
		t.Errorf("the hijacked connection has %q", got)
	}
}

// A recordConn knows what net/http has its connection send as it is.
type recordConn struct {
	*net.TCPConn
	kernel chan recordSent
}

type recordSent struct {
	file bool
	n    int64
}

func (c recordConn) ReadFrom(src io.Reader) (int64, error) {
	// Package net sends with sendfile what has a descriptor, also up to a limit.
	what := src
	if limited, ok := src.(*io.LimitedReader); ok {
		what = limited.R
	}
	_, file := what.(syscall.Conn)
	n, err := c.TCPConn.ReadFrom(src)
	c.kernel <- recordSent{file, n}
	return n, err
}

type recordListener struct {
	net.Listener
	kernel chan recordSent
}

func (l recordListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return recordConn{conn.(*net.TCPConn), l.kernel}, nil
}

// A file gets to the connection as a file through all of the middleware, which lets the
// kernel send it, and is counted all the same.
func TestFilesAreSentByTheKernel(t *testing.T) {
	const size = 1 << 20
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := newWideLines()
	var rec *httpmw.Recorder
	h := httpmw.Chain(
		httpmw.WideEvent(lines.json(), nil),
		httpmw.Instrument(new(httpmw.Metrics), nil),
		httpmw.Recover(nil),
		httpmw.Timeout(patience, nil),
		httpmw.DrainAndClose(nil),
		httpmw.MaxBody(1),
		httpmw.NoSniff,
	)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec, w = httpmw.Record(w)
		http.ServeFile(w, r, name)
	}))
	s := httptest.NewUnstartedServer(h)
	kernel := make(chan recordSent, 10)
	s.Listener = recordListener{s.Listener, kernel}
	s.Start()
	defer s.Close()
	if status, body, err := wideGet(t, s, "HTTP/1.1", "GET", "/x"); status != 200 || len(body) != size || err != nil {
		t.Fatalf("the client has %d, %d bytes, %v", status, len(body), err)
	}
	wideRecord{status: 200, length: size}.want(t, lines.next(t))
	if rec.Bytes() != size {
		t.Errorf("the Recorder has %d bytes", rec.Bytes())
	}
	if len(kernel) != 1 {
		t.Fatalf("the connection was asked %d times to send", len(kernel))
	}
	// The first 512 bytes are for the Content-Type.
	if sent := <-kernel; !sent.file || sent.n != size-512 {
		t.Errorf("the connection was to send %d bytes, of a file: %t", sent.n, sent.file)
	}
}
