//go:build linux || darwin

package main

import "syscall"

// setCur sets the limit of now, which is of another type on other systems.
func setCur(r *syscall.Rlimit, n int) { r.Cur = uint64(n) }
