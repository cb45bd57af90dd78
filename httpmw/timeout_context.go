package httpmw

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A limitContext is the context of a handler with a limit.
//
// The idea: somebody waits for the handler and its limit already, so this context has no timer
// of its own, and what it takes to follow the request's context is made when the handler
// first asks for Done. Most handlers never do.
type limitContext struct {
	context.Context // the request's

	// expired is a context of the standard library that ended in the same way. It has
	// the values from then on, because context.Cause looks among them.
	expired atomic.Pointer[context.Context]

	mu       sync.Mutex
	deadline time.Time       // zero without a limit
	err      error           // why it has ended
	done     <-chan struct{} // nil until it is asked for; ends with the request's context too
	cancel   context.CancelFunc
	stop     func() bool // following the request's context, for after
	after    map[*func()]struct{}
}

// Deadline implements context.Context.
func (c *limitContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	limit := c.deadline
	c.mu.Unlock()
	if d, ok := c.Context.Deadline(); ok && d.Before(limit) || limit.IsZero() {
		return d, ok
	}
	return limit, true
}

// lift takes the limit away. A context with a later deadline that is made of this one relies
// on the deadline that this one says it has.
func (c *limitContext) lift() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = time.Time{}
}

// Done implements context.Context.
func (c *limitContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		// That of the standard library needs less for it than a function that follows
		// the request's context.
		var inner context.Context
		inner, c.cancel = context.WithCancel(c.Context)
		c.done = inner.Done()
		if c.err != nil {
			c.cancel()
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *limitContext) Err() error {
	if err := c.Context.Err(); err != nil {
		c.end(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context.
func (c *limitContext) Value(key any) any {
	if expired := c.expired.Load(); expired != nil {
		return (*expired).Value(key)
	}
	return c.Context.Value(key)
}

// AfterFunc lets contexts that are made of this one end with it, without a goroutine each
// that waits for that.
func (c *limitContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = make(map[*func()]struct{})
		c.stop = context.AfterFunc(c.Context, func() { c.end(c.Context.Err()) })
	}
	key := &f
	c.after[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.after[key]
		delete(c.after, key)
		return ok
	}
}

// end ends the context, if it has not ended yet.
func (c *limitContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if errors.Is(err, context.DeadlineExceeded) {
		expired, cancel := context.WithDeadline(c.Context, time.Unix(1, 0))
		cancel()
		c.expired.Store(&expired)
	}
	if c.cancel != nil {
		c.cancel()
	}
	if c.stop != nil {
		c.stop()
	}
	for f := range c.after {
		go (*f)()
	}
	c.after = nil
}
