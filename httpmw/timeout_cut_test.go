package httpmw_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// A response that has begun is cut at the limit, however deaf the handler is.
func TestTimeoutPartialBody(t *testing.T) {
	begin := map[string]func(w http.ResponseWriter){
		"written": func(w http.ResponseWriter) { io.WriteString(w, "hello") },
		"flushed": func(w http.ResponseWriter) {
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
		},
		"with a length": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
		},
		"status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) },
		"flush":  func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
	}
	timeoutBoth(t, func(t *testing.T, version int) {
		for name, begin := range begin {
			for _, deaf := range []bool{false, true} {
				release := make(chan bool)
				s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					begin(w)
					if deaf {
						<-release
						return
					}
					<-r.Context().Done()
				})))
				a := s.get(t, version)
				if a.wantCut(t, time.Second); t.Failed() {
					t.Fatalf("%s, deaf %t", name, deaf)
				}
				close(release)
			}
		}
	})
}

// Where the end of the connection is the end of the response, only a reset tells that it is
// not whole.
func TestTimeoutCutsHTTP10WithAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			<-release
		})))
		conn := s.dial()
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		got, err := io.ReadAll(conn)
		if !strings.HasSuffix(string(got), "\r\n\r\nhello") || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %q, %v", got, err)
		}
		close(release)
	})
}

// A client that sends less of a body than it said, or reads nothing of the response, or both,
// must not keep a handler beyond its limit.
func TestTimeoutStalledUpload(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		failed := make(chan error, 1)
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			if string(got) != "begin" {
				t.Errorf("read %q", got)
			}
			if err := r.Body.Close(); err != nil {
				t.Error(err)
			}
			failed <- err
		})))
		pr, pw := io.Pipe()
		go io.WriteString(pw, "begin")
		defer pw.Close()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", pr)
		s.do(t, version, r).want(t, http.StatusServiceUnavailable, "Service Unavailable", time.Second)
		if err := <-failed; !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("the handler read %v", err)
		}
	})
}

// The handler does not read, and net/http would wait for the rest before it answers.
func TestTimeoutUnreadUpload(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		release := make(chan bool)
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-release
			if n, err := r.Body.Read(make([]byte, 10)); n != 0 || !errors.Is(err, http.ErrHandlerTimeout) {
				t.Errorf("late read: %d, %v", n, err)
			}
		})))
		pr, pw := io.Pipe()
		defer pw.Close()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", pr)
		s.do(t, version, r).want(t, http.StatusServiceUnavailable, "Service Unavailable", time.Second)
		release <- true
	})
}

func TestTimeoutStalledDownload(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		failed := make(chan error, 1)
		start := time.Now()
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			block := make([]byte, 64<<10)
			for {
				if _, err := w.Write(block); err != nil {
					if took := time.Since(start); took != time.Second {
						t.Errorf("the write ended after %v", took)
					}
					failed <- err
					return
				}
			}
		})))
		resp, err := s.client(version).Get("http://localhost/")
		if err != nil {
			t.Fatal(err)
		}
		if err := <-failed; !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("write: %v", err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Error("the client takes it for whole")
		}
		resp.Body.Close()
	})
}

// A source that blocks must not keep the writer from the answer.
func TestTimeoutSourceThatBlocks(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		for _, first := range []string{"", "hello"} {
			pr, pw := io.Pipe()
			s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(w, pr); err == nil {
					t.Error("copied everything")
				}
			})))
			go io.WriteString(pw, first)
			a := s.get(t, version)
			if first == "" {
				a.want(t, http.StatusServiceUnavailable, "Service Unavailable", time.Second)
			} else {
				a.wantCut(t, time.Second)
			}
			pw.CloseWithError(errors.New("at last"))
		}
	})
}

