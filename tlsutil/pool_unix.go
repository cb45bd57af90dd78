//go:build unix

package tlsutil

import "syscall"

// nonblock makes that opening a FIFO does not wait for one that writes.
const nonblock = syscall.O_NONBLOCK
