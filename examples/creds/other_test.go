//go:build !(linux || darwin || freebsd)

package main

import (
	"path/filepath"
	"testing"
)

// A system without peer credentials is told at once, also where the groups do not exist.
func TestNoPeerCredentials(t *testing.T) {
	wantFailure(t, "this system has no peer credentials", "-socket", filepath.Join(t.TempDir(), "s"), "users")
}

// There are no tests by other processes here.
func peerMain()               {}
func limitDescriptors() error { return nil }
