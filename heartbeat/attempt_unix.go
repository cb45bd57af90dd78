//go:build unix

package heartbeat

import (
	"net"
	"sync"
	"syscall"
)

// rawOf returns the socket that w is, or nil if it is none, or something around
// one, such as TLS.
func rawOf(w any) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch conn := w.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
	case *net.UnixConn:
		raw, err = conn.SyscallConn()
	}
	if err != nil {
		return nil // it is closed, as writing tells
	}
	return raw
}

// An attempt is a Write that does not wait. Nearly all pings go by one, and so need
// neither a deadline, which costs as much as the rest of what this package does
// for a ping, nor a goroutine.
type attempt struct {
	b   []byte
	n   int
	try func(fd uintptr) bool
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.try = func(fd uintptr) bool {
		n, err := syscall.Write(int(fd), a.b)
		if err == nil {
			a.n = n
		}
		return true
	}
	return a
}}

// writeNow writes what there is room for, and returns how much that was. What keeps
// it from writing, a Write of the rest will tell.
func writeNow(raw syscall.RawConn, b []byte) int {
	if raw == nil {
		return 0
	}
	a := attempts.Get().(*attempt)
	defer attempts.Put(a)
	a.b, a.n = b, 0
	err := raw.Write(a.try)
	a.b = nil
	if err != nil {
		return 0
	}
	return a.n
}
