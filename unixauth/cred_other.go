//go:build !linux && !darwin && !freebsd

package unixauth

import (
	"errors"
	"fmt"
	"net"
)

func peerCred(net.Conn) (Cred, error) {
	return Cred{}, fmt.Errorf("unixauth: %w: %w", ErrNoCred, errors.ErrUnsupported)
}
