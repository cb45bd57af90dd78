package httpmw_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// A runServer is a call of Run in a bubble.
type runServer struct {
	paceServer
	stop  context.CancelFunc
	ended chan error
}

func runServe(t *testing.T, grace time.Duration, handler http.HandlerFunc) *runServer {
	t.Helper()
	s := &runServer{ended: make(chan error, 1)}
	s.t, s.srv = t, httpmw.NewServer(handler, nil)
	l, err := s.network.Listen("tcp", "192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	go func() { s.ended <- httpmw.Run(ctx, s.srv, l, grace) }()
	t.Cleanup(func() { stop(); time.Sleep(1000 * time.Hour) })
	synctest.Wait()
	return s
}

// wants waits for the end of Run.
func (s *runServer) wants(after time.Duration, target error) {
	s.t.Helper()
	begin := time.Now()
	err := <-s.ended
	if took := time.Since(begin); !errors.Is(err, target) || took < after || took > after+2*time.Second {
		s.t.Errorf("Run returns %v after %v, want %v after %v", err, took, target, after)
	}
	if conn, err := s.network.Dial("tcp", s.addr); err == nil {
		conn.Close()
		s.t.Error("the listener is open")
	}
}

func TestRunFinishesWhatIsInFlight(t *testing.T) {
	slow := func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "begun,")
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Second)
		io.WriteString(w, "ended")
	}
	synctest.Test(t, func(t *testing.T) {
		s := runServe(t, 0, slow)
		idle := s.dial()
		idle.send(get)
		idle.answer()
		c := s.dial()
		c.send(get)
		second := make(chan string, 1)
		go func() {
			resp, err := s.h2c().Get("http://" + s.addr)
			if err != nil {
				second <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			second <- fmt.Sprint(string(b), err)
		}()
		time.Sleep(time.Second)
		s.stop()
		begin := time.Now()
		idle.ended()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("an idle connection ends after %v", took)
		}
		if _, body := c.answer(); body != "begun,ended" {
			t.Errorf("response is %q", body)
		}
		if body := <-second; body != "begun,ended<nil>" {
			t.Errorf("HTTP/2: response is %q", body)
		}
		s.wants(0, nil)
	})
}

func TestRunEndsWithGrace(t *testing.T) {
	for _, tt := range []struct{ grace, want time.Duration }{{0, 15 * time.Second}, {3 * time.Second, 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			var canceled atomic.Bool
			s := runServe(t, tt.grace, func(_ http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				canceled.Store(true)
			})
			c := s.dial()
			c.send(get)
			synctest.Wait()
			s.stop()
			s.wants(tt.want, context.DeadlineExceeded)
			c.ended()
			synctest.Wait()
			if !canceled.Load() {
				t.Error("the handler's context goes on")
			}
		})
	}
}

func TestRunWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runServe(t, -1, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Hour)
			io.WriteString(w, "at last")
		})
		c := s.dial()
		c.send(get)
		synctest.Wait()
		s.stop()
		s.wants(time.Hour, nil)
		if _, body := c.answer(); body != "at last" {
			t.Errorf("response is %q", body)
		}
	})
}

func TestRunAfterTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hooked atomic.Int32
		var n memnet.Network
		l, err := n.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		srv := httpmw.NewServer(nil, nil)
		srv.RegisterOnShutdown(func() { hooked.Add(1) })
		if err := httpmw.Run(ctx, srv, l, 0); err != nil {
			t.Errorf("Run: %v", err)
		}
		synctest.Wait()
		if hooked.Load() != 1 {
			t.Errorf("%d calls of the hook, want 1", hooked.Load())
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is not closed: %v", err)
		}
	})
}

