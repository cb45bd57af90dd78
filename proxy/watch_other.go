//go:build !unix

package proxy

import "net"

// A watch would look out for the reset of a connection, which needs reading here.
type watch struct{}

func newWatch(net.Conn) *watch { return nil }

func (*watch) untilReset() bool { return false }
func (*watch) end()             {}

// wasReset reports whether the peer of a stream that has ended reset it, which only
// reading tells here.
func wasReset(net.Conn) bool { return false }
