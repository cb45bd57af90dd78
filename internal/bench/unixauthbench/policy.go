//go:build linux

package unixauthbench

import (
	"errors"
	"fmt"
	"slices"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/unixauth"
)

// check decides about a peer whose credentials are known.
func check() lab.Case {
	return lab.Case{
		Name: "policy",
		About: "Decides about credentials with five groups by a rule of three parts (one of two groups, or " +
			"root), of which the second group is the one that allows. Each decision is compared.",
		Sides:   lab.Sides(lab.Ours, sideHand),
		Metrics: lab.CallMetrics("ns"),
		Run: func(t *lab.T) {
			p, err := unixauth.NewPolicy(unixauth.All(unixauth.Everyone(), unixauth.GIDs(4, 5)), unixauth.Root())
			t.Fatal(err)
			refused := p.Check(unixauth.NewCred(1000, 1000, 1, 2, 3, 6, 24))
			if !errors.Is(refused, unixauth.ErrDenied) || byHand(1000, 1000, []uint32{1, 2, 3, 6, 24}) {
				t.Fatalf("who has neither group is allowed: %w", refused)
			}
			groups := []uint32{1, 2, 3, 5, 24}
			c := unixauth.NewCred(1000, 1000, groups...)
			calls := lab.Calls{
				T: t, Unit: "ns", Count: lab.Of(t, 1<<20, 64), Slice: lab.Of(t, 1<<16, 64),
				Work: map[string]func(int) error{
					lab.Ours: func(n int) error {
						for range n {
							if err := p.Check(c); err != nil {
								return err
							}
						}
						return nil
					},
					sideHand: func(n int) error {
						for range n {
							if !byHand(c.UID, c.GID, groups) {
								return fmt.Errorf("%v is not allowed", c)
							}
						}
						return nil
					},
				},
			}
			calls.Run()
		},
	}
}

// byHand is the rule in Go. It is not inlined, as the compiler would then decide once for
// all rounds.
//
//go:noinline
func byHand(uid, gid uint32, groups []uint32) bool {
	return gid == 4 || gid == 5 || slices.Contains(groups, 4) || slices.Contains(groups, 5) || uid == 0
}