// The book's server held such an error until a signal came.
func TestRunReportsStartUpErrorsAtOnce(t *testing.T) {
	closed := func(t *testing.T) net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return l
	}
	tests := []struct {
		name string
		srv  func() *http.Server
		l    func(t *testing.T) net.Listener
		want error
	}{
		{"closed listener", func() *http.Server { return httpmw.NewServer(nil, nil) }, closed, net.ErrClosed},
		{"listener that fails", func() *http.Server { return httpmw.NewServer(nil, nil) }, func(*testing.T) net.Listener { return brokenListener{} }, errBroken},
		{"no certificate", func() *http.Server {
			srv := httpmw.NewServer(nil, nil)
			srv.TLSConfig = new(tls.Config)
			return srv
		}, nil, nil},
		{"closed server", func() *http.Server {
			srv := httpmw.NewServer(nil, nil)
			srv.Close()
			return srv
		}, nil, http.ErrServerClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if tt.l != nil {
				l.Close()
				l = tt.l(t)
			}
			err = httpmw.Run(t.Context(), tt.srv(), l, 0) // whose context does not end
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Run: %v, want %v", err, tt.want)
			}
			if err := l.Close(); err == nil {
				t.Error("the listener is not closed")
			}
		})
	}
}

var errBroken = errors.New("broken")

type brokenListener struct{}

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }
func (brokenListener) Close() error              { return errBroken }
func (brokenListener) Addr() net.Addr            { return &net.TCPAddr{} }

// A listener that fails while there are connections ends them, too.
func TestRunListenerFailsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		l, err := n.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- httpmw.Run(t.Context(), httpmw.NewServer(nil, nil), l, 0) }()
		conn, err := n.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run: %v, want %v", err, net.ErrClosed)
		}
		begin := time.Now()
		if b, _ := io.ReadAll(conn); len(b) > 0 || time.Since(begin) > 0 {
			t.Errorf("the connection sends %q, and ends after %v", b, time.Since(begin))
		}
		time.Sleep(time.Hour)
	})
}

func TestRunStoppedBySomebodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runServe(t, 0, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Minute)
			io.WriteString(w, "whole")
		})
		var hooked atomic.Int32
		s.srv.RegisterOnShutdown(func() { hooked.Add(1) })
		c := s.dial()
		c.send(get)
		synctest.Wait()
		shut := make(chan error, 1)
		go func() { shut <- s.srv.Shutdown(t.Context()) }()
		s.wants(0, http.ErrServerClosed)
		if _, body := c.answer(); body != "whole" {
			t.Errorf("response is %q", body)
		}
		if err := <-shut; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if hooked.Load() != 1 {
			t.Errorf("%d calls of the hook, want 1", hooked.Load())
		}
	})
}

func TestRunLeavesHijackedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runServe(t, 0, func(w http.ResponseWriter, _ *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				defer conn.Close()
				io.CopyN(conn, rw, 4)
			}()
		})
		c := s.dial()
		c.send(get)
		synctest.Wait()
		s.stop()
		s.wants(0, nil)
		c.send("echo")
		if b, err := io.ReadAll(c.r); string(b) != "echo" || err != nil {
			t.Errorf("the hijacked connection sends %q, %v", b, err)
		}
	})
}

// With TLS, HTTP/2 is agreed on, and what Run started has ended when it returns.
func TestRunTLS(t *testing.T) {
	before := runtime.NumGoroutine()
	spare := httptest.NewUnstartedServer(nil) // for its certificate
	spare.StartTLS()
	client := spare.Client()
	config := spare.TLS.Clone()
	spare.Close()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httpmw.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }), nil)
	srv.TLSConfig = &tls.Config{Certificates: config.Certificates}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- httpmw.Run(ctx, srv, l, 10*time.Second) }()

	tr := client.Transport.(*http.Transport).Clone()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		tr.ForceAttemptHTTP2 = proto == "HTTP/2.0"
		tr := tr.Clone()
		resp, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Get("https://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != proto || err != nil {
			t.Errorf("the protocol is %s, %v, want %s", body, err, proto)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// HTTP/1.1 and HTTP/2 are served on one port, and nobody is upgraded.
func TestServerProtocolsOnOnePort(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = httpmw.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }), nil)
	srv.Start()
	defer srv.Close()
	for _, major := range []int{1, 2} {
		client := srv.Client()
		if major == 2 {
			client = instrumentClients(t)["HTTP/2"]
		}
		resp, err := client.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("HTTP/%d.", major); !strings.HasPrefix(string(body), want) || err != nil || resp.ProtoMajor != major {
			t.Errorf("protocol is %s, %v, want %s", body, err, want)
		}
	}
	conn := connect(t, "tcp", srv.Listener.Addr().String())
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 1 {
		t.Errorf("Upgrade: h2c is answered with %s %s, want an answer of HTTP/1.1", resp.Proto, resp.Status)
	}
}
