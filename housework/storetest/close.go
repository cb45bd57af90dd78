package storetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/netparts/netparts/housework"
)

func closed(ctx context.Context, s housework.Store) error {
	if err := wantAdd(ctx, s, 1, "id", todo("Mop floors")); err != nil {
		return err
	}
	for range 2 {
		if err := closeStore(s); err != nil {
			return err
		}
		if err := wantClosed(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// wantClosed expects that each method says so.
func wantClosed(ctx context.Context, s housework.Store) error {
	var result error
	check := func(call string, err error) {
		if !isClosed(err) {
			result = errors.Join(result, fmt.Errorf("after Close: %s = %w; want ErrClosed", call, orNil(err)))
		}
	}
	_, err := s.Add(ctx, "", todo("Clean dishes"))
	check("Add of a chore", err)
	_, err = s.Add(ctx, "id", todo("Mop floors"))
	check("Add of a request that is known", err)
	_, err = s.Add(ctx, "", nil)
	check("Add of nothing", err)
	check("Complete(1)", s.Complete(ctx, 1))
	check("Complete()", s.Complete(ctx))
	_, err = s.List(ctx, 1, 1)
	check("List(1, 1)", err)
	_, err = s.List(ctx, 2, 1)
	check("List(2, 1)", err)
	return result
}

func isClosed(err error) bool {
	return errors.Is(err, housework.ErrClosed) && errors.Is(err, fs.ErrClosed)
}

// use calls the store from several goroutines, and closes it when each of them
// has been served once. The calls end well or with ErrClosed. Write is called with
// each goroutine's number and how often it was called before.
func use(ctx context.Context, s housework.Store, write func(i, k int) error) error {
	var served sync.WaitGroup
	served.Add(writers)
	var over atomic.Bool // Close has returned
	return parallel(writers+1, func(i int) error {
		if i == writers {
			served.Wait()
			defer over.Store(true)
			return closeStore(s)
		}
		once := sync.OnceFunc(served.Done)
		defer once()
		for k := 0; ; k++ {
			late := over.Load()
			err := write(i, k)
			if i%2 == 1 && err == nil {
				_, err = s.List(ctx, 1, 10)
			}
			if isClosed(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("while the store is closed: %w", err)
			}
			if late {
				return errors.New("a call that began after Close has succeeded")
			}
			once()
			// Close shall come soon, also where there is one processor for all of them.
			runtime.Gosched()
		}
	})
}

func closedUnderUse(ctx context.Context, s housework.Store) error {
	if err := wantAdd(ctx, s, 1, "", todo("Mop floors")); err != nil {
		return err
	}
	err := use(ctx, s, func(i, k int) error {
		switch i % 4 {
		case 0:
			return s.Complete(ctx, 1)
		case 1:
			_, err := s.List(ctx, 1, 10)
			return err
		case 2:
			_, err := s.Add(ctx, fmt.Sprint("id ", i), todo("Clean dishes"))
			return err
		}
		_, err := s.Add(ctx, "", todo(fmt.Sprint("Mow the lawn ", k)))
		return err
	})
	if err != nil {
		return err
	}
	return wantClosed(ctx, s)
}

func closedAtOnce(ctx context.Context, s housework.Store) error {
	if err := wantAdd(ctx, s, 1, "", todo("Mop floors")); err != nil {
		return err
	}
	if err := parallel(8, func(int) error { return closeStore(s) }); err != nil {
		return err
	}
	return wantClosed(ctx, s)
}