// A file still reaches the writer below as one, for the kernel to send.
func TestTimeoutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{"file", "part", "pipe", "reader"} {
		t.Run(src, func(t *testing.T) {
			w := &timeoutFileWriter{ResponseRecorder: httptest.NewRecorder()}
			httpmw.Timeout(time.Minute, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				f, err := os.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				var r io.Reader = f
				switch src {
				case "part":
					r = io.LimitReader(f, 5)
				case "pipe":
					pr, pw, err := os.Pipe()
					if err != nil {
						t.Error(err)
						return
					}
					defer pr.Close()
					io.WriteString(pw, "0123456789")
					pw.Close()
					r = pr
				case "reader":
					r = struct{ io.Reader }{f}
				}
				if _, err := w.(io.ReaderFrom).ReadFrom(r); err != nil {
					t.Error(err)
				}
			})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
			body, want := w.Body.String(), "0123456789"
			if src == "part" {
				want = want[:5]
			}
			if body != want || w.files != map[string]int{"file": 1, "part": 1}[src] {
				t.Errorf("body %q, %d as a file", body, w.files)
			}
		})
	}
	// An empty file begins no response.
	w := &timeoutFileWriter{ResponseRecorder: httptest.NewRecorder()}
	httpmw.Timeout(time.Minute, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f, err := os.Open(os.DevNull)
		if err == nil {
			f, err = os.Create(path)
		}
		if err == nil {
			_, err = w.(io.ReaderFrom).ReadFrom(f)
			f.Close()
		}
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-After", "yes")
		w.WriteHeader(http.StatusNotFound)
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if w.Code != 404 || w.Header().Get("X-After") != "yes" {
		t.Errorf("after an empty file: %d %v", w.Code, w.Header())
	}
}

// A timeoutFileWriter counts the files that it is given.
type timeoutFileWriter struct {
	*httptest.ResponseRecorder
	files int
}

func (w *timeoutFileWriter) ReadFrom(src io.Reader) (int64, error) {
	part, ok := src.(*io.LimitedReader)
	if ok {
		src = part.R
	}
	if _, ok := src.(*os.File); ok {
		w.files++
	}
	if part != nil {
		src = part
	}
	return io.Copy(struct{ io.Writer }{w.ResponseRecorder}, src)
}

func TestTimeoutHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			time.Sleep(time.Hour)
			if err := r.Context().Err(); err != nil {
				t.Errorf("context: %v", err)
			}
			io.WriteString(rw, "an hour later")
			rw.Flush()
		})))
		conn := s.dial()
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got, err := io.ReadAll(conn); string(got) != "an hour later" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// Where the connection cannot be had, the limit remains.
func TestTimeoutHijackThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, ok := w.(http.Hijacker); ok {
				t.Error("HTTP/2 has a Hijacker")
			}
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("hijack: %v", err)
			}
			<-r.Context().Done()
		})))
		s.get(t, 2).want(t, http.StatusServiceUnavailable, "Service Unavailable", time.Second)
	})
}

// A panic goes through with its value, and says where it was.
func TestTimeoutPanic(t *testing.T) {
	for _, major := range []int{1, 2} {
		for _, value := range []any{"a value", http.ErrAbortHandler} {
			for _, begin := range []bool{false, true} {
				t.Run(fmt.Sprint(major, value, begin), func(t *testing.T) {
					r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
					r.ProtoMajor = major
					w := httptest.NewRecorder()
					defer func() {
						if got := recover(); got != value {
							t.Errorf("panic %v", got)
						}
						if begin != (w.Body.String() == "hello") {
							t.Errorf("body %q", w.Body)
						}
					}()
					httpmw.Timeout(time.Minute, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						if begin {
							io.WriteString(w, "hello")
						}
						panic(value)
					})).ServeHTTP(w, r)
				})
			}
		}
	}
}

func TestTimeoutGoexit(t *testing.T) {
	for _, major := range []int{1, 2} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.ProtoMajor = major
		ended := make(chan bool)
		var returned bool
		go func() {
			defer close(ended)
			httpmw.Timeout(time.Minute, nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				runtime.Goexit()
			})).ServeHTTP(httptest.NewRecorder(), r)
			returned = true
		}()
		if <-ended; returned {
			t.Errorf("HTTP/%d: ServeHTTP returned", major)
		}
	}
}

// After its answer the connection of HTTP/1 is closed, and nothing of the handler follows.
func TestTimeoutPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			<-release
			io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		})))
		conn := s.dial()
		defer conn.Close()
		request := "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
		io.WriteString(conn, request+request)
		br := bufio.NewReader(conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 503 {
			t.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		close(release)
		rest, err := io.ReadAll(br)
		if len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("then %q, %v", rest, err)
		}
	})
}

// A writer that panics when the time has come must not end the program.
func TestTimeoutWriterThatPanics(t *testing.T) {
	for _, major := range []int{1, 2} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.ProtoMajor = major
		func() {
			defer func() {
				if got := recover(); got != "no header" {
					t.Errorf("HTTP/%d: panic %v", major, got)
				}
			}()
			httpmw.Timeout(time.Nanosecond, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
			})).ServeHTTP(timeoutPanicker{httptest.NewRecorder()}, r)
		}()
	}
}

type timeoutPanicker struct{ *httptest.ResponseRecorder }

func (timeoutPanicker) WriteHeader(int) { panic("no header") }
