//go:build !unix

package heartbeat

import "syscall"

// rawOf returns nil: each ping is given a deadline.
func rawOf(any) syscall.RawConn { return nil }

func writeNow(syscall.RawConn, []byte) int { return 0 }
