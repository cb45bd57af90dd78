package sockets_test

import "golang.org/x/sys/windows"

// The numbers of Windows begin with WSA. Package syscall has ECONNREFUSED there too, with a
// number that the system never reports: a test of that one is false for ever.
var (
	errInUse   error = windows.WSAEADDRINUSE
	errRefused error = windows.WSAECONNREFUSED
	errReset   error = windows.WSAECONNRESET

	// Accept can succeed again after these.
	acceptPasses = []error{
		windows.WSAEMFILE,       // no socket is left
		windows.WSAENOBUFS,      // no memory is left for buffers
		windows.WSAECONNABORTED, // the client was gone before it was accepted
		windows.WSAECONNRESET,
	}
)
