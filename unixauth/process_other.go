//go:build !linux

package unixauth

import (
	"errors"
	"fmt"
	"net"
	"os"
)

func peerProcess(net.Conn) (*os.File, error) {
	return nil, fmt.Errorf("unixauth: the process of a peer: %w", errors.ErrUnsupported)
}

func exited(*os.File) (bool, error) {
	return false, fmt.Errorf("unixauth: the process of a peer: %w", errors.ErrUnsupported)
}
