package etcdstore_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
	"github.com/netparts/netparts/housework"
)

// What writers at once add, with one Store, where they share transactions, and with a
// Store each, where they compete.
func BenchmarkAdd(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("%d writers of one store", writers), func(b *testing.B) {
			s := open(b)
			benchmarkAdd(b, writers, func(int) housework.Store { return s })
		})
	}
	for _, n := range []int{4, 16} {
		b.Run(fmt.Sprintf("%d stores", n), func(b *testing.B) {
			stores := make([]*etcdstore.Store, n)
			prefix := prefix(b)
			for i := range stores {
				stores[i] = &etcdstore.Store{Client: connect(b), Prefix: prefix}
				defer stores[i].Close()
			}
			benchmarkAdd(b, n, func(i int) housework.Store { return stores[i] })
		})
	}
}

func benchmarkAdd(b *testing.B, writers int, store func(i int) housework.Store) {
	b.ReportAllocs()
	next := make(chan bool)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range next {
				if _, err := store(i).Add(b.Context(), "", chores(1, 40)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for b.Loop() {
		next <- true
	}
	close(next)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "adds/s")
}

// A page of 1,000 chores.
func BenchmarkList(b *testing.B) {
	s := open(b)
	for range 10 {
		if _, err := s.Add(b.Context(), "", chores(1000, 40)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if page, err := s.List(b.Context(), 5001, 1000); len(page) != 1000 || err != nil {
			b.Fatal(len(page), err)
		}
	}
}
