//go:build linux

package bench

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// A setting is where the processes run.
type setting struct {
	name string // appended to the benchmark's
	env  []string
}

var settings = []setting{{}, {"/bound", []string{cpuVariable + "=0"}}}

// race lets the kinds read a file in rounds.
func race(b *testing.B, block, window int, env []string, kinds ...string) {
	b.Helper()
	c := newContest(b, of(64<<20, 256<<10), env, kinds...)
	for b.Loop() {
		c.round(b, order{Do: "get", Block: block, Window: window, Limit: bareTime}, c.rate)
	}
	blocks := float64(c.size/block + 1)
	c.report(b, "MB/s", "block", time.Millisecond, float64(c.size)/(1<<20), blocks)
}

// BenchmarkTFTPLockStep reads a file with a window of one, with all processors,
// and with both sides on one of them, where the figures vary less.
func BenchmarkTFTPLockStep(b *testing.B) {
	for _, block := range []int{512, 1428} {
		for _, at := range settings {
			b.Run(fmt.Sprintf("%d%s", block, at.name), func(b *testing.B) {
				race(b, block, 1, at.env, kindOurs, kindSingle, kindPin, kindPack, kindBare)
			})
		}
	}
}

var windows = []struct{ block, window int }{{1428, 16}, {512, 64}, {1428, 64}}

// BenchmarkTFTPWindows reads a file with windows, which pin does not have.
func BenchmarkTFTPWindows(b *testing.B) {
	for _, s := range windows {
		for _, at := range settings {
			b.Run(fmt.Sprintf("%dx%d%s", s.block, s.window, at.name), func(b *testing.B) {
				race(b, s.block, s.window, at.env, kindOurs, kindSingle, kindPack)
			})
		}
	}
}

// BenchmarkTFTPLargeWindows reads a file in windows that overrun a receive buffer
// of the usual size, as root or whoever runs it, and as a user without rights.
func BenchmarkTFTPLargeWindows(b *testing.B) {
	users := []setting{{}}
	if os.Getuid() == 0 {
		users = append(users, setting{"/nobody", []string{userVariable + "=65534"}})
	}
	for _, window := range []int{16, 64} {
		for _, at := range users {
			b.Run(fmt.Sprintf("8192x%d%s", window, at.name), func(b *testing.B) {
				largeWindows(b, window, at.env)
			})
		}
	}
}

func largeWindows(b *testing.B, window int, env []string) {
	kinds := []string{kindOurs, kindSingle}
	if full {
		kinds = append(kinds, kindPack) // which takes its time to fail
	}
	c := newContest(b, of(8<<20, 1<<20), env, kinds...)
	for b.Loop() {
		for range of(100, 2) {
			o := order{Do: "get", Block: 8192, Window: window, Limit: 10 * time.Second}
			if pack := c.sides[len(c.sides)-1]; pack.server.kind == kindPack && len(pack.fails) >= 5 {
				c.sides = c.sides[:len(c.sides)-1] // it has shown what it can
				b.Logf("%s: %d of %d failed: %s", kindPack, len(pack.fails), len(pack.fails)+pack.done, pack.fails[0])
			}
			c.round(b, o, c.rate)
		}
	}
	c.report(b, "MB/s", "block", time.Millisecond, float64(c.size)/(1<<20), float64(c.size/8192+1))
}
