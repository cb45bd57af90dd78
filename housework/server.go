package housework

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/netparts/netparts/internal/serve"
)

// ErrServerClosed is what Serve and the like return after Shutdown or Close.
var ErrServerClosed = errors.New("housework: server closed")

// A Server serves a Rosie over gRPC, with TLS 1.3, health checks (grpc.health.v1, for
// the whole and for "housework.RobotMaid") and limits: 10 seconds for the handshakes of
// a connection, 128 calls at once on each, 16 KiB of headers and 4 MiB of message for a
// call.
//
// Clients may ping every 5 seconds, also without a call, and a [Client] does every
// 10. The server pings one that it has not heard of for 20 seconds, and cuts it
// after 10 more.
//
// The exported fields must not be changed after the first call to a method that
// serves. All methods are safe for concurrent use.
type Server struct {
	// Rosie is what it serves. She must not be nil, nor her Store, which stays open
	// when the server is closed.
	Rosie *Rosie

	// TLSConfig has the certificate and says who may connect; package tlsutil makes
	// such. TLS 1.3 is required of clients, and "h2" is negotiated, whatever it says,
	// or what its GetConfigForClient returns. If nil, Serve is an error unless Insecure
	// is set.
	TLSConfig *tls.Config

	// Insecure serves without TLS, for Unix sockets and tests.
	Insecure bool

	// Reflection lets clients ask for the definitions of the services.
	Reflection bool

	// MaxConns is how many connections are served at once. At the limit no more are
	// accepted, so that they wait in the backlog of the system. Each can make the server
	// keep half a GiB, 128 messages of which the end never comes, for as long as it
	// likes. If zero or negative, there is no limit.
	MaxConns int

	// IdleTimeout is how long a connection may be without a call. If zero, it is an
	// hour. If negative, there is no limit.
	IdleTimeout time.Duration

	// Logger gets a record for each call, with the error that clients learn nothing of
	// unless Rosie has an OnError of her own. It gets one for each connection whose
	// handshake failed, at most ten in a second, and one for each spell of accept errors
	// that pass. If nil, nothing is logged.
	Logger *slog.Logger

	// Listening is called by ListenAndServe when it listens, with the address, which
	// tells the port if that was 0. If nil, nothing is called.
	Listening func(net.Addr)

	// Options are further options of the *grpc.Server, which come last.
	Options []grpc.ServerOption

	group serve.Group

	mu       sync.Mutex
	stopping bool    // Shutdown or Close has begun
	engine   *engine // nil before the first Serve
}

// ListenAndServe listens on the network (tcp, tcp4, tcp6 or unix, as for net.Listen)
// and serves. The file of a Unix socket is removed at the end if it is still the same.
func (s *Server) ListenAndServe(network, address string) error {
	// What is wrong with the fields is told before anybody can connect.
	if _, err := s.start(); err != nil {
		return err
	}
	l, err := listenOn(network, address)
	if err != nil {
		return err
	}
	if s.Listening != nil {
		s.Listening(l.Addr())
	}
	return s.Serve(l)
}

func listenOn(network, address string) (net.Listener, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		return net.Listen(network, address)
	case "unix":
		return serve.ListenUnix(network, address)
	}
	return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
}

// Serve accepts connections on l and serves them. It always returns a non-nil error
// and closes l. After Shutdown or Close the error is [ErrServerClosed]. After another
// one the connections are still served: call Shutdown or Close.
//
// Errors that pass, as for want of descriptors, do not end it: it pauses for 5 ms
// to 1 s and goes on.
func (s *Server) Serve(l net.Listener) error {
	e, err := s.start()
	if err != nil {
		_ = l.Close() // err says more
		return err
	}
	return s.group.Serve(l, s.config(e))
}

// ServeConn serves conn, without TLS around it yet, until that ends, and closes it. It
// returns nil, or the cause of ctx if that ended, or [ErrServerClosed] if the server was
// closed. MaxConns does not delay it.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) error {
	e, err := s.start()
	if err != nil {
		_ = conn.Close() // err says more
		return err
	}
	return s.group.ServeConn(ctx, conn, s.config(e))
}

func (s *Server) config(e *engine) serve.Config {
	return serve.Config{
		Begin:    e.begin,
		Closed:   ErrServerClosed,
		MaxConns: s.MaxConns,
		Logger:   s.Logger,
	}
}

// start returns the engine, and starts it if it is not running.
func (s *Server) start() (*engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, ErrServerClosed
	}
	if s.engine == nil {
		e, err := newEngine(s)
		if err != nil {
			return nil, err
		}
		s.engine = e
		go e.run()
	}
	return s.engine, nil
}

// stop keeps the engine from being started, and returns it if it was.
func (s *Server) stop() *engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	return s.engine
}

// Addr returns the address that the server listens on, the first one if there are
// several, or nil before it does.
func (s *Server) Addr() net.Addr { return s.group.Addr() }

// Shutdown stops accepting, tells clients to go elsewhere, ends streams such as the
// watching of health, and waits for the calls that are open. If ctx ends before, it
// returns ctx's error, and [Server.Close] still works. A client that does not answer
// is waited for up to 5 seconds.
func (s *Server) Shutdown(ctx context.Context) error {
	e := s.stop()
	if e != nil {
		e.drain()
	}
	err := s.group.Shutdown(ctx)
	if e == nil {
		return err
	}
	select {
	case <-e.ended:
		return err
	default:
	}
	select {
	case <-e.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the listeners and all connections at once. It does not wait for the
// calls that were open; Shutdown after it does.
func (s *Server) Close() error {
	e := s.stop()
	err := s.group.Close()
	if e != nil {
		e.abort()
	}
	return err
}
