package httpmw_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// A paceServer is a server of NewServer in a bubble.
type paceServer struct {
	t       *testing.T
	network memnet.Network
	srv     *http.Server
	addr    string
}

// paceServe starts one. What it cannot do is an error of the test.
func paceServe(t *testing.T, handler http.HandlerFunc) *paceServer {
	t.Helper()
	s := &paceServer{t: t, srv: httpmw.NewServer(handler, nil)}
	l, err := s.network.Listen("tcp", "192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ended := make(chan error)
	go func() { ended <- s.srv.Serve(l) }()
	synctest.Wait()
	t.Cleanup(func() {
		s.srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		time.Sleep(1000 * time.Hour) // until all that sleeps has ended
	})
	return s
}

// A paceClient is a connection of HTTP/1.1 to it.
type paceClient struct {
	*memnet.Conn
	t *testing.T
	r *bufio.Reader
}

func (s *paceServer) dial() *paceClient {
	s.t.Helper()
	conn, err := s.network.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return &paceClient{Conn: conn, t: s.t, r: bufio.NewReader(conn)}
}

func (c *paceClient) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// drip sends s every pause until the connection ends.
func (c *paceClient) drip(pause time.Duration, s string) {
	go func() {
		for {
			if _, err := io.WriteString(c, s); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}()
}

// answer reads a response, and returns it with its body.
func (c *paceClient) answer() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(body)
}

// ended waits for the end of the connection.
func (c *paceClient) ended() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 {
		c.t.Errorf("before its end the connection sends %q, %v", b, err)
	}
}

// h2c returns a client of HTTP/2.
func (s *paceServer) h2c() *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), DialContext: s.network.DialContext}
	tr.Protocols.SetUnencryptedHTTP2(true)
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// readAll is a handler that answers what became of the body, and when.
func readAll(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	b, err := io.ReadAll(r.Body)
	took := time.Since(begin)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		http.Error(w, fmt.Sprint(took), http.StatusRequestTimeout)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		fmt.Fprintln(w, len(b), took)
	}
}

const (
	post    = "POST / HTTP/1.1\r\nHost: h\r\n"
	sized   = post + "Content-Length: 1000000\r\n\r\n"
	chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
	get     = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
)

func TestSlowBodyIsCut(t *testing.T) {
	kib := strings.Repeat("x", 1024)
	tests := []struct {
		name   string
		first  string
		pause  time.Duration
		drip   string
		cut    time.Duration // the least; there may be an eighth more of what was earned
		handle http.HandlerFunc
	}{
		{"nothing comes", sized, time.Hour, "", 30 * time.Second, readAll},
		{"a byte every 2 s", sized, 2 * time.Second, "x", 30 * time.Second, readAll},
		{"chunks of a byte", chunked, 2 * time.Second, "1\r\nx\r\n", 30 * time.Second, readAll},
		{"a chunk extension", chunked + "1;", 2 * time.Second, "x", 30 * time.Second, readAll},
		{"chunk extensions", chunked, 2 * time.Second, "1;a=b\r\nx\r\n", 30 * time.Second, readAll},
		{"trailers that do not come", chunked + "0\r\n", time.Hour, "", 30 * time.Second, readAll},
		{"a trailer that does not end", chunked + "0\r\n", 2 * time.Second, "x", 30 * time.Second, readAll},
		{"100 KiB, then nothing", sized + strings.Repeat(kib, 100), time.Hour, "", 130 * time.Second, readAll},
		{"half the rate", sized, 2 * time.Second, kib, 59 * time.Second, readAll},
		{"own goroutine", sized, 2 * time.Second, "x", 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			done := make(chan struct{})
			go func() { readAll(w, r); close(done) }()
			<-done
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := paceServe(t, tt.handle).dial()
				c.send(tt.first)
				c.drip(tt.pause, tt.drip)
				begin := time.Now()
				resp, body := c.answer()
				took, most := time.Since(begin), tt.cut+(tt.cut-30*time.Second)/7
				if resp.StatusCode != http.StatusRequestTimeout || took < tt.cut || took > most+time.Second {
					t.Errorf("answer is %d %q after %v, want 408 after %v to %v", resp.StatusCode, body, took, tt.cut, most)
				}
				if !resp.Close {
					t.Error("the connection is kept")
				}
				c.ended()
			})
		})
	}
}

