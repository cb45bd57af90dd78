package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/internal/memnet"
)

const (
	frontAddr   = "192.0.2.1:80"
	backendAddr = "192.0.2.2:80"
)

// serveAt serves on a network in memory until the test ends, or stop is called.
func serveAt(t *testing.T, network *memnet.Network, addr string, server *http.Server) (stop func()) {
	t.Helper()
	l, err := network.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// serveFront serves the route to the backend, and returns a client of it and the log.
func serveFront(t *testing.T, network *memnet.Network) (client *http.Client, log *daemon.Output) {
	t.Helper()
	log = new(daemon.Output)
	logger := slog.New(slog.NewJSONHandler(log, nil))
	upstream := newTransport()
	upstream.DialContext = network.DialContext
	serveAt(t, network, frontAddr, httpmw.NewServer(front(logger, []route{{"/backend", passTo(backendAddr, upstream, logger)}}), logger))
	downstream := &http.Transport{DialContext: network.DialContext}
	t.Cleanup(downstream.CloseIdleConnections)
	t.Cleanup(upstream.CloseIdleConnections)
	return &http.Client{Transport: downstream}, log
}

// While the backend is down clients get 502, which does not tell them where it should be, and
// once it is back it is found at once.
func TestBackendIsDownAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		client, log := serveFront(t, &network)
		check := func(want int, body string) {
			t.Helper()
			resp, got := get(t, client, "GET", "http://"+frontAddr+"/backend")
			if resp.StatusCode != want || got != body {
				t.Errorf("%d, %q, want %d, %q", resp.StatusCode, got, want, body)
			}
			synctest.Wait()
		}
		check(502, "Bad Gateway\n")
		for range 3 {
			stop := serveAt(t, &network, backendAddr, &http.Server{Handler: say("here")})
			check(200, "here")
			stop()
			check(502, "Bad Gateway\n")
		}
		if !strings.Contains(log.String(), `"proxy_error":"`) || !strings.Contains(log.String(), backendAddr) {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
}

// A status that is none is a fault of the backend, and no panic of the front.
func TestStatusThatIsNone(t *testing.T) {
	for _, status := range []string{"000", "099"} {
		synctest.Test(t, func(t *testing.T) {
			var network memnet.Network
			client, log := serveFront(t, &network)
			l, err := network.Listen("tcp", backendAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				conn, err := l.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					t.Error(err)
				}
				fmt.Fprintf(conn, "HTTP/1.1 %s \r\nContent-Length: 0\r\n\r\n", status)
			})
			resp, _ := get(t, client, "GET", "http://"+frontAddr+"/backend")
			synctest.Wait()
			if resp.StatusCode != 502 || strings.Contains(log.String(), "panic") {
				t.Errorf("%s: %d, %.300s", status, resp.StatusCode, log)
			}
		})
	}
}

// A backend that does not answer gets 504 in its place. Once it has begun to, it may take
// its time, as a stream does.
func TestSlowBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		client, _ := serveFront(t, &network)
		serveAt(t, &network, backendAddr, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "" {
				<-r.Context().Done()
				return
			}
			time.Sleep(29 * time.Second)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
			io.WriteString(w, "at last")
		})})
		for _, tt := range []struct {
			query  string
			status int
			body   string
			took   time.Duration
		}{
			{"", 504, "Gateway Timeout\n", 30 * time.Second},
			{"?slow", 200, "at last", time.Hour + 29*time.Second},
		} {
			begin := time.Now()
			resp, body := get(t, client, "GET", "http://"+frontAddr+"/backend"+tt.query)
			if took := time.Since(begin); resp.StatusCode != tt.status || body != tt.body || took != tt.took {
				t.Errorf("%d, %q after %v, want %d, %q after %v", resp.StatusCode, body, took, tt.status, tt.body, tt.took)
			}
		}
	})
}

// When the client goes, the backend need not go on, and the record does not blame it.
func TestClientIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		client, log := serveFront(t, &network)
		told := false
		serveAt(t, &network, backendAddr, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			told = true
		})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+frontAddr+"/backend", nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if resp, err := client.Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(resp, err)
		}
		synctest.Wait()
		if !told || time.Since(begin) != time.Second {
			t.Errorf("the backend was told: %v, after %v", told, time.Since(begin))
		}
		if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, `"status_code":499`) || !strings.Contains(s, `"canceled":true`) {
			t.Errorf("the log is %s", s)
		}
	})
}

// A body that the client does not finish, or that is none, is the client's fault.
func TestBodyThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		request string
		status  string
		took    time.Duration
	}{
		"slow":   {"Content-Length: 10\r\n\r\nx", "HTTP/1.1 408 ", 30 * time.Second},
		"broken": {"Transfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var network memnet.Network
				serveFront(t, &network)
				serveAt(t, &network, backendAddr, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						http.Error(w, "never seen", http.StatusTeapot)
					}
				})})
				conn, err := network.Dial("tcp", frontAddr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				begin := time.Now()
				fmt.Fprintf(conn, "POST /backend HTTP/1.1\r\nHost: x\r\n%s", tt.request)
				b := make([]byte, len(tt.status))
				_, err = io.ReadFull(conn, b)
				// What has arrived has bought a moment more.
				if took := time.Since(begin).Truncate(time.Second); err != nil || string(b) != tt.status || took != tt.took {
					t.Errorf("%q, %v after %v, want %q after %v", b, err, time.Since(begin), tt.status, tt.took)
				}
			})
		})
	}
}

// What a body fails with after Close is no fault of the client.
func TestBodyThatWasClosed(t *testing.T) {
	body := &clientBody{ReadCloser: io.NopCloser(iotest.ErrReader(http.ErrBodyReadAfterClose))}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := body.Read(nil); err != http.ErrBodyReadAfterClose || body.failed() != nil {
		t.Errorf("Read: %v, the fault is %v", err, body.failed())
	}
}

// timeout is an error of a dialer or of the transport.
type timeout struct{ error }

func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return false }

// Each failure has its status, and none of them tells more than that.
func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		err, body error
		want      int
	}{
		{errors.New("malformed HTTP response \"\x00\""), nil, 502},
		{timeout{errors.New("dial tcp 10.0.0.7:80: i/o timeout")}, nil, 504},
		{fmt.Errorf("wrapped: %w", timeout{errors.New("10.0.0.7")}), nil, 504},
		{context.DeadlineExceeded, nil, 504},
		{errors.New("write: broken pipe"), errors.New("malformed chunk"), 400},
		{context.Canceled, fmt.Errorf("wrapped: %w", os.ErrDeadlineExceeded), 408},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		body := &clientBody{ReadCloser: io.NopCloser(iotest.ErrReader(tt.body))}
		if tt.body != nil {
			if _, err := body.Read(nil); err != tt.body {
				t.Fatal(err)
			}
		}
		r.Body = body
		w := httptest.NewRecorder()
		refuse(w, r, tt.err)
		if w.Code != tt.want || w.Body.String() != http.StatusText(tt.want)+"\n" {
			t.Errorf("%v: %d, %q, want %d", tt.err, w.Code, w.Body, tt.want)
		}
	}
}
