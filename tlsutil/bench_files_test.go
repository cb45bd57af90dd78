package tlsutil_test

import (
	"testing"
)

// BenchmarkCurrent is what a handshake does to find out which files hold, besides
// what it does anyway.
func BenchmarkCurrent(b *testing.B) {
	w := watchFiles(b, newGeneration(b, "only").inFolder(b))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if w.Current() == nil {
				b.Error("nothing is in use")
			}
		}
	})
}

// BenchmarkReload is what each reading costs, of files that have not changed and of files
// that have.
func BenchmarkReload(b *testing.B) {
	g, next := newGeneration(b, "first"), newGeneration(b, "next")
	f := g.inFolder(b)
	f.Interval = -1
	w := watchFiles(b, f)
	reload := func(b *testing.B) {
		if err := w.Reload(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("unchanged", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			reload(b)
		}
	})
	b.Run("changed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			g, next = next, g
			g.writeInto(b, f)
			b.StartTimer()
			reload(b)
		}
	})
}
