//go:build !race

// The race detector allocates too.

package unixauth_test

import (
	"syscall"
	"testing"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/unixauth"
)

// The one allocation is the groups.
func TestRootPeerCredAllocatesTheGroups(t *testing.T) {
	interop.Root(t)
	for _, tt := range []struct {
		groups int
		want   float64
	}{{0, 0}, {1, 1}, {5, 1}, {64, 1}, {1000, 1}} {
		conn, _ := peer(t, "peer", credential(71001, 71001, manyGroups(tt.groups)...))
		n := testing.AllocsPerRun(1000, func() {
			if _, err := unixauth.PeerCred(conn); err != nil {
				t.Fatal(err)
			}
		})
		if n != tt.want {
			t.Errorf("%d groups: %v allocations, want %v", tt.groups, n, tt.want)
		}
	}
}

func TestPeerCredAllocations(t *testing.T) {
	conn, _ := pair(t, syscall.SOCK_STREAM)
	n := testing.AllocsPerRun(1000, func() {
		if _, err := unixauth.PeerCred(conn); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
}
