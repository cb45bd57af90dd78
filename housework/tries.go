package housework

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

const (
	maxTries  = 3
	firstWait = 50 * time.Millisecond // before the second try; it doubles

	// connectWait is how long a try waits for a connection that has just failed. Calls
	// of gRPC would fail at once.
	connectWait = 250 * time.Millisecond
)

// usable returns why there must be no call, or nil.
func (c *Client) usable(ctx context.Context) error {
	if c.closed.Err() != nil {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return endedError(ctx, nil)
	}
	return nil
}

// limited gives ctx a deadline if it has none.
func (c *Client) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || c.timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.timeout)
}

// call runs a try, and runs it again if the server could not be reached. What it does
// must be safe to do twice.
func (c *Client) call(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	for wait, n := firstWait, 1; ; wait, n = 2*wait, n+1 {
		err := try(ctx)
		if err == nil {
			return nil
		}
		err = c.explain(err)
		switch {
		case c.closed.Err() != nil:
			return ErrClosed
		case status.Code(err) != codes.Unavailable || c.attempts.refusal() != nil || n == maxTries:
			return err
		case !c.pause(ctx, wait):
			if c.closed.Err() != nil {
				return ErrClosed
			}
			if ctx.Err() != nil {
				return endedError(ctx, err)
			}
			return err
		}
	}
}

// explain returns the error for a try that failed with err: with what gRPC does not
// tell of it.
func (c *Client) explain(err error) error {
	if status.Code(err) == codes.Unavailable {
		cause := c.attempts.refusal()
		if cause == nil && c.conn.GetState() == connectivity.TransientFailure {
			cause = c.attempts.err()
		}
		if cause != nil {
			return newConnError(cause)
		}
	}
	return fromStatus(err)
}

// pause waits before another try, for between half of d and d, and then for a
// connection. It reports false if there is no time for that.
func (c *Client) pause(ctx context.Context, d time.Duration) bool {
	d -= rand.N(d / 2)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	case <-c.closed.Done():
		return false
	}
	if c.conn.GetState() != connectivity.TransientFailure {
		return true
	}
	c.conn.ResetConnectBackoff()
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	for {
		state := c.conn.GetState()
		if state != connectivity.TransientFailure && state != connectivity.Connecting {
			return true
		}
		if !c.conn.WaitForStateChange(ctx, state) {
			return true // the try tells why
		}
	}
}
