// Package etcdstore keeps a list of chores in etcd, so that it outlives any of the
// machines that keep it, and so that several servers can share it.
//
//	client, err := clientv3.New(etcdstore.Config("10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"))
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	store := &etcdstore.Store{Client: client}
//	defer store.Close()
//
// # Keys
//
// Under the prefix, which is "housework/" unless another was chosen, stand
//
//	count          how many chores there are, in decimal
//	block/00000007 chores 449 to 512: the message Chores of package housework/v1
//	done/00000000  a bit for each of the chores 1 to 16384, lowest bit first
//	request/ID     what the request ID has added: its first number and a digest
//	writer/RANDOM  which change a Store has made last
//
// A block has 64 chores. Blocks are only ever appended to, and a full one does not
// change any more: that a chore is done is the bit in done, except where it was done when it was
// added. So a Complete of any numbers is one small transaction, whatever is written
// on the chores, and Complete and Add are not in each other's way.
//
// # Changes
//
// Each change is one transaction, which is made only if nobody has changed the same
// keys in between; otherwise the answer holds what they are now, and the change is
// made again from there. After 32 times in vain the error is housework.ErrConflict.
// What the callers of one Store want at the same time goes into one transaction,
// since otherwise each of n would lose to each of the others.
//
// # When members fail
//
// An attempt that gets no answer is made again, with another member if there is
// one, and mostly nobody knows whether it has changed the list. The transaction tells:
// the compared keys let only one of the attempts through, and the key writer/RANDOM, which is
// written with it, shows later whose it was. So also an Add without a request id
// adds once however often the Store has to try. If its caller has given up, by a
// deadline or because the process ended, only a request id makes it safe to call
// again. Ids are remembered as long as the list is there.
//
// # Limits
//
// An etcd takes requests of 1.5 MiB and 128 operations. A change is never split,
// because it would not be all or none: an Add may have [MaxAdd] chores, and
// [MaxAddBytes] with what is stored beside them, or else matches housework.ErrTooMany.
// etcd keeps what keys have held: it should be run with --auto-compaction-retention.
// When its space is used up, errors match housework.ErrFull.
package etcdstore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netparts/netparts/housework"
)

const (
	// MaxAdd is how many chores one Add may have.
	MaxAdd = 7500
	// MaxAddBytes is how many bytes the chores of one Add may take: for each its
	// description, the request id, and some ten more.
	MaxAddBytes = 1310720

	maxPage = 1024 // chores that List returns
)

// A Store is a housework.Store in etcd. The exported fields must not be changed after
// the first call of a method. It must not be copied.
type Store struct {
	// Client is the connection to etcd, which stays open when the Store is closed. It
	// must not be nil. Config makes what it should be configured with.
	Client *clientv3.Client

	// Prefix is what the keys begin with. Lists with prefixes of which none begins with
	// another are separate. If empty, it is "housework/". It should have less than
	// 128 bytes.
	Prefix string

	// MaxChores is how many chores the list may have. If zero, it is a million.
	MaxChores int

	// AttemptTimeout is how long etcd may take to answer before the same is asked
	// again. It is less if less than three times as much is left to the caller. If zero,
	// it is a second.
	AttemptTimeout time.Duration

	// Timeout is how long a call may take whose context has no deadline, all
	// attempts included. If zero, it is 10 seconds. If negative, there is no limit.
	Timeout time.Duration

	active sync.WaitGroup // calls, and the goroutine that makes changes

	mu      sync.Mutex
	closed  bool
	queue   []*change // that wait
	running bool      // whether there is a goroutine that makes them

	// The rest belongs to the goroutine that makes changes.
	known  state
	writer string // name of the key that shows what it did
	serial int    // of the last plan
}

// Add implements [housework.Store].
func (s *Store) Add(ctx context.Context, requestID string, chores []housework.Chore) (first int, err error) {
	if err := housework.ValidateAdd(requestID, chores); err != nil {
		return 0, err
	}
	if len(chores) > MaxAdd {
		return 0, fmt.Errorf("%w: %d, the limit is %d", housework.ErrTooMany, len(chores), MaxAdd)
	}
	c := &change{id: requestID}
	c.encode(chores)
	if len(c.data) > MaxAddBytes {
		return 0, fmt.Errorf("%w: they take %d bytes, the limit is %d", housework.ErrTooMany, len(c.data), MaxAddBytes)
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if len(chores) == 0 {
		n, err := s.count(ctx)
		return n + 1, err
	}
	if err := s.submit(ctx, c); err != nil {
		return 0, err
	}
	return c.first, nil
}

// Complete implements [housework.Store].
func (s *Store) Complete(ctx context.Context, numbers ...int) error {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, n := range numbers {
		if n < 1 || n > math.MaxInt32 {
			return notFound(n)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	c := &change{numbers: append([]int(nil), numbers...)}
	if !c.size().fits() {
		return fmt.Errorf("%w: %d numbers across the whole list", housework.ErrTooMany, len(numbers))
	}
	return s.submit(ctx, c)
}

// List implements [housework.Store]. It returns at most 1,024 chores at once, which
// are as they were at one instant.
func (s *Store) List(ctx context.Context, first, limit int) ([]housework.Chore, error) {
	if first < 1 || limit < 1 {
		return nil, fmt.Errorf("%w: page of %d chores from number %d", housework.ErrInvalid, limit, first)
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if first > math.MaxInt32 {
		return nil, nil
	}
	begin, end := first-1, first-1+min(limit, maxPage)
	blocks := clientv3.OpGet(s.blockKey(begin/perBlock), clientv3.WithRange(s.blockKey((end-1)/perBlock+1)))
	bits := clientv3.OpGet(s.doneKey(begin/perDone), clientv3.WithRange(s.doneKey((end-1)/perDone+1)))
	resp, _, err := s.transact(ctx, transaction{then: []clientv3.Op{blocks, bits}})
	if err != nil {
		return nil, err
	}
	page := page{begin: begin, end: end}
	if err := s.each(resp, page.take); err != nil {
		return nil, err
	}
	return page.chores, nil
}

// Close implements [housework.Store]. The list stays in etcd, and the Client open.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.active.Wait()
	if first && s.writer != "" && s.Client.Ctx().Err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), s.attemptTimeout())
		defer cancel()
		// Nobody will ask for this key again. If it stays, it takes some bytes, and
		// changes nothing.
		_, _ = s.Client.Delete(ctx, s.writerKey())
	}
	return nil
}

// begin begins a call, unless the store is closed or ctx has ended: then it returns
// why. Its context always has a deadline if there is a limit.
func (s *Store) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, housework.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, contextError(err, nil)
	}
	s.active.Add(1)
	cancel := func() {}
	if _, ok := ctx.Deadline(); !ok && s.timeout() > 0 {
		ctx, cancel = context.WithTimeout(ctx, s.timeout())
	}
	return ctx, func() { cancel(); s.active.Done() }, nil
}

func (s *Store) maxChores() int {
	if s.MaxChores == 0 {
		return 1_000_000
	}
	return min(s.MaxChores, math.MaxInt32)
}

func (s *Store) attemptTimeout() time.Duration {
	if s.AttemptTimeout <= 0 {
		return time.Second
	}
	return s.AttemptTimeout
}

func (s *Store) timeout() time.Duration {
	if s.Timeout == 0 {
		return 10 * time.Second
	}
	return s.Timeout
}
