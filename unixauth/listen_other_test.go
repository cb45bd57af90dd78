//go:build !(linux || darwin || freebsd)

package unixauth_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/netparts/netparts/unixauth"
)

func TestListenOnThisSystem(t *testing.T) {
	if l, err := unixauth.Listen(filepath.Join(t.TempDir(), "s"), unixauth.Options{}); l != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Listen = %v, %v, want %v", l, err, errors.ErrUnsupported)
	}
}
