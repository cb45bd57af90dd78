//go:build !(linux || darwin || freebsd)

package unixauth

import (
	"errors"
	"fmt"
	"net"
)

func listen(string, Options) (net.Listener, error) {
	return nil, fmt.Errorf("sockets with an owner and a mode: %w", errors.ErrUnsupported)
}
