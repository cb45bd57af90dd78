package memnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// backlog is how many connections wait for Accept before Dial blocks.
const backlog = 128

// A Listener is a [net.Listener] of a [Network].
type Listener struct {
	n    *Network
	addr netip.AddrPort

	mu      sync.Mutex
	changed sync.Cond
	waiting []*Conn
	closed  bool
}

// Accept waits for the next connection, which is a [*Conn].
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.changed.Wait()
	}
	if l.closed {
		return nil, opError("accept", "tcp", nil, l.Addr(), net.ErrClosed)
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.changed.Broadcast()
	return c, nil
}

// Close stops listening. It ends Accept, frees the address, and resets the
// connections that were not accepted.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return opError("close", "tcp", nil, l.Addr(), net.ErrClosed)
	}
	l.closed = true
	waiting := l.waiting
	l.waiting = nil
	l.changed.Broadcast()
	l.mu.Unlock()

	for _, c := range waiting {
		c.close(true)
	}
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	delete(l.n.listeners, l.addr)
	return nil
}

// Addr returns the address, a [*net.TCPAddr].
func (l *Listener) Addr() net.Addr { return tcpAddr(l.addr) }

// deliver puts c into the backlog.
func (l *Listener) deliver(ctx context.Context, c *Conn) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) >= backlog && !l.closed && ctx.Err() == nil {
		l.changed.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case l.closed:
		return os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	l.waiting = append(l.waiting, c)
	l.changed.Broadcast()
	return nil
}
