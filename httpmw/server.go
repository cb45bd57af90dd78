package httpmw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	pingTimeout   = 15 * time.Second
	stallTimeout  = 30 * time.Second
	maxHeader     = 64 << 10
	maxStreams    = 100

	// stopGrace is how long requests in flight may go on if the caller of Run does
	// not say.
	stopGrace = 15 * time.Second
)

// NewServer returns a server with limits that fit the open Internet, whose fields can be
// changed before it serves:
//
//   - a request's headers may take 10 seconds, and about 64 KiB;
//   - a request's body may take 30 seconds, and 1 second more for each KiB that has
//     arrived, counted while the handler waits for it;
//   - a client may take 30 seconds to accept more of a response (on Linux; with HTTP/2
//     everywhere, where it can be a minute);
//   - a connection may idle for 2 minutes;
//   - HTTP/1.1, HTTP/2 over TLS, and HTTP/2 without it (h2c, with prior knowledge) on the
//     same port; 100 streams on a connection of HTTP/2.
//
// A body that takes too long fails with an error that wraps [os.ErrDeadlineExceeded]. The
// handler may still answer, after which a connection of HTTP/1.1 ends. A handler that sets
// a read deadline by [http.ResponseController] decides for itself, for example to wait
// for a client that sends events without end; the zero time means for ever. The limit on
// bodies, and the answer to "OPTIONS *", are part of the server's Handler, and go when
// another is assigned.
//
// Whether a client accepts more is for the kernels to say: that of one which reads slowly
// makes room known in large steps (64 KiB on the loopback), and each has to come in time.
// HTTP/2 has a window for each stream besides: a client that keeps those shut holds its
// streams for as long as it answers pings.
//
// A body after an Expect header other than 100-continue, which net/http answers with 417
// before there is a handler, has no limit in time.
//
// There is no limit on how long a response takes in all: that is for [Timeout], by
// handler. The server reports connections that fail and panics of handlers to logger, at
// level Warn; nil means silent. A nil handler answers 404.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	if handler == nil {
		handler = http.NotFoundHandler()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols,
		// It would wait for a body without a limit, and out of reach of a handler.
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      pingTimeout,
			PingTimeout:          pingTimeout,
			WriteByteTimeout:     stallTimeout,
		},
		ErrorLog: errorLog(logger),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			cutStalled(conn, stallTimeout)
			return ctx
		},
	}
	srv.Handler = &pacer{server: srv, next: handler}
	return srv
}

// Run serves on l until ctx ends, then stops gracefully: it accepts no more, and gives
// the requests in flight grace to end, after which it closes their connections. If
// srv.TLSConfig is not nil, it serves TLS with its certificates.
//
// It returns nil after a graceful stop, an error that wraps [context.DeadlineExceeded] if
// grace was not enough, and at once the error of a listener that fails. It always closes
// l. After a graceful stop no handler runs when it returns, except on connections that were
// hijacked, and those that [Timeout] has answered for; otherwise those that outlast their
// connection do. Goroutines of connections that were closed may still be about to end, and
// what srv.RegisterOnShutdown was given to run. If grace is zero, it is 15 seconds; if
// negative, there is no limit.
//
// If somebody else calls srv.Shutdown or srv.Close, before or meanwhile, Run returns
// [http.ErrServerClosed] at once, and that call is the one to wait for.
func Run(ctx context.Context, srv *http.Server, l net.Listener, grace time.Duration) error {
	// Serve closes it too, but not if it fails before it begins; and twice is no harm.
	defer func() { _ = l.Close() }()

	served := make(chan error, 1)
	secure := srv.TLSConfig != nil // Serve may set it
	go func() {
		if secure {
			served <- srv.ServeTLS(l, "", "")
			return
		}
		served <- srv.Serve(l)
	}()
	select {
	case err := <-served:
		return failed(srv, err)
	case <-ctx.Done():
	}
	select {
	case err := <-served: // both: one that stopped the server must not be overlooked
		return failed(srv, err)
	default:
	}
	stopped := stop(context.WithoutCancel(ctx), srv, grace)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(fmt.Errorf("httpmw: serve: %w", err), stopped)
	}
	return stopped
}

// failed returns what Run returns when serving ended by itself.
func failed(srv *http.Server, err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return err // Shutdown or Close was called, and cares for the connections
	}
	// The error of closing the listener is that it is closed.
	_ = srv.Close()
	return fmt.Errorf("httpmw: serve: %w", err)
}

// stop shuts srv down within grace.
func stop(ctx context.Context, srv *http.Server, grace time.Duration) error {
	if grace == 0 {
		grace = stopGrace
	}
	if grace > 0 {
		limited, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		ctx = limited
	}
	err := srv.Shutdown(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		// The error of closing the listener is that it is closed.
		_ = srv.Close()
		return fmt.Errorf("httpmw: connections were closed after %v of grace: %w", grace, err)
	}
	return fmt.Errorf("httpmw: stop: %w", err)
}
