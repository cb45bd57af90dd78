//go:build !unix

package proxy

import (
	"context"
	"net"
)

// newUnixgramPort returns nil: the system has no Unix datagrams.
func newUnixgramPort(*packetRelay, *net.UnixConn) packetPort { return nil }

// newUnixgramUpstream returns nil.
func newUnixgramUpstream(net.Conn) packetUpstream { return nil }

// dialUnixgram fails, in the words of package net.
func dialUnixgram(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unixgram", path)
}
