package httpmw_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// The sequences of states that net/http documents, and what the gauge shows after each.
func TestConnGaugeStates(t *testing.T) {
	for _, tt := range []struct {
		name           string
		states         []http.ConnState
		open, hijacked int64
	}{
		{"closed at once", []http.ConnState{http.StateNew, http.StateClosed}, 0, 0},
		{"open", []http.ConnState{http.StateNew}, 1, 0},
		{"idle", []http.ConnState{http.StateNew, http.StateActive, http.StateIdle}, 1, 0},
		{"closed", []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateClosed}, 0, 0},
		{"hijacked", []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateHijacked}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var g httpmw.ConnGauge
			for _, state := range tt.states {
				g.ConnState(nil, state)
				if state == http.StateNew && g.Open() != 1 {
					t.Errorf("Open() = %d after StateNew, want 1", g.Open())
				}
			}
			if g.Open() != tt.open || g.Hijacked() != tt.hijacked {
				t.Errorf("Open() = %d, Hijacked() = %d, want %d and %d", g.Open(), g.Hijacked(), tt.open, tt.hijacked)
			}
		})
	}
}

// A gaugeServer is a server with a gauge, that tells of each state.
type gaugeServer struct {
	httpmw.ConnGauge
	*httptest.Server
	states chan http.ConnState
}

func newGaugeServer(t *testing.T, handler http.HandlerFunc, start func(*httptest.Server)) *gaugeServer {
	g := &gaugeServer{states: make(chan http.ConnState, 1000)}
	g.Server = httptest.NewUnstartedServer(handler)
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		g.ConnState(conn, state)
		if g.Open() < 0 {
			t.Errorf("Open() = %d after %v", g.Open(), state)
		}
		g.states <- state
	}
	start(g.Server)
	t.Cleanup(g.Server.Close)
	return g
}

func (g *gaugeServer) addr() string { return g.Listener.Addr().String() }

// await waits until a connection has come to a state, and returns those on the way.
func (g *gaugeServer) await(t *testing.T, state http.ConnState) (states []http.ConnState) {
	t.Helper()
	for {
		select {
		case s := <-g.states:
			if states = append(states, s); s == state {
				return states
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("after 10 seconds no connection is %v; the states were %v", state, states)
		}
	}
}

// check compares what the gauge shows.
func (g *gaugeServer) check(t *testing.T, when string, open, hijacked int64) {
	t.Helper()
	if g.Open() != open || g.Hijacked() != hijacked {
		t.Errorf("%s: Open() = %d, Hijacked() = %d, want %d and %d", when, g.Open(), g.Hijacked(), open, hijacked)
	}
}

func gaugeHandler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/panic":
		panic("as intended")
	case "/hijack":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		conn.Close()
	case "/wait":
		<-r.Context().Done()
	}
}

// What clients and handlers do with connections of HTTP/1.1.
func TestConnGaugeConnections(t *testing.T) {
	g := newGaugeServer(t, gaugeHandler, (*httptest.Server).Start)
	for _, tt := range []struct {
		name   string
		send   string // and then the client leaves
		wait   string // before that: for the request to be "read", or its "answer"
		end    http.ConnState
		states []http.ConnState
	}{
		{"silent", "", "", http.StateClosed, []http.ConnState{http.StateNew, http.StateClosed}},
		{"half a header", "GET / HTTP/1.1\r\nHo", "", http.StateClosed, []http.ConnState{http.StateNew, http.StateActive, http.StateClosed}},
		{"nonsense", "\r\nGET\r\n\r\n", "answer", http.StateClosed, nil},
		{"one request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "answer", http.StateClosed, nil},
		{"panic", "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n", "read", http.StateClosed, nil},
		{"gone while the handler runs", "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", "read", http.StateClosed, nil},
		{"taken", "GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n", "read", http.StateHijacked, nil},
		{
			"taken by the second request", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /hijack HTTP/1.1\r\nHost: a\r\n\r\n", "answer", http.StateHijacked,
			[]http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateHijacked},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hijacked := g.Hijacked()
			conn := connect(t, "tcp", g.addr())
			states := g.await(t, http.StateNew)
			g.check(t, "connected", 1, hijacked)
			if _, err := io.WriteString(conn, tt.send); err != nil {
				t.Fatal(err)
			}
			if tt.wait == "read" {
				states = append(states, g.await(t, http.StateActive)...)
			}
			if tt.wait == "answer" {
				if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			conn.Close()
			if len(states) == 0 || states[len(states)-1] != tt.end {
				states = append(states, g.await(t, tt.end)...)
			}
			if tt.end == http.StateHijacked {
				hijacked++
			}
			g.check(t, "at the end", 0, hijacked)
			if tt.states != nil && !slices.Equal(states, tt.states) {
				t.Errorf("the states were %v, want %v", states, tt.states)
			}
		})
	}
	if len(g.states) != 0 {
		t.Errorf("%v comes after the end", <-g.states)
	}
}

