//go:build unix

package serve

import "syscall"

// passing are the accept errors that go away by themselves.
var passing = []syscall.Errno{
	syscall.EMFILE,       // no descriptor left in this process
	syscall.ENFILE,       // no descriptor left in this system
	syscall.ENOBUFS,      // no memory for buffers
	syscall.ENOMEM,       // no memory
	syscall.ECONNABORTED, // the peer was gone before it was accepted

	// Errors of the network that Linux reports for the connection that would
	// have been accepted; see accept(2).
	syscall.EPROTO,
	syscall.ENETDOWN,
	syscall.ENETUNREACH,
	syscall.EHOSTDOWN,
	syscall.EHOSTUNREACH,
	syscall.EPERM, // a firewall's rule
}
