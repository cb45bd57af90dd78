package main

import (
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/netparts/netparts/unixauth"
)

// A hall is a listener that turns peers who are welcome into guests, of each user no more
// than it has room for: one who opens connections without end shall not take the
// descriptors of the others.
type hall struct {
	net.Listener     // a *unixauth.Listener
	perUser      int // 0 for any number
	log          *slog.Logger

	mu     sync.Mutex
	guests map[uint32]int // by uid
}

// Accept implements net.Listener. It waits for no peer.
func (h *hall) Accept() (net.Conn, error) {
	for {
		conn, err := h.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := conn.(*unixauth.Conn)
		if h.enter(peer.Cred().UID) {
			return &guest{Conn: peer, leave: sync.OnceFunc(func() { h.leave(peer.Cred().UID) })}, nil
		}
		h.log.Warn("peer has too many connections", "peer", peer.Cred().String())
		turnAway(peer)
	}
}

// turnAway tells a peer why its connection ends. A new connection has room for that, so
// that this does not wait.
func turnAway(peer *unixauth.Conn) {
	_, _ = io.WriteString(peer, "Too many connections\n") // a peer that is gone misses nothing
	// With data unread the end would be an error for the peer.
	_ = peer.CloseRead()             // fails if the peer is gone
	_, _ = io.Copy(io.Discard, peer) // ends at once, as nothing is added any more
	peer.Close()
}

// enter counts a user's connection, if there is room for it.
func (h *hall) enter(uid uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.perUser > 0 && h.guests[uid] >= h.perUser {
		return false
	}
	if h.guests == nil {
		h.guests = make(map[uint32]int)
	}
	h.guests[uid]++
	return true
}

func (h *hall) leave(uid uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.guests[uid]--; h.guests[uid] == 0 {
		delete(h.guests, uid)
	}
}

// A guest is the connection of a peer who is greeted by the one that serves it, rather than
// while others wait to be accepted.
type guest struct {
	*unixauth.Conn
	greeted bool
	leave   func()
}

// Read implements net.Conn. The first call greets.
func (g *guest) Read(b []byte) (int, error) {
	if !g.greeted {
		g.greeted = true
		if _, err := io.WriteString(g.Conn, "Welcome\n"); err != nil {
			return 0, err
		}
	}
	return g.Conn.Read(b)
}

// Close implements net.Conn.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}

// RemoteAddr returns what the kernel says of the peer, for the log. The name that its
// socket is bound to is its own choice, and could say anything.
func (g *guest) RemoteAddr() net.Addr { return peerAddr(g.Cred().String()) }

// A peerAddr is an address that is good for a log alone.
type peerAddr string

// Network implements net.Addr.
func (peerAddr) Network() string { return "unix" }

// String implements net.Addr.
func (a peerAddr) String() string { return string(a) }