// Connections of HTTP/2, over TLS and without.
func TestConnGaugeHTTP2(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start func(*httptest.Server)
	}{
		{"h2", func(s *httptest.Server) {
			s.EnableHTTP2 = true
			s.StartTLS()
		}},
		{"h2c", func(s *httptest.Server) {
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGaugeServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 {
					t.Errorf("the protocol is %s", r.Proto)
				}
				gaugeHandler(w, r)
			}, tt.start)
			client := g.Client()
			if tt.name == "h2c" {
				client = instrumentClients(t)["HTTP/2"]
			}
			for range 3 {
				if err := instrumentGet(t, client, "GET", g.URL+"/"); err != nil {
					t.Fatal(err)
				}
				// A stream that fails does not end the connection.
				if err := instrumentGet(t, client, "GET", g.URL+"/panic"); err == nil {
					t.Error("a handler that panics has answered")
				}
			}
			g.await(t, http.StateNew)
			g.check(t, "after requests", 1, 0)
			client.CloseIdleConnections()
			g.await(t, http.StateClosed)
			g.check(t, "at the end", 0, 0)
		})
	}
}

func TestConnGaugeFailedHandshakes(t *testing.T) {
	g := newGaugeServer(t, gaugeHandler, (*httptest.Server).StartTLS)
	for _, tt := range []struct {
		name string
		fail func(conn net.Conn) error
	}{
		{"plain HTTP", func(conn net.Conn) error {
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			_, err := io.ReadAll(conn)
			return err
		}},
		{"another protocol", func(conn net.Conn) error {
			fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.9\r\n")
			_, err := io.ReadAll(conn)
			return err
		}},
		{"a certificate that the client does not trust", func(conn net.Conn) error {
			if err := tls.Client(conn, &tls.Config{ServerName: "example.com"}).Handshake(); err == nil {
				return fmt.Errorf("the handshake succeeds")
			}
			return nil
		}},
		{"gone", func(net.Conn) error { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := connect(t, "tcp", g.addr())
			g.await(t, http.StateNew)
			g.check(t, "connected", 1, 0)
			if err := tt.fail(conn); err != nil {
				t.Error(err)
			}
			conn.Close()
			g.await(t, http.StateClosed)
			g.check(t, "at the end", 0, 0)
		})
	}
}

// Clients that are too slow are the server's until it cuts them.
func TestConnGaugeSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		var g httpmw.ConnGauge
		l, err := network.Listen("tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{
			Handler:           http.HandlerFunc(gaugeHandler),
			ConnState:         g.ConnState,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       time.Minute,
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		for _, tt := range []struct {
			send string
			wait time.Duration
		}{
			{"GET / HTTP/1.1\r\nHo", 10 * time.Second},
			{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", time.Minute},
		} {
			conn, err := network.Dial("tcp", "127.0.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, tt.send); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if g.Open() != 1 {
				t.Errorf("Open() = %d while the client is slow, want 1", g.Open())
			}
			start := time.Now()
			if _, err := io.ReadAll(conn); err != nil {
				t.Error(err)
			}
			if waited := time.Since(start); waited != tt.wait {
				t.Errorf("the server waited %v, want %v", waited, tt.wait)
			}
			conn.Close()
			synctest.Wait()
			if g.Open() != 0 {
				t.Errorf("Open() = %d after that, want 0", g.Open())
			}
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
}
