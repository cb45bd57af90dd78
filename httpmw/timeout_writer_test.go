package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// A timeoutCalls is a writer that notes its calls.
type timeoutCalls struct {
	*httptest.ResponseRecorder
	calls []string
	err   error // of ReadFrom
}

func (c *timeoutCalls) note(name string, arg any) error {
	c.calls = append(c.calls, fmt.Sprint(name, " ", arg))
	return nil
}

func (c *timeoutCalls) SetReadDeadline(t time.Time) error { return c.note("read", t.Unix()) }

func (c *timeoutCalls) SetWriteDeadline(t time.Time) error { return c.note("write", t.Unix()) }

func (c *timeoutCalls) EnableFullDuplex() error { return c.note("duplex", "") }

func (c *timeoutCalls) Push(target string, _ *http.PushOptions) error { return c.note("push", target) }

func (c *timeoutCalls) ReadFrom(src io.Reader) (int64, error) {
	if c.err != nil {
		return 0, c.err
	}
	return io.Copy(c.ResponseRecorder, src)
}

// What the handler asks of its writer reaches the one below.
func TestTimeoutPassesCallsOn(t *testing.T) {
	for _, major := range []int{1, 2} {
		w := &timeoutCalls{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.ProtoMajor = major
		httpmw.Timeout(time.Minute, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			if err := errors.Join(
				rc.SetReadDeadline(time.Unix(3, 0)), rc.SetWriteDeadline(time.Unix(4, 0)),
				rc.EnableFullDuplex(), w.(http.Pusher).Push("/style.css", nil),
			); err != nil {
				t.Error(err)
			}
		})).ServeHTTP(w, r)
		if got := strings.Join(w.calls, ", "); got != "read 3, write 4, duplex , push /style.css" {
			t.Errorf("HTTP/%d: %s", major, got)
		}
	}
}

// timeoutReadFrom has a handler send a file, and then do what it does.
func timeoutReadFrom(w http.ResponseWriter, major int, f *os.File, then http.HandlerFunc) (aborted bool) {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.ProtoMajor = major
	defer func() { aborted = recover() == http.ErrAbortHandler }()
	httpmw.Timeout(5*time.Millisecond, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-File", "yes")
		w.(io.ReaderFrom).ReadFrom(f)
		then(w, r)
	})).ServeHTTP(w, r)
	return false
}

// A file that cannot be read begins no response. A write that fails does.
func TestTimeoutFileThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	unreadable, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unreadable.Close()
	for _, major := range []int{1, 2} {
		w := &timeoutCalls{ResponseRecorder: httptest.NewRecorder()}
		timeoutReadFrom(w, major, unreadable, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Del("X-File")
			w.WriteHeader(http.StatusNotFound)
		})
		if w.Code != http.StatusNotFound && w.Code != http.StatusServiceUnavailable || w.Header().Get("X-File") != "" {
			t.Errorf("HTTP/%d: %d %v", major, w.Code, w.Header())
		}
		w = &timeoutCalls{ResponseRecorder: httptest.NewRecorder(), err: errors.New("reset")}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if !timeoutReadFrom(w, major, f, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }) {
			t.Errorf("HTTP/%d: the answer follows a write that failed: %d", major, w.Code)
		}
		f.Close()
	}
}

// The answer says what it is, and how long.
func TestTimeoutAnswerIsText(t *testing.T) {
	for _, major := range []int{1, 2} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.ProtoMajor = major
		w := httptest.NewRecorder()
		httpmw.Timeout(time.Millisecond, &httpmw.TimeoutOptions{Body: "<b>"})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		})).ServeHTTP(w, r)
		h := w.Header()
		if h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Length") != "3" {
			t.Errorf("HTTP/%d: %v", major, h)
		}
	}
}

// How a connection is cut is no business of what records the response.
func TestTimeoutCutIsNoHijackOfTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		limited := httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hello")
			<-release
		}))
		ended := make(chan *httpmw.Recorder, 1)
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec, w := httpmw.Record(w)
			defer func() { ended <- rec }()
			limited.ServeHTTP(w, r)
		}))
		s.get(t, 1).wantCut(t, time.Second)
		close(release)
		if rec := <-ended; rec.Hijacked() || rec.Status() != 200 || rec.Bytes() != 5 || rec.Err() != nil {
			t.Errorf("recorded: %d, %d bytes, %v, hijacked %t", rec.Status(), rec.Bytes(), rec.Err(), rec.Hijacked())
		}
	})
}

// A client that sends no body must not keep the connection after the handler has returned.
func TestTimeoutEndsTheConnectionOfAStalledUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		})))
		conn := s.dial()
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 503 ") {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// A read that cannot be interrupted does not keep the answer back.
func TestTimeoutAnswerDuringARead(t *testing.T) {
	for _, major := range []int{1, 2} {
		pr, pw := io.Pipe()
		r := httptest.NewRequest(http.MethodPost, "/", pr)
		r.ProtoMajor = major
		w := &timeoutReleases{httptest.NewRecorder(), pw}
		httpmw.Timeout(10*time.Millisecond, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
			<-r.Context().Done()
		})).ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("HTTP/%d: %d", major, w.Code)
		}
	}
}

// A timeoutReleases closes what waits for the answer.
type timeoutReleases struct {
	*httptest.ResponseRecorder
	io.Closer
}

func (w *timeoutReleases) WriteHeader(status int) {
	w.ResponseRecorder.WriteHeader(status)
	w.Close()
}

// The context has ended as soon as that of the request has.
func TestTimeoutContextOfARequestThatHasEnded(t *testing.T) {
	timeoutMajors(t, func(t *testing.T, major int) {
		parent, cancel := context.WithCancel(t.Context())
		timeoutRun(parent, major, func(ctx context.Context) {
			cancel()
			select {
			case <-ctx.Done():
			default:
				t.Error("it has not ended")
			}
		})
	})
}

// net/http reads a body before it writes. That is interrupted, too.
func TestTimeoutWriteThatWaitsForTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Write(make([]byte, 10_000))
			w.Write(make([]byte, 10_000))
		})))
		conn := s.dial()
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		start := time.Now()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("it ended after %v, %v", time.Since(start), err)
		}
	})
}

// A writer that is kept longer than the handler runs is of no use.
func TestTimeoutWriterAfterTheHandler(t *testing.T) {
	for _, major := range []int{1, 2} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.ProtoMajor = major
		var kept http.ResponseWriter
		httpmw.Timeout(time.Minute, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			kept = w
		})).ServeHTTP(httptest.NewRecorder(), r)
		if n, err := kept.Write([]byte("late")); n != 0 || !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("HTTP/%d: %d, %v", major, n, err)
		}
	}
}
