package etcdstore

import (
	"fmt"
	"slices"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netparts/netparts/housework"
)

// A state is what a Store knows of the list. It may be out of date, which the
// transaction tells.
type state struct {
	complete bool // whether the rest is there
	count    int
	revision int64  // that has changed the count
	tail     []byte // the last block, unless it is full
	done     map[int]done
	token    string             // the value of this Store's writer key
	requests map[string]request // those that were asked for last, and are there
}

// done is the bits of one key.
type done struct {
	bits     bits
	revision int64
}

// learn takes what reads(changes) has read.
func (s *Store) learn(resp *clientv3.TxnResponse, changes []*change) error {
	k := &s.known
	k.count, k.revision, k.token = 0, 0, ""
	k.requests = make(map[string]request)
	if k.done == nil {
		k.done = make(map[int]done)
	}
	for _, c := range changes {
		for n := range c.bits() {
			k.done[n] = done{} // unless there is such a key
		}
	}
	blocks := make(map[int][]byte)
	err := s.each(resp, func(e entry) (err error) {
		switch e.kind {
		case "count":
			k.revision = e.revision
			k.count, err = parseCount(e.value)
		case "block":
			blocks[e.number] = e.value
		case "writer":
			k.token = string(e.value)
		case "request":
			k.requests[e.name], err = parseRequest(e.value)
		case "done":
			k.done[e.number] = done{e.value, e.revision}
		}
		return err
	})
	if err != nil {
		return err
	}
	k.tail, k.complete = nil, true
	if n := k.count % perBlock; n != 0 {
		// If it is not there, it is further on than was asked for.
		k.tail, k.complete = blocks[k.count/perBlock], blocks[k.count/perBlock] != nil
		if k.complete && !isList(k.tail, n) {
			return s.damage(k.count / perBlock)
		}
	}
	return nil
}

// damage returns the error for a block that is not what it should be. Nothing is
// appended to one.
func (s *Store) damage(block int) error {
	return fmt.Errorf("housework: key %q in etcd: not the chores that should be there", s.blockKey(block))
}

// A plan is how the changes of a batch are made, if the list is as it is known.
type plan struct {
	changes []*change
	firsts  []int // the number of the first chore of each change
	adds    bool
	count   int      // of the list then
	start   int      // the number of the first of the blocks
	blocks  [][]byte // that are put
	done    map[int]bits
	token   string
}

// plan decides those changes that need no transaction, and plans the others. It
// returns nil if it must know more. What it says no to must be fresh.
func (s *Store) plan(b *batch, fresh bool) *plan {
	if !s.known.complete {
		return nil
	}
	s.serial++
	p := &plan{count: s.known.count, start: s.known.count / perBlock, done: make(map[int]bits), token: strconv.Itoa(s.serial)}
	if s.known.count%perBlock != 0 {
		// Beyond the length of what is known, nobody looks at the array.
		p.blocks = [][]byte{s.known.tail}
	}
	var undecided []*change
	for i, c := range b.changes {
		keep, ok := s.planOne(p, c, fresh)
		if !ok {
			b.changes = append(undecided, b.changes[i:]...)
			return nil
		}
		if keep {
			undecided = append(undecided, c)
		}
	}
	b.changes, p.changes = undecided, undecided
	if !p.adds && len(p.done) == 0 { // all was done already
		p.decide()
		b.changes = nil
	}
	return p
}

