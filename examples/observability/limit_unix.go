//go:build unix

package main

import (
	"math"
	"syscall"
)

// openFiles returns how many files the process may have open. Go has raised the soft limit to
// the hard one when the program began.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxUint64 // it is not known, and may be enough
	}
	return uint64(limit.Cur)
}
