package housework_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netparts/netparts/housework"
)

// fileWriters lets writers add, b.N chores in all, each waiting for its own.
func fileWriters(b *testing.B, writers int, add func() error) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wait sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				if err := add(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wait.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "adds/s")
}

// Sixteen writers whose changes share commits, against sixteen whose changes have each a
// commit of their own, and against what a bare append and fsync of each would cost.
func BenchmarkFileStoreAdd(b *testing.B) {
	add := func(s housework.Store) error {
		_, err := s.Add(context.Background(), "", []housework.Chore{{Description: "Mop floors"}})
		return err
	}
	for _, writers := range []int{1, 2, 16} {
		b.Run(fmt.Sprintf("shared/%d", writers), func(b *testing.B) {
			s := fileOpen(b, filePath(b), nil)
			fileWriters(b, writers, func() error { return add(s) })
		})
		b.Run(fmt.Sprintf("each/%d", writers), func(b *testing.B) {
			s := fileOpen(b, filePath(b), nil)
			var alone sync.Mutex
			fileWriters(b, writers, func() error {
				alone.Lock()
				defer alone.Unlock()
				return add(s)
			})
		})
	}
	b.Run("append/16", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		fileNoError(b, err)
		defer f.Close()
		var alone sync.Mutex
		fileWriters(b, 16, func() error {
			alone.Lock()
			defer alone.Unlock()
			if _, err := f.WriteString(`{"Complete":false,"Description":"Mop floors"}` + "\n"); err != nil {
				return err
			}
			return f.Sync()
		})
	})
}

// The same, in turns, so that both have the same noise: how many times as many adds a
// second sixteen writers have when they share commits, and how many of them share one.
func BenchmarkFileStoreShared(b *testing.B) {
	const writers, adds = 16, 10
	var commits atomic.Int64
	codec := fileHook{housework.JSON, func([]housework.Chore) error {
		commits.Add(1)
		return nil
	}}
	var alone sync.Mutex
	round := func(s housework.Store, lock func() (unlock func()), adds int) time.Duration {
		begin := time.Now()
		var wait sync.WaitGroup
		for range writers {
			wait.Go(func() {
				for range adds {
					unlock := lock()
					_, err := s.Add(context.Background(), "", fileChores("Mop floors"))
					unlock()
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		wait.Wait()
		return time.Since(begin) / time.Duration(adds)
	}
	var shared, each time.Duration
	shares := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		s, err := housework.OpenFile(filePath(b), &housework.FileOptions{Codec: codec})
		fileNoError(b, err)
		before := commits.Load()
		shared += round(s, func() func() { return func() {} }, adds)
		shares += commits.Load() - before
		each += round(s, func() func() { alone.Lock(); return alone.Unlock }, 1)
		fileNoError(b, s.Close())
	}
	b.ReportMetric(float64(each)/float64(shared), "times")
	b.ReportMetric(float64(b.N*writers*adds)/float64(shares), "adds/commit")
}

func BenchmarkFileStoreList(b *testing.B) {
	s := fileOpen(b, filePath(b), nil)
	chores := make([]housework.Chore, 10_000)
	for i := range chores {
		chores[i].Description = "Mop floors"
	}
	_, err := s.Add(b.Context(), "", chores)
	fileNoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.List(b.Context(), 5_000, 100); err != nil {
			b.Fatal(err)
		}
	}
}
