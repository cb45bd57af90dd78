package serve

import "syscall"

// passing are the accept errors that go away by themselves, with the numbers
// of Winsock where package syscall has no name for them.
var passing = []syscall.Errno{
	10024,                   // WSAEMFILE: no socket left
	10055,                   // WSAENOBUFS: no memory for buffers
	syscall.WSAECONNABORTED, // the peer was gone before it was accepted
	syscall.WSAECONNRESET,
}