func TestBodyInTimeIsNotCut(t *testing.T) {
	const size = 600 << 10
	tests := []struct {
		name string
		n    int
		each time.Duration
	}{
		{"1 KiB a second", 1 << 10, time.Second},
		{"in gusts", 60 << 10, time.Minute},
		{"at once", size, time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := paceServe(t, readAll).dial()
				for range 2 { // the connection stays good
					c.send(post + fmt.Sprintf("Content-Length: %d\r\n\r\n", size))
					for range size / tt.n {
						c.send(strings.Repeat("x", tt.n))
						time.Sleep(tt.each)
					}
					if resp, body := c.answer(); resp.StatusCode != 200 || !strings.HasPrefix(body, fmt.Sprint(size)) {
						t.Fatalf("answer is %d %q", resp.StatusCode, body)
					}
				}
			})
		})
	}
}

// The handler's own time is not the client's.
func TestHandlerThatTakesItsTimeKeepsTheBody(t *testing.T) {
	handle := func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 4)
		for {
			time.Sleep(time.Hour)
			_, err := io.ReadFull(r.Body, b)
			if err == io.EOF {
				break
			}
			if err != nil {
				http.Error(w, err.Error(), 500)
				return
			}
		}
		time.Sleep(time.Hour)
		fmt.Fprint(w, "context: ", r.Context().Err())
	}
	synctest.Test(t, func(t *testing.T) {
		s := paceServe(t, handle)
		c := s.dial()
		for range 2 {
			c.send(post + "Content-Length: 16\r\n\r\n0123456789abcdef")
			if resp, body := c.answer(); body != "context: <nil>" || resp.Close {
				t.Errorf("HTTP/1.1: answer is %d %q, Close %t", resp.StatusCode, body, resp.Close)
			}
		}
		r, w := io.Pipe()
		go func() {
			for range 4 {
				io.WriteString(w, "0123")
				time.Sleep(59 * time.Minute) // so that it is there when the handler reads
			}
			w.Close()
		}()
		resp, err := s.h2c().Post("http://"+s.addr, "", r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "context: <nil>" || err != nil {
			t.Errorf("HTTP/2: answer is %d %q, %v", resp.StatusCode, body, err)
		}
	})
}

// What a handler leaves of a body net/http reads, before it sends the response or after.
func TestBodyThatNobodyReadsIsCut(t *testing.T) {
	big := strings.Repeat("b", 10_000)
	tests := []struct {
		name   string
		raw    string
		handle http.HandlerFunc
		status int           // 0 for none
		own    time.Duration // of the handler
	}{
		{"nothing written", sized[:len(sized)-8] + "0\r\n\r\n", func(http.ResponseWriter, *http.Request) {}, 200, 0},
		{"little written", chunked, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }, 200, 0},
		{"much written", chunked, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, big); w.Write([]byte(big)) }, 200, 0},
		{"flushed", chunked, func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, big) }, 200, 0},
		{"copied", chunked, func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader(big)) }, 200, 0},
		{"closed", chunked, func(w http.ResponseWriter, r *http.Request) { r.Body.Close(); io.WriteString(w, "ok") }, 200, 0},
		{"more than net/http reads", chunked + "50000\r\n" + strings.Repeat("x", 0x50000) + "\r\n", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, big) }, 200, 0},
		{"after a panic", chunked, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 0},
		{"after a panic with full duplex", chunked, func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			panic(http.ErrAbortHandler)
		}, 0, 0},
		{"with leave to send it", strings.Replace(chunked, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1), func(http.ResponseWriter, *http.Request) {}, 200, 0},
		{"in part", chunked + "4\r\nabcd\r\n", func(w http.ResponseWriter, r *http.Request) {
			io.ReadFull(r.Body, make([]byte, 4))
			time.Sleep(time.Hour)
			io.WriteString(w, "ok")
		}, 200, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := paceServe(t, tt.handle).dial()
				c.send(tt.raw)
				c.drip(2*time.Second, "1\r\nx\r\n")
				begin := time.Now()
				if tt.status != 0 {
					if resp, body := c.answer(); resp.StatusCode != tt.status {
						t.Errorf("answer is %d %q", resp.StatusCode, body)
					}
				}
				c.ended()
				if after := time.Since(begin); after > tt.own+35*time.Second {
					t.Errorf("the connection ends after %v", after)
				}
			})
		})
	}
}

