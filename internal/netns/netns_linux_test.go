package netns_test

import (
	"net"
	"testing"

	"github.com/netparts/netparts/internal/netns"
)

// A namespace has the addresses that its tests use, and no others.
func TestRootNamespace(t *testing.T) {
	n := netns.New(t)
	n.SetMTU(t, 1500)
	err := n.Do(func() error {
		interfaces, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			addrs, err := i.Addrs()
			if err != nil {
				return err
			}
			if i.Name != "lo" {
				if len(addrs) > 0 {
					t.Errorf("%s has %v", i.Name, addrs)
				}
				continue
			}
			want := map[string]bool{"127.0.0.1/8": true, "::1/128": true, netns.LinkLocal.WithZone("").String() + "/64": true}
			for _, a := range addrs {
				if !want[a.String()] {
					t.Errorf("lo has %v", a)
				}
				delete(want, a.String())
			}
			if len(want) > 0 || i.MTU != 1500 || i.Flags&net.FlagMulticast == 0 {
				t.Errorf("lo is %+v with %v", i, addrs)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
