package etcdstore

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netparts/netparts/housework"
)

const (
	// maxOps and maxBytes are what a transaction may have. etcd counts the longest
	// of its three lists, and takes 1.5 MiB with the keys and the block that is appended to.
	maxOps   = 128
	maxBytes = MaxAddBytes

	// maxTries is how often a change is made again that others were before.
	maxTries = 32
)

// A change is an Add or a Complete that waits to be made.
type change struct {
	id      string // of the request
	digest  string // of its descriptions
	data    []byte // its chores, encoded
	ends    []int  // where in data each of them ends
	numbers []int  // of the chores to be completed, if it is no Add

	deadline time.Time // of the caller, if not zero
	batch    *batch    // that it is in, guarded by Store.mu
	decided  chan struct{}

	// What came of it, once decided is closed.
	first int
	err   error
}

func (c *change) isAdd() bool { return len(c.ends) > 0 }

func (c *change) decide(first int, err error) {
	c.first, c.err = first, err
	close(c.decided)
}

// A size is what changes take of a transaction.
type size struct{ keys, chores, bytes int }

// size returns what a change takes alone.
func (c *change) size() size {
	z := size{keys: len(c.bits()), chores: len(c.ends), bytes: len(c.data)}
	if c.id != "" {
		z.keys++
	}
	return z
}

func (z size) plus(other size) size {
	return size{z.keys + other.keys, z.chores + other.chores, z.bytes + other.bytes}
}

// fits reports whether a transaction may have so much. Besides the keys of the
// changes it has count, writer, the block that is appended to, and those that follow.
func (z size) fits() bool {
	return z.keys+3+(z.chores+perBlock-1)/perBlock <= maxOps && z.bytes <= maxBytes
}

// bits returns the numbers of the keys done that a change touches.
func (c *change) bits() map[int]bool {
	touched := make(map[int]bool)
	for _, n := range c.numbers {
		touched[(n-1)/perDone] = true
	}
	return touched
}

// A batch is changes that are made in one transaction.
type batch struct {
	changes []*change // that are not decided
	ctx     context.Context
	cancel  context.CancelFunc
	waiting int // callers, guarded by Store.mu
}

// submit has a change made and waits for it.
func (s *Store) submit(ctx context.Context, c *change) error {
	c.deadline, _ = ctx.Deadline()
	c.decided = make(chan struct{})
	s.mu.Lock()
	s.queue = append(s.queue, c)
	if !s.running {
		s.running = true
		s.active.Go(s.makeChanges)
	}
	s.mu.Unlock()
	defer s.leave(c)
	select {
	case <-c.decided:
		return c.err
	case <-ctx.Done():
		return contextError(ctx.Err(), nil)
	}
}

// leave ends the interest in a change: if it still waits, it is not made, and if
// nobody waits any more for its batch, that is given up, too.
func (s *Store) leave(c *change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := c.batch; b != nil {
		if b.waiting--; b.waiting == 0 {
			b.cancel()
		}
		return
	}
	for i := range s.queue {
		if s.queue[i] == c {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return
		}
	}
}

// makeChanges makes what waits, until nothing does.
func (s *Store) makeChanges() {
	if s.writer == "" {
		s.writer = crand.Text()
	}
	for b := s.take(); b != nil; b = s.take() {
		err := s.commit(b)
		for _, c := range b.changes {
			c.decide(0, err)
		}
		b.cancel()
	}
}

// take takes what waits and fits into one transaction, or nil if nothing waits. Of
// changes with the same request id only the first is taken, so that the next
// finds what came of it.
func (s *Store) take() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := new(batch)
	var total size
	var rest []*change
	ids := make(map[string]bool)
	var deadline time.Time
	unlimited := false
	for i, c := range s.queue {
		sum := total.plus(c.size())
		if len(b.changes) > 0 && !sum.fits() {
			rest = append(rest, s.queue[i:]...)
			break
		}
		if c.id != "" && ids[c.id] {
			rest = append(rest, c)
			continue
		}
		ids[c.id] = true
		total = sum
		b.changes = append(b.changes, c)
		c.batch = b
		unlimited = unlimited || c.deadline.IsZero()
		if c.deadline.After(deadline) {
			deadline = c.deadline
		}
	}
	s.queue = rest
	if len(b.changes) == 0 {
		s.running = false
		return nil
	}
	b.waiting = len(b.changes)
	if unlimited {
		b.ctx, b.cancel = context.WithCancel(context.Background())
	} else {
		b.ctx, b.cancel = context.WithDeadline(context.Background(), deadline)
	}
	return b
}

// commit makes the changes of a batch. Those that it does not decide have failed with
// its error.
func (s *Store) commit(b *batch) error {
	fresh := false // whether something was read since the batch was taken
	for try := 0; try < maxTries; {
		p := s.plan(b, fresh)
		if p == nil {
			if err := s.refresh(b); err != nil {
				return err
			}
			fresh = true
			continue
		}
		if len(b.changes) == 0 {
			return nil
		}
		made, err := s.execute(b, p)
		if err != nil {
			s.known.complete = false
			return err
		}
		if made {
			p.decide()
			b.changes = nil
			return nil
		}
		fresh = true
		// The first time there is no reason to believe that it comes to that again.
		// Then there are others who add all the time: up to a quarter of a second lets some
		// tens of them get their turn.
		if try++; try > 1 {
			if err := pause(b.ctx, rand.N(time.Millisecond<<min(try, 8))); err != nil {
				return contextError(err, nil)
			}
		}
	}
	return housework.ErrConflict
}

// execute makes a plan, or reports that others were before, and nothing was changed.
// Both leave what is known up to date.
func (s *Store) execute(b *batch, p *plan) (made bool, err error) {
	t := transaction{compare: p.compares(s), then: p.puts(s), otherwise: s.reads(b.changes)}
	resp, unclear, err := s.transact(b.ctx, t)
	switch {
	case err != nil && unclear:
		// If it was made nevertheless, no error is right.
		if s.refresh(b) == nil && s.known.token == p.token {
			return true, nil
		}
		return false, err
	case err != nil:
		return false, err
	case resp.Succeeded:
		p.learn(s, resp.Header.Revision)
		return true, nil
	}
	if err := s.learn(resp, b.changes); err != nil {
		return false, err
	}
	return s.known.token == p.token, nil
}

// refresh reads what changes have to know.
func (s *Store) refresh(b *batch) error {
	s.known.complete = false
	for !s.known.complete { // until the last block is where it was looked for
		count := s.known.count
		resp, _, err := s.transact(b.ctx, transaction{then: s.reads(b.changes)})
		if err != nil {
			return err
		}
		if err := s.learn(resp, b.changes); err != nil {
			return err
		}
		if !s.known.complete && s.known.count/perBlock == count/perBlock {
			return s.damage(count / perBlock)
		}
	}
	return nil
}

// reads returns the operations that read what changes have to know.
func (s *Store) reads(changes []*change) []clientv3.Op {
	last := s.known.count / perBlock
	ops := []clientv3.Op{
		clientv3.OpGet(s.countKey()),
		clientv3.OpGet(s.blockKey(last), clientv3.WithRange(s.blockKey(last+2))),
		clientv3.OpGet(s.writerKey()),
	}
	bits := make(map[int]bool)
	for _, c := range changes {
		if c.id != "" {
			ops = append(ops, clientv3.OpGet(s.requestKey(c.id)))
		}
		for n := range c.bits() {
			if !bits[n] {
				ops = append(ops, clientv3.OpGet(s.doneKey(n)))
			}
			bits[n] = true
		}
	}
	return ops
}
