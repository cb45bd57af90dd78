package httpmw_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// net/http removes the files of forms of its own request only.
func TestTimeoutLeavesNoFilesOfForms(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	part, err := mw.CreateFormFile("file", "name")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(part, strings.Repeat("x", 1<<10))
	mw.Close()
	for _, late := range []bool{false, true} {
		timeoutBoth(t, func(t *testing.T, version int) {
			var files int
			s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if err := r.ParseMultipartForm(0); err != nil {
					t.Error(err)
				}
				found, err := filepath.Glob(filepath.Join(dir, "*"))
				if files = len(found); err != nil {
					t.Error(err)
				}
				if late {
					<-r.Context().Done()
				}
			})))
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", bytes.NewReader(form.Bytes()))
			r.Header.Set("Content-Type", mw.FormDataContentType())
			if a := s.do(t, version, r); a.err != nil || late != (a.StatusCode == 503) {
				t.Error(a.Response, a.err)
			}
			synctest.Wait()
			left, err := filepath.Glob(filepath.Join(dir, "*"))
			if files != 1 || len(left) > 0 || err != nil {
				t.Errorf("late %t: of %d files %q are left, %v", late, files, left, err)
			}
		})
	}
}

// With HTTP/2 a body may be closed to end a read of it, as a proxy does whose backend has
// answered before the end of the upload.
func TestTimeoutBodyIsClosedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			go func() {
				_, err := r.Body.Read(make([]byte, 1))
				failed <- err
			}()
			synctest.Wait()
			io.WriteString(w, "enough")
			r.Body.Close()
			<-failed
		})))
		pr, pw := io.Pipe()
		defer pw.Close()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", pr)
		s.do(t, 2, r).want(t, http.StatusOK, "enough", 0)
	})
}

// timeoutTLS serves a handler over TLS, and returns a connection that has sent a request.
func timeoutTLS(t *testing.T, handler http.Handler, request string) net.Conn {
	t.Helper()
	srv := httptest.NewTLSServer(handler)
	t.Cleanup(srv.Close)
	conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), srv.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, request)
	return conn
}

// An alert of TLS says that everything was sent. Where the end of the connection is the end of
// the response it must not go out.
func TestTimeoutCutsHTTP10OverTLSWithAReset(t *testing.T) {
	release := make(chan bool)
	defer close(release)
	conn := timeoutTLS(t, httpmw.Timeout(10*time.Millisecond, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
		w.(http.Flusher).Flush()
		<-release
	})), "GET / HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(conn); err == nil {
		t.Errorf("read %q as if it were whole", got)
	}
}

// So it is in HTTP/1.1 if the handler wants no chunks.
func TestTimeoutCutsIdentityWithAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Transfer-Encoding", "identity")
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			<-release
		})))
		s.get(t, 1).wantCut(t, time.Second)
		close(release)
	})
}

// timeoutEnded checks, a minute of the bubble later, that a handler ended in time.
func timeoutEnded(t *testing.T, ended <-chan time.Duration) {
	t.Helper()
	time.Sleep(time.Minute)
	select {
	case took := <-ended:
		if took > 10*time.Second {
			t.Errorf("it ended after %v", took)
		}
	default:
		t.Error("a minute later it has not ended")
	}
}

// What is left in buffers must not wait for a client that reads nothing, whether the handler
// writes just then or not.
func TestTimeoutCutsAStalledClientBetweenWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 1)
		limited := httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			w.Write(make([]byte, 63<<10)) // of the 64 KiB on the way at most
			w.(http.Flusher).Flush()
			w.Write(make([]byte, 3<<10))
			<-r.Context().Done()
		}))
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			defer func() { ended <- time.Since(start) }()
			limited.ServeHTTP(w, r)
		}))
		conn := s.dial()
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		timeoutEnded(t, ended)
	})
}

// The answer must not wait for such a client either.
func TestTimeoutAnswersAStalledClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 1)
		limited := httpmw.Timeout(time.Second, &httpmw.TimeoutOptions{Body: strings.Repeat("x", 4<<10)})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}))
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				w.Write(make([]byte, 63<<10))
				return
			}
			start := time.Now()
			defer func() { ended <- time.Since(start) }()
			limited.ServeHTTP(w, r)
		}))
		conn := s.dial()
		defer conn.Close()
		io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		timeoutEnded(t, ended)
	})
}

// Nor must leave to send a body.
func TestTimeoutInterruptsLeaveToContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 1)
		limited := httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
		}))
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				w.Header().Set("X", strings.Repeat("x", 64<<10-300))
				io.WriteString(w, strings.Repeat("x", 155)) // up to the last byte on the way
				return
			}
			start := time.Now()
			defer func() { ended <- time.Since(start) }()
			limited.ServeHTTP(w, r)
		}))
		conn := s.dial()
		defer conn.Close()
		io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n"+
			"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		timeoutEnded(t, ended)
	})
}

func TestTimeoutHijackTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			conn, _, err := rc.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, _, err := rc.Hijack(); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("again: %v", err)
			}
		})))
		if a := s.get(t, 1); a.err == nil {
			t.Error("an answer of a connection that was hijacked")
		}
	})
}

// Without a limit there is no deadline. A context with one that is later would not have it.
func TestTimeoutHijackLiftsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if d, ok := r.Context().Deadline(); ok {
				t.Errorf("deadline in %v", time.Until(d))
			}
			start := time.Now()
			ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
			defer cancel()
			select {
			case <-ctx.Done():
			case <-time.After(time.Hour):
			}
			if took := time.Since(start); took != time.Minute {
				t.Errorf("a minute took %v", took)
			}
		})))
		if a := s.get(t, 1); a.err == nil {
			t.Error("an answer of a connection that was hijacked")
		}
	})
}

