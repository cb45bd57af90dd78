//go:build !linux || portable

package proxy

import (
	"context"
	"net"
	"time"
)

// blindDrain is how long what was sent to a peer gets where the system does not tell
// what has arrived.
const blindDrain = time.Second

// drain gives the peer of conn some time to receive what was sent to it. What is no TCP
// connection has delivered it already.
func drain(ctx context.Context, conn net.Conn, limit time.Duration) {
	if wireOf(conn) == nil {
		return
	}
	timeout := time.NewTimer(min(limit, blindDrain))
	defer timeout.Stop()
	select {
	case <-timeout.C:
	case <-ctx.Done():
	}
}
