package echo

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/netparts/netparts/internal/serve"
)

// ErrServerClosed is what the Serve methods of a [Server] return after Shutdown
// or Close.
var ErrServerClosed = errors.New("echo: server closed")

const (
	defaultIdleTimeout = time.Hour
	handshakeTimeout   = 10 * time.Second
)

// A Server echoes. Its zero value is ready to use.
//
// The exported fields must not be changed after the first call to a method that
// serves. All methods are safe for concurrent use.
type Server struct {
	// IdleTimeout is how long a connection may be silent, and how long it may
	// leave its echo unread, before it is closed. If zero, one hour; if
	// negative, there is no limit.
	IdleTimeout time.Duration

	// MaxConns is how many connections are served at once. At the limit no
	// more are accepted, so that they wait in the backlog of the system. If
	// zero or negative, there is no limit. Packets do not count.
	MaxConns int

	// TLSConfig is what ListenAndServe uses for the network "tls". Connections
	// of a [tls.NewListener] have their own.
	TLSConfig *tls.Config

	// Listening is called by ListenAndServe when it listens, with the address,
	// which tells the port if that was 0. If nil, nothing is called.
	Listening func(net.Addr)

	// Logger gets one record for each connection that ended and for each
	// packet socket that was closed, and one for each spell of errors that
	// pass. If nil, nothing is logged.
	Logger *slog.Logger

	group serve.Group
}

func (s *Server) idleTimeout() time.Duration {
	return cmp.Or(s.IdleTimeout, defaultIdleTimeout)
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

func (s *Server) config() serve.Config {
	return serve.Config{
		Handle:      s.handle,
		Closed:      ErrServerClosed,
		MaxConns:    s.MaxConns,
		WakeReaders: true,
		Logger:      s.Logger,
	}
}

// Serve accepts connections on l and echoes what they send. It always returns a
// non-nil error and closes l. After Shutdown or Close the error is
// [ErrServerClosed].
//
// Errors that pass, as for want of descriptors, do not end it: it pauses for 5 ms
// to 1 s and goes on.
func (s *Server) Serve(l net.Listener) error {
	return s.group.Serve(l, s.config())
}

// ServeConn echoes what conn sends until that ends, closes conn, and returns nil,
// or the cause of ctx if that ended, or [ErrServerClosed] if the server was
// closed. MaxConns does not delay it.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) error {
	return s.group.ServeConn(ctx, conn, s.config())
}

// Addr returns the address that the server listens on, the first one if there are
// several, or nil before it does.
func (s *Server) Addr() net.Addr { return s.group.Addr() }

// Shutdown stops accepting and reading packets, and waits for the connections. Each
// is closed when its client has been silent for 10 ms and has the echo of what it
// sent. If ctx ends before, it returns ctx's error, and [Server.Close] still
// works.
func (s *Server) Shutdown(ctx context.Context) error { return s.group.Shutdown(ctx) }

// Close closes the listeners, the packet sockets and all connections at once. It
// does not wait for those that serve them; Shutdown after it does.
func (s *Server) Close() error { return s.group.Close() }
