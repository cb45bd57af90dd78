//go:build !unix

package echo

import "net"

// newUnixgram returns nil: the system has no Unix datagrams.
func newUnixgram(*net.UnixConn, *tally) stepper { return nil }
