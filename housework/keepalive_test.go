package housework_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/memnet"
)

// A keepaliveNet is a network whose connections can die without a word.
type keepaliveNet struct {
	memnet.Network
	dials atomic.Int32

	mu   sync.Mutex
	dead chan struct{} // closed when those that exist have died
}

// die cuts the existing connections so that neither end notices.
func (n *keepaliveNet) die() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.dead)
	n.dead = make(chan struct{})
}

func (n *keepaliveNet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.dials.Add(1)
	conn, err := n.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return n.wrap(conn), nil
}

func (n *keepaliveNet) wrap(conn net.Conn) net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &mortalConn{Conn: conn, dead: n.dead, closed: make(chan struct{})}
}

// A mortalConn neither sends nor receives once dead is closed.
type mortalConn struct {
	net.Conn
	dead   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (c *mortalConn) isDead() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

func (c *mortalConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.isDead() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *mortalConn) Write(p []byte) (int, error) {
	if c.isDead() {
		return len(p), nil // into the buffers of the system
	}
	return c.Conn.Write(p)
}

func (c *mortalConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	if c.isDead() {
		return c.SetReadDeadline(time.Unix(1, 0)) // the other end does not learn of it
	}
	return c.Conn.Close()
}

// mortals is a listener whose connections can die.
type mortals struct {
	net.Listener
	n     *keepaliveNet
	conns chan net.Conn
}

func (m *mortals) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn = m.n.wrap(conn)
	m.conns <- conn
	return conn, nil
}

// keepalivePair starts a server and dials it, in the bubble of the test.
func keepalivePair(t *testing.T, n *keepaliveNet) (*housework.Server, *housework.Client, *mortals) {
	t.Helper()
	n.dead = make(chan struct{})
	l, err := n.Listen("tcp", "192.0.2.1:34443")
	serverMust(t, err)
	s := &housework.Server{Rosie: serverRosie(), Insecure: true, IdleTimeout: -1}
	m := &mortals{Listener: l, n: n, conns: make(chan net.Conn, 10)}
	go s.Serve(m)
	c, err := housework.Dial(t.Context(), "192.0.2.1:34443", &housework.ClientOptions{Insecure: true, DialContext: n.dial})
	serverMust(t, err)
	return s, c, m
}

func keepaliveEnd(t *testing.T, s *housework.Server, c *housework.Client) {
	t.Helper()
	serverMust(t, c.Close())
	serverMust(t, s.Close())
	serverMust(t, s.Shutdown(t.Context()))
}

// A client that is idle pings as often as its server allows: the connection lasts, also
// with a call now and then.
func TestKeepaliveAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n keepaliveNet
		s, c, _ := keepalivePair(t, &n)
		for range 10 {
			// gRPC ends a connection that had no call for half an hour by itself.
			time.Sleep(29 * time.Minute)
			if _, err := c.List(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			time.Sleep(7 * time.Second)
			_, err := c.List(t.Context(), 1, 1)
			serverMust(t, err)
		}
		if dials := n.dials.Load(); dials != 1 {
			t.Errorf("%d connections, want 1", dials)
		}
		keepaliveEnd(t, s, c)
	})
}

// A client notices within 15 seconds that its connection is dead, and connects again.
func TestKeepaliveNoticesDeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n keepaliveNet
		s, c, _ := keepalivePair(t, &n)
		time.Sleep(time.Minute)
		n.die()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.List(ctx, 1, 1); err != nil {
			t.Errorf("List: %v", err)
		}
		if took := time.Since(begin); took > 15*time.Second+100*time.Millisecond {
			t.Errorf("noticed after %v", took)
		}
		// Within the time of a call it is an error of the time.
		n.die()
		if _, err := c.List(t.Context(), 1, 1); !errors.Is(err, context.DeadlineExceeded) || status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("List: %v", err)
		}
		keepaliveEnd(t, s, c)
	})
}

// A server notices within 30 seconds that a client is dead, and gives up its place.
func TestKeepaliveNoticesDeadClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n keepaliveNet
		s, c, m := keepalivePair(t, &n)
		served := (<-m.conns).(*mortalConn)
		time.Sleep(time.Minute)
		n.die()
		begin := time.Now()
		<-served.closed
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("noticed after %v", took)
		}
		keepaliveEnd(t, s, c)
	})
}

// A connection without a call is ended after the idle time, and the client comes
// back when it has one.
func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		l, err := n.Listen("tcp", "192.0.2.1:34443")
		serverMust(t, err)
		s := &housework.Server{Rosie: serverRosie(), Insecure: true, IdleTimeout: time.Minute}
		go s.Serve(l)
		var dials atomic.Int32
		c, err := housework.Dial(t.Context(), "192.0.2.1:34443", &housework.ClientOptions{
			Insecure: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				return n.DialContext(ctx, network, address)
			},
		})
		serverMust(t, err)
		for i, pause := range []time.Duration{50 * time.Second, 50 * time.Second, 70 * time.Second} {
			time.Sleep(pause)
			_, err := c.List(t.Context(), 1, 1)
			serverMust(t, err)
			if got, want := dials.Load(), int32(1+i/2); got != want {
				t.Errorf("%d connections after %d calls, want %d", got, i+1, want)
			}
		}
		keepaliveEnd(t, s, c)
	})
}

// Whoever connects and does not go on is cut after 10 seconds.
func TestSilentClient(t *testing.T) {
	serverConfig, _ := serverTLS(t)
	for _, tls := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &housework.Server{Rosie: serverRosie(), Insecure: !tls}
			if tls {
				s.TLSConfig = serverConfig
			}
			client, conn := memnet.Pipe()
			begin := time.Now()
			if err := s.ServeConn(t.Context(), conn); err != nil {
				t.Errorf("ServeConn: %v", err)
			}
			if took := time.Since(begin); took != 10*time.Second {
				t.Errorf("cut after %v, want 10s", took)
			}
			client.Close()
			serverMust(t, s.Close())
			serverMust(t, s.Shutdown(t.Context()))
		})
	}
}
