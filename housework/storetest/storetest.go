// Package storetest has the tests that every housework.Store passes.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) housework.Store {
//			s, err := mystore.Open(t.TempDir())
//			if err != nil {
//				t.Fatal(err)
//			}
//			return s
//		})
//	}
//
// A Store whose list outlives it passes RunDurable besides:
//
//	func TestStoreDurable(t *testing.T) {
//		storetest.RunDurable(t, func(t *testing.T) (open func() housework.Store) {
//			dir := t.TempDir()
//			return func() housework.Store {
//				s, err := mystore.Open(dir)
//				if err != nil {
//					t.Fatal(err)
//				}
//				return s
//			}
//		})
//	}
//
// Both find more when the race detector is on. They need some thousand operations in
// all, many of them at the same time, and wait for nothing else: a Store may take its
// time, up to a minute for a subtest. Lists have at most some hundred chores. What a Store
// does when its list is full, and what of a power failure, they do not test.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/housework"
)

// patience is how long one part may take: a Store that hangs shall not hang the tests,
// as long as it respects contexts.
const patience = time.Minute

// A part of the contract is tested with an empty list of its own.
type part struct {
	name string
	test func(ctx context.Context, s housework.Store) error
}

var parts = []part{
	{"an empty list", emptyList},
	{"the order of adds", order},
	{"texts", texts},
	{"adds of nothing", addNothing},
	{"slices of callers", callersSlice},
	{"invalid adds", invalidAdds},
	{"a request again", requestAgain},
	{"a request for other chores", requestForOthers},
	{"a request of several chores", requestOfSeveral},
	{"names of requests", requestNames},
	{"a request at once", requestAtOnce},
	{"ids of chores", idsOfChores},
	{"complete", complete},
	{"complete of unknown numbers", completeUnknown},
	{"pages", pages},
	{"invalid pages", invalidPages},
	{"pages are copies", pagesAreCopies},
	{"writers at once", writersAtOnce},
	{"completers at once", completersAtOnce},
	{"readers of a growing list", readersOfGrowing},
	{"ended contexts", endedContexts},
	{"contexts that end meanwhile", contextsThatEnd},
	{"closed", closed},
	{"closed under use", closedUnderUse},
	{"closed at once", closedAtOnce},
}

// A durablePart is tested with a list that is empty at first, and may be opened
// several times.
type durablePart struct {
	name string
	test func(ctx context.Context, open func() housework.Store) error
}

var durableParts = []durablePart{
	{"opened again", openedAgain},
	{"opened again and again", openedOften},
	{"requests after opening again", requestsOpenedAgain},
	{"opened twice", openedTwice},
	{"requests by two", requestsByTwo},
	{"writers of two", writersOfTwo},
	{"closed while writing", closedWhileWriting},
}

// Run tests a Store, each part of its contract as a subtest. Open returns a store with an
// empty list, a new one each time; it ends the test if it cannot. Run closes it.
func Run(t *testing.T, open func(t *testing.T) housework.Store) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			if err := p.run(t.Context(), open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// RunDurable tests that what a Store has acknowledged is there when it is opened again, and
// that it may be opened while it is open already. For each subtest fresh returns
// a function that opens the same list each time, which is empty at first; both end the
// test if they cannot. RunDurable closes what was opened.
func RunDurable(t *testing.T, fresh func(t *testing.T) (open func() housework.Store)) {
	for _, p := range durableParts {
		t.Run(p.name, func(t *testing.T) {
			if err := p.run(t.Context(), fresh(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// run tests the part, and closes the store.
func (p part) run(ctx context.Context, s housework.Store) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := attempt(func() error { return p.test(ctx, s) })
	return errors.Join(err, attempt(func() error { return closeStore(s) }))
}

// run tests the part, and closes the stores that it has opened.
func (p durablePart) run(ctx context.Context, open func() housework.Store) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var opened []housework.Store
	defer func() { // also when open ends the test
		for _, s := range opened {
			// What a part closes itself, it looks at itself. The others are closed for
			// their resources alone.
			_ = attempt(s.Close)
		}
	}()
	return attempt(func() error {
		return p.test(ctx, func() housework.Store {
			s := open()
			opened = append(opened, s)
			return s
		})
	})
}

func closeStore(s housework.Store) error {
	if err := s.Close(); err != nil {
		return fmt.Errorf("Close(): %w", err)
	}
	return nil
}

// attempt makes an error of a panic, so that the other parts are tested nevertheless.
func attempt(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// parallel calls f n times at once, with the numbers from 0, and returns the first error
// when all have ended.
func parallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = attempt(func() error { return f(i) }) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
