//go:build !linux

package unixauth

import (
	"errors"
	"fmt"
	"os"
)

func activate() ([]Activated, error) {
	if os.Getenv("LISTEN_FDS") == "" {
		return nil, nil
	}
	return nil, fmt.Errorf("unixauth: socket activation: %w", errors.ErrUnsupported)
}
