//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
)

func TestSignals(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p, _ := serve(t, "FUNCTION_TARGET=LatestXKCD")
		p.Signal(t, s)
		if status := p.Status(t); status != 0 {
			t.Errorf("%v: status %d, %s", s, status, p.Stderr)
		}
	}
}
