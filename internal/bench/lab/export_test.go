//go:build linux

package lab

import (
	"testing"
	"time"
)

// SetPatience has children that hang be ended sooner, until the test ends.
func SetPatience(t *testing.T, d time.Duration) {
	old := patience
	patience = d
	t.Cleanup(func() { patience = old })
}