// planOne plans one change, and reports whether it needs the transaction. It is not ok
// if more must be known.
func (s *Store) planOne(p *plan, c *change, fresh bool) (keep, ok bool) {
	if c.isAdd() {
		if r, found := s.known.requests[c.id]; found && c.id != "" {
			if r.digest == c.digest {
				c.decide(r.first, nil)
			} else {
				c.decide(0, housework.ErrRequestIDUsed)
			}
			return false, true
		}
		// Lists only grow, so that this is true also if others have added meanwhile. But
		// the request may be one that was made before.
		if limit := s.maxChores(); len(c.ends) > limit-p.count {
			if c.id != "" && !fresh {
				return false, false
			}
			c.decide(0, fmt.Errorf("%w: the limit is %d", housework.ErrFull, limit))
			return false, true
		}
		p.add(c)
		return true, true
	}
	for n := range c.bits() {
		if _, known := s.known.done[n]; !known {
			return false, false
		}
	}
	for _, n := range c.numbers {
		if n > p.count {
			if fresh {
				c.decide(0, notFound(n))
			}
			return false, fresh
		}
	}
	p.complete(s, c)
	return true, true
}

// add appends the chores of a change.
func (p *plan) add(c *change) {
	p.adds = true
	p.firsts = append(p.firsts, p.count+1)
	begin := 0
	for i := 0; i < len(c.ends); {
		if p.count%perBlock == 0 {
			p.blocks = append(p.blocks, nil)
		}
		n := min(perBlock-p.count%perBlock, len(c.ends)-i)
		end := c.ends[i+n-1]
		last := &p.blocks[len(p.blocks)-1]
		*last = append(*last, c.data[begin:end]...)
		begin, i, p.count = end, i+n, p.count+n
	}
}

// complete sets the bits that a change wants, if one of them is not.
func (p *plan) complete(s *Store, c *change) {
	p.firsts = append(p.firsts, 0)
	for _, number := range c.numbers {
		key, n := (number-1)/perDone, (number-1)%perDone
		b, copied := p.done[key]
		if !copied {
			b = s.known.done[key].bits
		}
		if b.has(n) {
			continue
		}
		if !copied {
			b = slices.Clone(b)
		}
		p.done[key] = b.set(n)
	}
}

// compares returns what must be for the plan to be made: what it appends to and what
// it replaces is unchanged, and the requests are new.
func (p *plan) compares(s *Store) (cs []clientv3.Cmp) {
	if p.adds {
		cs = append(cs, clientv3.Compare(clientv3.ModRevision(s.countKey()), "=", s.known.revision))
	}
	for _, c := range p.changes {
		if c.id != "" {
			cs = append(cs, clientv3.Compare(clientv3.CreateRevision(s.requestKey(c.id)), "=", 0))
		}
	}
	for n := range p.done {
		cs = append(cs, clientv3.Compare(clientv3.ModRevision(s.doneKey(n)), "=", s.known.done[n].revision))
	}
	return cs
}

// puts returns what the plan changes.
func (p *plan) puts(s *Store) []clientv3.Op {
	ops := []clientv3.Op{clientv3.OpPut(s.writerKey(), p.token)}
	for n, b := range p.done {
		ops = append(ops, clientv3.OpPut(s.doneKey(n), string(b)))
	}
	if !p.adds {
		return ops
	}
	ops = append(ops, clientv3.OpPut(s.countKey(), strconv.Itoa(p.count)))
	for i, b := range p.blocks {
		ops = append(ops, clientv3.OpPut(s.blockKey(p.start+i), string(b)))
	}
	for i, c := range p.changes {
		if c.id != "" {
			ops = append(ops, clientv3.OpPut(s.requestKey(c.id), request{p.firsts[i], c.digest}.String()))
		}
	}
	return ops
}

// learn notes that the plan was made.
func (p *plan) learn(s *Store, revision int64) {
	k := &s.known
	for n, b := range p.done {
		k.done[n] = done{b, revision}
	}
	k.requests = nil
	if !p.adds {
		return
	}
	k.count, k.revision, k.tail = p.count, revision, nil
	if p.count%perBlock != 0 {
		k.tail = p.blocks[len(p.blocks)-1]
	}
}

// decide tells the callers that the plan was made.
func (p *plan) decide() {
	for i, c := range p.changes {
		c.decide(p.firsts[i], nil)
	}
}
