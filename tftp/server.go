package tftp

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	defaultTimeout      = 6 * time.Second
	defaultRetries      = 10
	defaultMaxWindow    = 64
	defaultMaxTransfers = 1000
	defaultMaxPerPeer   = 250
	defaultMaxFileSize  = 1 << 30
)

// A Server answers requests. The zero value refuses all of them; set Open to
// serve files, and Create to take uploads.
//
// The exported fields must not be changed after the first call to Serve. All
// methods are safe for concurrent use.
type Server struct {
	// Open returns what a read request asks for, such as the functions that
	// [FS], [Payload] and [Folder.Open] are. It is closed when the transfer has
	// ended. If it is an [io.ReaderAt] as well and knows its size, as an
	// [fs.File] by Stat or by a method Size() int64, blocks are read from it
	// as they are needed, up to that size; otherwise one window of blocks is
	// kept in memory. The size is told to clients that ask.
	//
	// An error refuses the request: an [*Error] as it is, others with the code
	// that fits them and a fixed text. Shortage of descriptors or memory is
	// not answered, so that the client asks again.
	//
	// Open runs in the goroutine of the transfer, and ctx ends with it. If nil,
	// read requests are refused.
	Open func(ctx context.Context, r *Request) (io.ReadCloser, error)

	// Create returns where the file of a write request goes, such as
	// [Folder.Create]. Errors, and those of the Upload, are treated as those
	// of Open. If nil, write requests are refused.
	Create func(ctx context.Context, r *Request) (Upload, error)

	// Timeout is the longest wait for an answer before a packet is sent again,
	// and how long the last try waits. The wait begins at a second, follows the
	// measured round trip from 20 ms on (RFC 6298), and doubles with each try.
	// The option timeout (RFC 2349) replaces Timeout for one transfer. If zero
	// or negative, 6 seconds.
	Timeout time.Duration

	// Retries is how often one packet or window is sent again before the
	// transfer fails. Before the client's first answer it is at most 2, since
	// the request may be forged. If zero, 10; if negative, nothing is sent again.
	Retries int

	// MaxBlockSize is the largest block in bytes that is agreed to (RFC 2348).
	// Blocks above 1468 bytes do not fit into one Ethernet frame. If zero or
	// out of range, 65464.
	MaxBlockSize int

	// MaxWindow is the largest window in blocks that is agreed to (RFC 7440).
	// A window holds at most 512 KiB as well. If zero or negative, 64.
	MaxWindow int

	// MaxTransfers is how many transfers run at once. At the limit one that
	// has not been answered yet gives way to a new request, if there is one;
	// else the request is not answered, so that the client asks again. If zero,
	// 1000; if negative, there is no limit.
	MaxTransfers int

	// MaxPerPeer is the same for the clients of one IP address. If zero, 250;
	// if negative, there is no limit.
	MaxPerPeer int

	// MaxFileSize is the largest upload in bytes. If zero, 1 GiB; if negative,
	// there is no limit.
	MaxFileSize int64

	// SinglePort makes all transfers use the port of the requests, for clients
	// behind NAT and servers in containers. Otherwise each has a socket of
	// its own, as RFC 1350 section 4 says.
	SinglePort bool

	// ListenPacket opens the sockets of transfers. If nil, sockets of the
	// package net are opened.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)

	// Report is called at the end of each transfer, refused requests included,
	// from its goroutine. If nil, nothing is called.
	Report func(Transfer)

	// Logger gets one record for each transfer, and one for requests that
	// could not be served for shortage or that panicked. If nil, nothing is
	// logged.
	Logger *slog.Logger

	mu        sync.Mutex
	listeners map[*listener]struct{}
	addr      net.Addr      // of the first listener
	closing   bool          // Shutdown or Close was called
	idle      chan struct{} // closed when closing and nothing runs
	running   int           // transfers, those that only repeat a last ACK included
	active    int           // those that count for MaxTransfers
	dallying  int
	peers     map[netip.Addr]*peerCount
}

func (s *Server) timeout() time.Duration { return timeoutOr(s.Timeout) }

func timeoutOr(d time.Duration) time.Duration {
	if d <= 0 {
		return defaultTimeout
	}
	return d
}

