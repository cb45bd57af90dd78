package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
)

// A transaction is the three lists of one.
type transaction struct {
	compare         []clientv3.Cmp
	then, otherwise []clientv3.Op
}

// transact sends a transaction until it is answered or ctx ends. It must be one that
// may be made several times. With an error, unclear says that an attempt may have
// been made nevertheless.
func (s *Store) transact(ctx context.Context, t transaction) (resp *clientv3.TxnResponse, unclear bool, err error) {
	var last error
	for try := 0; ; try++ {
		resp, err = s.attempt(ctx, t)
		switch {
		case err == nil:
			return resp, false, nil
		case s.Client.Ctx().Err() != nil:
			return nil, true, fmt.Errorf("%w, with its connection: %w", housework.ErrClosed, err)
		case ctx.Err() != nil:
			return nil, true, contextError(ctx.Err(), last)
		case !passes(err):
			// The change that has used up the space was made, although this is the answer.
			return nil, unclear || errors.Is(err, rpctypes.ErrNoSpace), etcdError(err)
		}
		unclear, last = true, err
		if err := pause(ctx, rand.N(10*time.Millisecond<<min(try, 4))); err != nil {
			return nil, true, contextError(err, last)
		}
	}
}

// attempt sends a transaction once.
func (s *Store) attempt(ctx context.Context, t transaction) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.attemptLimit(ctx))
	defer cancel()
	// Otherwise a client that was closed tries until the time is over.
	stop := context.AfterFunc(s.Client.Ctx(), cancel)
	defer stop()
	return s.Client.Txn(ctx).If(t.compare...).Then(t.then...).Else(t.otherwise...).Commit()
}

// attemptLimit returns how long the next attempt may take: not more than a third of
// what is left, so that a member that does not answer leaves time to ask another.
func (s *Store) attemptLimit(ctx context.Context) time.Duration {
	limit := s.attemptTimeout()
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/3)
	}
	return max(limit, 10*time.Millisecond)
}

// pause waits, unless ctx ends first: then it returns why.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passes reports whether an attempt may get another answer if it is made again: the
// member was not reached, or has not answered in time, or there is no leader.
func passes(err error) bool {
	if errors.Is(err, rpctypes.ErrTooManyRequests) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	switch code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return true
	}
	return false
}

func code(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	return status.Code(err)
}

// etcdError returns the error for what etcd has refused.
func etcdError(err error) error {
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return fmt.Errorf("%w: %w", housework.ErrFull, err)
	}
	return fmt.Errorf("housework: %w", err)
}

// contextError returns the error for a call whose context has ended, with what
// the last attempt has met, if it has.
func contextError(err, last error) error {
	if last == nil || errors.Is(last, err) {
		return fmt.Errorf("housework: %w", err)
	}
	return fmt.Errorf("housework: %w; before: %w", err, last)
}

func notFound(number int) error {
	return &housework.ChoreError{Number: number, Err: housework.ErrNotFound}
}

// count returns how many chores there are.
func (s *Store) count(ctx context.Context) (n int, err error) {
	resp, _, err := s.transact(ctx, transaction{then: []clientv3.Op{clientv3.OpGet(s.countKey())}})
	if err != nil {
		return 0, err
	}
	err = s.each(resp, func(e entry) error {
		n, err = parseCount(e.value)
		return err
	})
	return n, err
}
