package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// watchAfter is how long a dial takes before the client is watched meanwhile, and how long
// a pair is half-closed before the side that has ended is. Most are done by then.
const watchAfter = 10 * time.Millisecond

// errClientReset is the error of a dial whose client has gone.
var errClientReset error = &SideError{Client, syscall.ECONNRESET}

// dial calls Dial until it succeeds, fails, or the client has gone.
func (s *Server) dial(ctx context.Context, client net.Conn) (net.Conn, error) {
	ctx, cancel := withLimit(ctx, s.dialTimeout())
	defer cancel()
	var gone atomic.Bool
	unwatch := watchClient(client, func() {
		gone.Store(true)
		cancel()
	})
	conn, err := s.dialPatiently(ctx, client)
	unwatch()
	switch {
	case err == nil:
		return conn, nil
	case gone.Load():
		return nil, errClientReset
	}
	return nil, fmt.Errorf("proxy: dialing upstream: %w", err)
}

// withLimit is context.WithTimeout, but for no limit if that is negative.
func withLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// dialPatiently dials, again and again if that fails for want of what others may
// give back soon.
func (s *Server) dialPatiently(ctx context.Context, client net.Conn) (net.Conn, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		conn, err := dialSafely(ctx, s.Dial, client)
		if err == nil || !isShortage(err) {
			return conn, err
		}
		retry := time.NewTimer(pause)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return nil, err
		}
	}
}

// isShortage reports whether err is a lack of descriptors or memory.
func isShortage(err error) bool {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// watchClient calls gone if the client resets its connection, until the function that
// it returns is called. It begins after a while, so that most dials need no goroutine
// for it.
func watchClient(client net.Conn, gone func()) (unwatch func()) {
	ended := make(chan struct{})
	timer := time.AfterFunc(watchAfter, func() {
		defer close(ended)
		if w := newWatch(client); w != nil && w.untilReset() {
			gone()
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		if w := newWatch(client); w != nil {
			w.end()
		}
		<-ended
	}
}

// growStack makes the stack of the goroutine as large as a dial needs it. That is cheaper
// at the beginning, where there is little on it to be moved, than in the depth of the
// dial.
//
//go:noinline
func growStack(i uint8) byte {
	var room [6 << 10]byte
	return room[i]
}