// The end of a body that net/http found by itself must not end the request's context
// later, nor those of later requests.
func TestUnreadBodyThenLongResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				io.WriteString(w, strings.Repeat("x", 1000))
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
			}
			if err := r.Context().Err(); err != nil {
				t.Errorf("context: %v", err)
			}
		}).dial()
		for range 2 {
			c.send(chunked + "4\r\nabcd\r\n0\r\n\r\n")
			if resp, body := c.answer(); len(body) != 100_000 || resp.Close {
				t.Errorf("%d bytes, Close %t", len(body), resp.Close)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestHandlerSetsItsOwnReadDeadline(t *testing.T) {
	tests := []struct {
		name string
		set  time.Duration // 0 for no deadline
		want time.Duration // how long the read takes; the body is there after an hour
	}{
		{"none", 0, time.Hour},
		{"soon", time.Second, time.Second},
		{"late", 50 * time.Second, 50 * time.Second},
		{"passed", -time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
					if _, err := r.Body.Read(make([]byte, 1)); err != nil {
						t.Error(err)
					}
					var deadline time.Time
					if tt.set != 0 {
						deadline = time.Now().Add(tt.set)
					}
					if err := http.NewResponseController(w).SetReadDeadline(deadline); err != nil {
						t.Error(err)
					}
					begin := time.Now()
					_, err := r.Body.Read(make([]byte, 1)) // which does not move it
					fmt.Fprint(w, time.Since(begin), " ", err == nil || err == io.EOF)
				})
				want := tt.want.String() + " " + strconv.FormatBool(tt.want == time.Hour)
				c := s.dial()
				c.send(post + "Content-Length: 2\r\n\r\n1")
				go func() {
					time.Sleep(time.Hour)
					c.Write([]byte("2")) // an error if the connection has ended
				}()
				if _, body := c.answer(); body != want {
					t.Errorf("HTTP/1.1: read of %q, want %q", body, want)
				}
				r, w := io.Pipe()
				defer w.Close()
				go func() {
					io.WriteString(w, "1")
					time.Sleep(time.Hour)
					io.WriteString(w, "2")
				}()
				resp, err := s.h2c().Post("http://"+s.addr, "", r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != want {
					t.Errorf("HTTP/2: read of %q, %v, want %q", body, err, want)
				}
			})
		})
	}
}

func TestReadTimeoutStaysStricter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := paceServe(t, readAll)
		s.srv.ReadTimeout = 5 * time.Second
		c := s.dial()
		c.send(sized + strings.Repeat("x", 100_000))
		begin := time.Now()
		resp, body := c.answer()
		if took := time.Since(begin); resp.StatusCode != http.StatusRequestTimeout || took > 6*time.Second {
			t.Errorf("answer is %d %q after %v, want 408 after 5s", resp.StatusCode, body, took)
		}
		begin = time.Now()
		r, w := io.Pipe()
		defer w.Close()
		resp, err := s.h2c().Post("http://"+s.addr, "", r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if took := time.Since(begin); resp.StatusCode != http.StatusRequestTimeout || took > 6*time.Second {
			t.Errorf("HTTP/2: answer is %d after %v, want 408 after 5s", resp.StatusCode, took)
		}
	})
}

func TestSlowBodyOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := paceServe(t, readAll)
		var conns atomic.Int32
		s.srv.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				conns.Add(1)
			}
		}
		client := s.h2c()
		r, w := io.Pipe()
		go func() { // drips for ever
			for {
				if _, err := io.WriteString(w, "x"); err != nil {
					return
				}
				time.Sleep(2 * time.Second)
			}
		}()
		begin := time.Now()
		resp, err := client.Post("http://"+s.addr, "", r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if took := time.Since(begin); resp.StatusCode != http.StatusRequestTimeout || err != nil || took < 30*time.Second || took > 31*time.Second {
			t.Errorf("answer is %d %q, %v after %v, want 408 after 30 s", resp.StatusCode, body, err, took)
		}
		// The connection serves the next, at the slowest rate that is in time.
		r2, w2 := io.Pipe()
		go func() {
			for range 100 {
				io.WriteString(w2, strings.Repeat("x", 1024))
				time.Sleep(time.Second)
			}
			w2.Close()
		}()
		resp, err = client.Post("http://"+s.addr, "", r2)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || err != nil || !strings.HasPrefix(string(body), "102400 ") {
			t.Errorf("the next answer is %d %q, %v", resp.StatusCode, body, err)
		}
		if conns.Load() != 1 {
			t.Errorf("there were %d connections, want 1", conns.Load())
		}
	})
}