func retriesOr(n int) int { return max(0, cmp.Or(n, defaultRetries)) }

func (s *Server) maxBlockSize() int {
	if s.MaxBlockSize < minBlockSize || s.MaxBlockSize > maxBlockSize {
		return maxBlockSize
	}
	return s.MaxBlockSize
}

func (s *Server) maxWindow() int {
	if s.MaxWindow <= 0 {
		return defaultMaxWindow
	}
	return min(s.MaxWindow, maxWindowSize)
}

func (s *Server) maxFileSize() int64 {
	return max(-1, cmp.Or(s.MaxFileSize, defaultMaxFileSize))
}

// reached reports whether n is at a limit with the default of the fields above.
func reached(n, limit, otherwise int) bool {
	limit = cmp.Or(limit, otherwise)
	return limit > 0 && n >= limit
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// ListenAndServe listens on address of network, which is "udp", "udp4" or "udp6",
// and serves. If address is empty, ":tftp" is used, which is port 69.
func (s *Server) ListenAndServe(network, address string) error {
	switch network {
	case "udp", "udp4", "udp6":
	default:
		return &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	if s.isClosing() {
		return ErrServerClosed
	}
	conn, err := net.ListenPacket(network, cmp.Or(address, ":69"))
	if err != nil {
		return err
	}
	return s.Serve(conn)
}

// Addr returns the address that the server listens on, the first one if there are
// several, or nil before it does.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Serve answers the requests that arrive on conn. It always returns a non-nil
// error and closes conn. After Shutdown or Close the error is [ErrServerClosed].
// With SinglePort it returns no earlier than the transfers on conn have ended.
//
// Where conn is a [*net.UDPConn] on a wildcard address, answers leave from the
// address that was asked, on Linux.
func (s *Server) Serve(conn net.PacketConn) error {
	l := newListener(s, conn)
	if !s.add(l) {
		if err := conn.Close(); err != nil {
			return errors.Join(ErrServerClosed, err)
		}
		return ErrServerClosed
	}
	err := l.loop()
	if s.remove(l) {
		return ErrServerClosed
	}
	return err
}

// add enters a listener, unless the server is closing.
func (s *Server) add(l *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[*listener]struct{})
		s.peers = make(map[netip.Addr]*peerCount)
	}
	if len(s.listeners) == 0 {
		s.addr = l.conn.LocalAddr()
	}
	s.listeners[l] = struct{}{}
	return true
}

// remove is called when a listener's loop has ended. It reports whether the
// server is closing.
func (s *Server) remove(l *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.ended = true
	s.forget(l)
	s.checkIdle()
	return s.closing
}

// forget takes a listener out when nothing is left of it. It is called under mu.
func (s *Server) forget(l *listener) {
	if l.ended && len(l.transfers) == 0 {
		delete(s.listeners, l)
	}
}

// Shutdown takes no more requests and waits until the transfers that run have
// ended, and the loops that serve. If ctx ends first, it returns ctx's error, and
// [Server.Close] still works. Uploads that have been stored are not waited for,
// even if a last ACK may have been lost.
func (s *Server) Shutdown(ctx context.Context) error {
	idle := s.close(nil)
	select {
	case <-idle:
		return nil
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the server and its transfers at once; their clients are told by an
// ERROR. It does not wait for hooks that run; Shutdown after it does.
func (s *Server) Close() error {
	s.close(ErrServerClosed)
	return nil
}

// close begins the end of the server, and with a cause that of its transfers. The
// channel that it returns is closed when nothing is left.
func (s *Server) close(cause error) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	for l := range s.listeners {
		for _, t := range l.transfers {
			switch {
			case t.dallies:
				t.stop(nil, ErrServerClosed)
			case cause != nil:
				t.stop(report(cause), cause)
			}
		}
		if cause != nil {
			_ = l.conn.Close() // the loop ends by that, whatever it returns
		} else {
			l.wake()
		}
	}
	s.checkIdle()
	return s.idle
}

// checkIdle closes idle when it is time to. It is called under mu.
func (s *Server) checkIdle() {
	if s.idle == nil || len(s.listeners) > 0 || s.running > 0 {
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
