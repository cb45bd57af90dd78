//go:build unix

package tftp_test

import (
	"syscall"
	"testing"
)

// makeFIFO makes what an open would wait at for ever.
func makeFIFO(t *testing.T, name string) {
	t.Helper()
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}
