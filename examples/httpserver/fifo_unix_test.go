//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A named pipe without a writer would block the handler that opens it.
func TestPipeIsMissing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := start(t, "http", "-files", dir)
	if got := raw(t, d.Addr, "GET", "/static/pipe"); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
		t.Errorf("the answer is %q", got)
	}
	d.End(t)
}
