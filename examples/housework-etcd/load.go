package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/netparts/netparts/housework"
)

// callLimit is how long one call of a client may take before it is made again.
const callLimit = 5 * time.Second

// A load is clients that add chores, and what they were told.
type load struct {
	address string // of Rosie
	writers int

	mu      sync.Mutex
	acked   map[int]string // the chores by their numbers
	again   int            // calls
	longest time.Duration
}

// run adds chores until ctx ends, and waits until those that were begun are
// acknowledged, or hard ends.
func (l *load) run(ctx, hard context.Context) error {
	l.acked = make(map[int]string)
	failed := make([]error, l.writers)
	var wg sync.WaitGroup
	for i := range l.writers {
		wg.Go(func() { failed[i] = l.write(ctx, hard, i) })
	}
	wg.Wait()
	return errors.Join(failed...)
}

// write is one client.
func (l *load) write(ctx, hard context.Context, writer int) (err error) {
	client, err := housework.Dial(hard, l.address, &housework.ClientOptions{Insecure: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	for i := 1; ctx.Err() == nil; i++ {
		if err := l.add(hard, client, fmt.Sprintf("Writer %d, chore %d", writer, i)); err != nil {
			return err
		}
	}
	return nil
}

// add adds one chore, with its text as the request id, however often it has to be tried.
func (l *load) add(hard context.Context, client *housework.Client, text string) error {
	begin := time.Now()
	for {
		ctx, cancel := context.WithTimeout(hard, callLimit)
		n, err := client.Add(ctx, text, []housework.Chore{{Description: text}})
		cancel()
		if err == nil {
			l.note(func() {
				if other, twice := l.acked[n]; twice {
					err = fmt.Errorf("number %d was given to %q and to %q", n, other, text)
				}
				l.acked[n] = text
				l.longest = max(l.longest, time.Since(begin))
			})
			return err
		}
		if hard.Err() != nil {
			return fmt.Errorf("%q was not acknowledged in the end: %w", text, err)
		}
		l.note(func() { l.again++ })
	}
}

func (l *load) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// A verdict is what the list says about what was acknowledged.
type verdict struct {
	chores, acked, lost, doubled int
}

// compare reads the list of a store.
func (l *load) compare(ctx context.Context, s housework.Store) (v verdict, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[string]bool)
	kept := 0
	for chore, err := range housework.All(ctx, s) {
		if err != nil {
			return verdict{}, err
		}
		v.chores++
		if seen[chore.Description] {
			v.doubled++
		}
		seen[chore.Description] = true
		if l.acked[v.chores] == chore.Description {
			kept++
		}
	}
	v.acked = len(l.acked)
	v.lost = v.acked - kept
	return v, nil
}
