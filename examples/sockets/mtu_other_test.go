//go:build !linux

package sockets_test

import (
	"context"
	"errors"
	"testing"

	"github.com/netparts/netparts/examples/sockets"
)

func TestPathMTUIsUnsupported(t *testing.T) {
	if _, err := sockets.PathMTU(t.Context(), "127.0.0.1:9"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("PathMTU: %v, want %v", err, errors.ErrUnsupported)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sockets.PathMTU(ctx, "127.0.0.1:9"); !errors.Is(err, context.Canceled) {
		t.Errorf("PathMTU: %v, want %v", err, context.Canceled)
	}
}
