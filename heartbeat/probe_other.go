//go:build !linux

package heartbeat

import (
	"net"
	"time"
)

// kernelRTT reports false: the clock has to do. What macOS tells in
// TCP_CONNECTION_INFO is in milliseconds, which is too coarse.
func kernelRTT(net.Conn) (rtt time.Duration, ok bool) { return 0, false }
