//go:build unix

package sockets_test

import "syscall"

// What the kernel reports is a number, and errors.Is finds it inside of the errors that
// package net returns. Package syscall has names for the numbers of Unix.
var (
	errInUse   error = syscall.EADDRINUSE
	errRefused error = syscall.ECONNREFUSED
	errReset   error = syscall.ECONNRESET

	// Accept can succeed again after these.
	acceptPasses = []error{
		syscall.EMFILE,       // no descriptor is left in this process
		syscall.ENFILE,       // no descriptor is left in this system
		syscall.ENOBUFS,      // no memory is left for buffers
		syscall.ENOMEM,       // no memory is left
		syscall.ECONNABORTED, // the client was gone before it was accepted
	}
)
