package unixauth_test

import (
	"testing"

	"github.com/netparts/netparts/unixauth"
)

// BenchmarkCheck decides about a peer with five groups.
func BenchmarkCheck(b *testing.B) {
	p, err := unixauth.NewPolicy(unixauth.All(unixauth.Everyone(), unixauth.GIDs(4, 5)), unixauth.Root())
	must(b, err)
	c := unixauth.NewCred(1000, 1000, 1, 2, 3, 4, 24)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Check(c); err != nil {
			b.Fatal(err)
		}
	}
}
