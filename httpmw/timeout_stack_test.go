package httpmw_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// timeoutNumbered answers with as many bytes as the request's number says, in the ways that
// the path names, at about the time that the limit ends.
func timeoutNumbered(file string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.Header.Get("X-Number"))
		rc := http.NewResponseController(w)
		w.Header().Set("X-Number", strconv.Itoa(n))
		until, _ := r.Context().Deadline()
		wait := func() {
			for time.Until(until) > time.Duration(n%40-20)*20*time.Microsecond {
				runtime.Gosched()
			}
		}
		body := bytes.Repeat([]byte{'a' + byte(n%26)}, 100*n%20000+1)
		switch n % 8 {
		case 0: // at once, in the end
			wait()
			w.Write(body)
		case 1: // in two
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.Write(body[:len(body)/2])
			wait()
			w.Write(body[len(body)/2:])
		case 2: // flushed
			w.Write(body[:len(body)/2])
			rc.Flush()
			wait()
			w.Write(body[len(body)/2:])
		case 3: // it echoes
			io.Copy(w, r.Body)
			wait()
		case 4: // a file
			wait()
			http.ServeFile(w, r, file)
		case 5: // early hints
			w.WriteHeader(http.StatusEarlyHints)
			wait()
			w.WriteHeader(http.StatusTeapot)
			w.Write(body)
		case 6: // a goroutine reads
			done := make(chan bool)
			go func() {
				defer close(done)
				io.Copy(io.Discard, r.Body)
			}()
			wait()
			rc.SetReadDeadline(time.Now().Add(time.Minute))
			<-done
			w.Write(body)
		default: // it panics
			wait()
			panic(http.ErrAbortHandler)
		}
	}
}

// timeoutCheck checks a response to a request of that number: the whole of the handler's, or
// the answer in its place, or an error.
func timeoutCheck(n int, resp *http.Response, got []byte) error {
	if resp.StatusCode == http.StatusServiceUnavailable {
		if string(got) != "Service Unavailable" || resp.Header.Get("X-Number") != "" {
			return fmt.Errorf("%d: the answer %q has %v", n, got, resp.Header)
		}
		return nil
	}
	want := bytes.Repeat([]byte{'a' + byte(n%26)}, 100*n%20000+1)
	switch n % 8 {
	case 3:
		want = []byte("a body")
	case 4:
		want = []byte(strings.Repeat("file", 10_000))
	}
	if resp.Header.Get("X-Number") != strconv.Itoa(n) || !bytes.Equal(got, want) {
		return fmt.Errorf("%d: %d, %v, %d bytes of %d", n, resp.StatusCode, resp.Header, len(got), len(want))
	}
	return nil
}

// Through all the middleware, on real connections, a client gets a whole response, or the
// answer in place of it, or learns that there is none; and the server has nothing to complain.
func TestTimeoutInAStack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("file", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	var complaints timeoutLog
	discard := slog.New(slog.NewTextHandler(io.Discard, nil))
	srv := httptest.NewUnstartedServer(httpmw.Chain(
		httpmw.WideEvent(discard, nil),
		httpmw.Instrument(&httpmw.Metrics{}, nil),
		httpmw.Recover(discard),
		httpmw.Timeout(2*time.Millisecond, nil),
		httpmw.DrainAndClose(nil),
		httpmw.MaxBody(1<<20),
	)(timeoutNumbered(file)))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(&complaints, "", 0)
	srv.StartTLS()
	client := srv.Client()
	http1 := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	http1.NextProtos = []string{"http/1.1"}
	var failures, whole, late sync.Map
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 50 {
				n := worker*50 + i
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("a body"))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("X-Number", strconv.Itoa(n))
				resp, got, err := timeoutOne(client, r, []*tls.Config{nil, http1}[worker%2])
				switch {
				case err != nil:
					failures.Store(n, err)
				case timeoutCheck(n, resp, got) != nil:
					t.Error(timeoutCheck(n, resp, got))
				case resp.StatusCode == 503:
					late.Store(n, true)
				default:
					whole.Store(n, true)
				}
			}
		})
	}
	wg.Wait()
	srv.Close()
	size := func(m *sync.Map) (n int) {
		m.Range(func(any, any) bool { n++; return true })
		return n
	}
	t.Logf("%d whole, %d late, %d failed", size(&whole), size(&late), size(&failures))
	if size(&late) == 0 || size(&failures) == 0 {
		t.Error("too few kinds of ends")
	}
	for line := range strings.Lines(complaints.String()) {
		// A client may dial more connections than it uses, which srv.Close cuts.
		if !strings.Contains(line, "TLS handshake error") {
			t.Errorf("the server's log: %s", line)
		}
	}
}

// timeoutOne sends a request over HTTP/2, or over HTTP/1.1 on a connection of its own, which
// sometimes leaves before the response.
func timeoutOne(client *http.Client, r *http.Request, http1 *tls.Config) (*http.Response, []byte, error) {
	if http1 == nil {
		resp, err := client.Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		return resp, got, err
	}
	conn, err := tls.Dial("tcp", r.URL.Host, http1)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(20*time.Second)), r.Write(conn)); err != nil {
		return nil, nil, err
	}
	if rand.IntN(10) == 0 {
		return nil, nil, errors.New("the client has left")
	}
	br := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(br, r)
		if err != nil {
			return nil, nil, err
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 200 {
			return resp, got, err
		}
	}
}

// A timeoutLog keeps what is written to it.
type timeoutLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *timeoutLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *timeoutLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