// A flush that is not supported, and an empty file, begin no response, so that the answer has
// nothing of the handler.
func TestTimeoutAnswerAfterWhatBeginsNothing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func(http.ResponseWriter) error{
		"flush": func(w http.ResponseWriter) error {
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
				return fmt.Errorf("flush: %w", err)
			}
			return nil
		},
		"file": func(w http.ResponseWriter) error {
			f, err := os.Open(empty)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = w.(io.ReaderFrom).ReadFrom(f)
			return err
		},
	} {
		timeoutMajors(t, func(t *testing.T, major int) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.ProtoMajor = major
			w.Header().Set("X-Outer", "yes")
			httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Del("X-Outer")
				if err := use(w); err != nil {
					t.Error(err)
				}
				<-r.Context().Done()
			})).ServeHTTP(timeoutPlain{w, w}, r)
			if w.Code != 503 || w.Header().Get("Content-Encoding") != "" || w.Header().Get("X-Outer") != "yes" {
				t.Errorf("%s, HTTP/%d: %d %v", name, major, w.Code, w.Header())
			}
		})
	}
}

// A timeoutPlain is a writer of another package that reads from sources, and hides the rest.
type timeoutPlain struct {
	http.ResponseWriter
	w io.Writer
}

func (p timeoutPlain) ReadFrom(r io.Reader) (int64, error) { return io.Copy(p.w, r) }

// Trailers are handed over, however many headers there are.
func TestTimeoutTrailersInPlaceOfHeaders(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Temporary", "yes")
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			w.Header().Del("X-Temporary")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "5")
		})))
		a := s.get(t, version)
		if a.want(t, 200, "hello", 0); a.Trailer.Get("X-Sum") != "5" {
			t.Errorf("trailers %v", a.Trailer)
		}
	})
}

// Deadlines that a handler sets for its own writes do not keep the answer back.
func TestTimeoutAnswerAfterTheHandlersDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		})))
		s.get(t, 1).want(t, http.StatusServiceUnavailable, "Service Unavailable", time.Second)
	})
}

// MaxBody and DrainAndClose end a connection in the way that spares the response, also inside.
func TestTimeoutPassesTheEndOfTheConnectionOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Chain(
			httpmw.Timeout(time.Minute, nil),
			httpmw.DrainAndClose(&httpmw.DrainOptions{MaxBytes: -1}),
		)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })))
		conn := s.dial()
		defer conn.Close()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 10_000))
		// Without the pause before the end the rest of the body would make it a reset.
		if got, err := io.ReadAll(conn); !strings.HasSuffix(string(got), "\r\n\r\nhello") || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// Middleware outside has begun a response. The answer must not become a part of it.
func TestTimeoutOfAResponseThatHasBegun(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		limited := httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}))
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, w = httpmw.Record(w)
			io.WriteString(w, "hello")
			limited.ServeHTTP(w, r)
		}))
		s.get(t, version).wantCut(t, time.Second)
	})
}

// To interrupt a write is to reset a stream of HTTP/2. A use of the writer that waits for
// nobody must not cost the answer.
func TestTimeoutAnswerWhileDeadlinesAreSet(t *testing.T) {
	w := &timeoutDeadlines{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.ProtoMajor = 2
	httpmw.Timeout(50*time.Millisecond, nil)(http.HandlerFunc(func(gw http.ResponseWriter, r *http.Request) {
		w.ctx = r.Context()
		if err := http.NewResponseController(gw).SetReadDeadline(time.Now()); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(w, r)
	if w.Code != 503 || w.writes.Load() > 0 {
		t.Errorf("%d, and writes were interrupted %d times", w.Code, w.writes.Load())
	}
}

// In a timeoutDeadlines a deadline for reads is still being set when the time is over.
type timeoutDeadlines struct {
	*httptest.ResponseRecorder
	ctx    context.Context
	writes atomic.Int64
}

func (w *timeoutDeadlines) SetReadDeadline(time.Time) error {
	<-w.ctx.Done()
	for range 1000 {
		runtime.Gosched()
	}
	return nil
}

func (w *timeoutDeadlines) SetWriteDeadline(time.Time) error {
	w.writes.Add(1)
	return nil
}

// What the server has of a body already is not for a handler whose time is over.
func TestTimeoutLateReadOfWhatIsThere(t *testing.T) {
	for _, major := range []int{1, 2} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("a body"))
		r.ProtoMajor = major
		read := make(chan error, 1)
		httpmw.Timeout(time.Millisecond, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			n, err := r.Body.Read(make([]byte, 10))
			read <- fmt.Errorf("%d, %w", n, err)
		})).ServeHTTP(httptest.NewRecorder(), r)
		if err := <-read; !errors.Is(err, http.ErrHandlerTimeout) || err.Error()[0] != '0' {
			t.Errorf("HTTP/%d: %v", major, err)
		}
	}
}

// When a body has been read, net/http watches whether the client is still there. A deadline
// for reads would tell middleware outside that it is not.
func TestTimeoutContextOutsideAfterTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
			<-r.Context().Done()
		}))
		outside := make(chan error, 1)
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limited.ServeHTTP(w, r)
			synctest.Wait()
			outside <- r.Context().Err()
		}))
		conn := s.dial()
		defer conn.Close()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
		if err := <-outside; err != nil {
			t.Errorf("the context outside: %v", err)
		}
	})
}
