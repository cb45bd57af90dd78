package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
	"github.com/netparts/netparts/housework"
)

// The largest changes go through, also where the block before is as large as it may
// be, and keys are long. Larger ones are refused, and nothing is changed.
func TestLargestAdds(t *testing.T) {
	s := open(t)
	s.Prefix = strings.Repeat("p", 127-len(s.Prefix)) + s.Prefix
	ctx := soon(t)
	id := func(c string) string { return strings.Repeat(c, housework.MaxRequestID) }
	next := 1
	add := func(id string, list []housework.Chore) {
		t.Helper()
		if first, err := s.Add(ctx, id, list); first != next || err != nil {
			t.Fatalf("Add = %d, %v, want %d", first, err, next)
		}
		next += len(list)
	}
	add(id("a"), chores(63, housework.MaxDescription))
	add(id("b"), chores(1000, housework.MaxDescription))
	add(id("c"), chores(64, housework.MaxDescription))
	most := etcdstore.MaxAddBytes / (housework.MaxDescription + housework.MaxRequestID + 8)
	add(id("d"), chores(most, housework.MaxDescription))
	add(id("e"), chores(etcdstore.MaxAdd, 0))
	for name, list := range map[string][]housework.Chore{
		"by number": chores(etcdstore.MaxAdd+1, 0),
		"by bytes":  chores(most+1, housework.MaxDescription),
	} {
		if _, err := s.Add(ctx, id("f"), list); !errors.Is(err, housework.ErrTooMany) {
			t.Errorf("too many %s: %v, want %v", name, err, housework.ErrTooMany)
		}
	}
	if list := all(t, s); len(list) != next-1 {
		t.Errorf("%d chores, want %d", len(list), next-1)
	}
}

// Many large adds at once need several transactions.
func TestLargeAddsAtOnce(t *testing.T) {
	s := open(t)
	s.Prefix = strings.Repeat("p", 127-len(s.Prefix)) + s.Prefix
	var wg sync.WaitGroup
	const writers, each = 300, 10
	for i := range writers {
		wg.Go(func() {
			id := fmt.Sprint(i, strings.Repeat("i", housework.MaxRequestID-3))
			if _, err := s.Add(soon(t), id, chores(each, housework.MaxDescription)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list := all(t, s); len(list) != writers*each {
		t.Errorf("%d chores, want %d", len(list), writers*each)
	}
}

// The numbers of all chores of a long list at once.
func TestCompleteAll(t *testing.T) {
	s := open(t)
	ctx := soon(t)
	const n = 20_000
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i + 1
	}
	for range n / 5000 {
		if _, err := s.Add(ctx, "", chores(5000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Complete(ctx, numbers...); err != nil {
		t.Fatal(err)
	}
	for i, c := range all(t, s) {
		if !c.Complete {
			t.Fatalf("chore %d is not done", i+1)
		}
	}
}

func TestFull(t *testing.T) {
	s := open(t)
	s.MaxChores = 10
	ctx := soon(t)
	if _, err := s.Add(ctx, "nine", chores(9, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(ctx, "", chores(2, 0)); !errors.Is(err, housework.ErrFull) {
		t.Errorf("Add: %v, want %v", err, housework.ErrFull)
	}
	if first, err := s.Add(ctx, "", chores(1, 0)); first != 10 || err != nil {
		t.Errorf("Add = %d, %v", first, err)
	}
	if first, err := s.Add(ctx, "nine", chores(9, 0)); first != 1 || err != nil {
		t.Errorf("Add again = %d, %v", first, err)
	}
}

// An etcd whose space is used up refuses changes, and can be read.
func TestNoSpace(t *testing.T) {
	etcd, err := startMember(t.TempDir(), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	client, err := clientv3.New(etcdstore.Config(etcd.Clients[0].Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := &etcdstore.Store{Client: client}
	defer s.Close()
	added := 0
	for err == nil && added < 100_000 {
		if _, err = s.Add(soon(t), "", chores(1000, housework.MaxDescription)); err == nil {
			added += 1000
		}
	}
	if !errors.Is(err, housework.ErrFull) || !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("after %d chores: %v, want %v and %v", added, err, housework.ErrFull, rpctypes.ErrNoSpace)
	}
	if list := all(t, s); len(list) != added {
		t.Errorf("%d chores, want %d", len(list), added)
	}
}

// Several processes and many callers in each.
func TestStoresAtOnce(t *testing.T) {
	prefix := prefix(t)
	const stores, writers, each = 4, 8, 10
	var wg sync.WaitGroup
	taken := make([]atomic.Int64, stores*writers*each+1)
	for i := range stores {
		s := &etcdstore.Store{Client: connect(t), Prefix: prefix}
		defer s.Close()
		for j := range writers {
			wg.Go(func() {
				for k := range each {
					text := fmt.Sprint(i, " ", j, " ", k)
					n, err := s.Add(soon(t), "", []housework.Chore{{Description: text}})
					if err != nil {
						t.Error(err)
						return
					}
					taken[n].Add(1)
					if err := s.Complete(soon(t), n); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for n := range taken {
		if count := taken[n].Load(); n > 0 && count != 1 {
			t.Errorf("number %d was given %d times", n, count)
		}
	}
	s := &etcdstore.Store{Client: connect(t), Prefix: prefix}
	defer s.Close()
	seen := make(map[string]bool)
	for _, c := range all(t, s) {
		if !c.Complete || seen[c.Description] {
			t.Errorf("%+v: not done, or twice", c)
		}
		seen[c.Description] = true
	}
	if len(seen) != stores*writers*each {
		t.Errorf("%d chores, want %d", len(seen), stores*writers*each)
	}
}

// Changes that wait for the one before are made in one transaction.
func TestGroupCommit(t *testing.T) {
	var count atomic.Int64
	release := make(chan struct{})
	s := open(t, onWrites(func(_ context.Context, n int, make call) error {
		count.Store(int64(n))
		if n == 1 {
			<-release
		}
		return make()
	}))
	s.AttemptTimeout = limit
	var wg sync.WaitGroup
	const writers = 100
	var begun atomic.Int64
	for i := range writers {
		wg.Go(func() {
			if begun.Add(1) == writers {
				close(release)
			}
			if _, err := s.Add(soon(t), fmt.Sprint(i), chores(1, 0)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// Some may come after the first has ended.
	if n := count.Load(); n > writers/4 {
		t.Errorf("%d transactions for %d adds", n, writers)
	}
}
