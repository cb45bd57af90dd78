//go:build !linux && !darwin && !freebsd

package unixauth_test

import (
	"errors"
	"net"
	"testing"

	"github.com/netparts/netparts/unixauth"
)

func TestNoCredOnThisSystem(t *testing.T) {
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	c, err := unixauth.PeerCred(conn)
	if !errors.Is(err, unixauth.ErrNoCred) || !errors.Is(err, errors.ErrUnsupported) || c.String() != "unknown" {
		t.Errorf("PeerCred = %v, %v", c, err)
	}
	if _, err := unixauth.PeerProcess(conn); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("PeerProcess: %v", err)
	}
}
