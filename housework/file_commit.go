package housework

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"
)

// A fileChange is an Add or a Complete. All but apply belongs to the one who leads, once
// it is taken, and else to the mutex of the store.
type fileChange struct {
	apply func(*stagedList) (int, error)
	leads bool      // or is about to
	wake  chan bool // whether to lead; otherwise it is done
	first int
	err   error
}

// errNotFinished is what others are told whose changes were given to a Codec that
// panicked.
var errNotFinished = errors.New("housework: the change did not come to its end")

// change makes a change, together with those that come at the same time: one of the
// callers leads, and takes all that wait into one commit, once it has the lock.
func (s *FileStore) change(ctx context.Context, apply func(*stagedList) (int, error)) (int, error) {
	c := &fileChange{apply: apply, wake: make(chan bool, 1)}
	s.mu.Lock()
	s.queue = append(s.queue, c)
	lead := !s.led
	if lead {
		s.led, c.leads = true, true
	}
	s.mu.Unlock()
	if lead || s.await(ctx, c) {
		s.lead(ctx, c)
	}
	return c.first, c.err
}

// await waits until a change is done, or is to lead, which it reports.
func (s *FileStore) await(ctx context.Context, c *fileChange) (lead bool) {
	var err error
	select {
	case lead := <-c.wake:
		return lead
	case <-ctx.Done():
		err = fileError("changing", s.path, ctx.Err())
	case <-s.closing:
		err = ErrClosed
	}
	s.mu.Lock()
	withdrawn := !c.leads && s.withdraw(c)
	s.mu.Unlock()
	if withdrawn {
		c.err = err
		return false
	}
	return <-c.wake
}

// withdraw takes a change out of the queue, and reports whether it was there. It
// needs the mutex.
func (s *FileStore) withdraw(c *fileChange) bool {
	i := slices.Index(s.queue, c)
	if i < 0 {
		return false
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	return true
}

// lead makes one commit of all that wait, c among them, and hands the lead over.
func (s *FileStore) lead(ctx context.Context, c *fileChange) {
	var batch []*fileChange
	finished := false
	defer func() {
		if !finished {
			refuse(batch, errNotFinished)
		}
		s.follow(c, batch)
	}()
	s.gather(ctx)
	lock, err := s.lock(ctx)
	s.mu.Lock()
	if err == nil {
		batch, s.queue = s.queue, nil
	} else {
		s.withdraw(c)
	}
	s.mu.Unlock()
	if err == nil {
		defer lock.Close() // it holds nothing
		s.held = lock
		s.commit(batch)
	} else {
		c.err = fileError("changing", s.path, err)
	}
	finished = true
}

// gatherTurns is how often a leader lets others run before it sleeps: some milliseconds.
// Where a commit takes long that spares a processor, and where time is faked, in a test,
// it would stand still otherwise.
const gatherTurns = 10_000

// gather waits for the others, if there were others, for a moment.
//
// Without it, writers who begin anew as soon as they are answered would fall into two
// groups: while the answers of one commit are on their way, the next one begins with
// the few that came during the last, and so on, each second commit almost empty. Those
// who were answered by the last commit and those who came during it are as
// many as write at the same time. The leader lets them run until so many are back, but
// no longer than for an eighth of what the commit will take. It waits for nobody if
// it was alone, and after a wait for somebody who has stopped it no longer counts him.
func (s *FileStore) gather(ctx context.Context) {
	begin := time.Now()
	for turn := 0; time.Since(begin) < s.took/8 && ctx.Err() == nil; turn++ {
		s.mu.Lock()
		enough := len(s.queue) >= s.writers || s.closed
		s.mu.Unlock()
		if enough {
			return
		}
		if turn < gatherTurns {
			runtime.Gosched() // a timer may sleep ten times as long
		} else {
			time.Sleep(time.Millisecond)
		}
	}
}

// follow hands the lead to the next in the queue, and wakes those of a commit but c.
func (s *FileStore) follow(c *fileChange, batch []*fileChange) {
	s.mu.Lock()
	s.writers = len(batch) + len(s.queue)
	if len(s.queue) == 0 {
		s.led = false
	} else {
		s.queue[0].leads = true
		s.queue[0].wake <- true
	}
	s.mu.Unlock()
	for _, b := range batch {
		if b != c {
			b.wake <- false
		}
	}
}

// commit makes changes, all in one replacement of the file. It needs the lock.
func (s *FileStore) commit(batch []*fileChange) {
	err := s.tryCommit(batch)
	if _, ok := errors.AsType[*encodeError](err); ok && len(batch) > 1 {
		// One of them cannot be written, which is no fault of the others.
		for _, c := range batch {
			s.commit([]*fileChange{c})
		}
		return
	}
	if err != nil {
		refuse(batch, fileError("changing", s.path, err))
	}
}

func refuse(batch []*fileChange, err error) {
	for _, c := range batch {
		c.first, c.err = 0, err
	}
}

// tryCommit makes changes, and says in each what came of it. If it returns an error, none
// was made.
func (s *FileStore) tryCommit(batch []*fileChange) error {
	base, err := s.refresh()
	if err != nil {
		return err
	}
	if s.indexed != base {
		s.requests, s.indexed = indexRequests(base.chores), base
	}
	list := &stagedList{chores: base.chores, limit: s.maxChores, requests: s.requests}
	accepted := false
	for _, c := range batch {
		c.first, c.err = c.apply(list)
		accepted = accepted || c.err == nil
	}
	if !accepted {
		return nil
	}
	if !list.owned && !base.doubtful {
		return s.settle(base)
	}
	old, err := fileInfo(s.path)
	if err != nil {
		return err
	}
	begin := time.Now()
	v, err := s.replace(base, old, list.chores)
	s.took = time.Since(begin)
	if v == nil {
		return err
	}
	maps.Copy(s.requests, list.added)
	s.indexed = v
	if err != nil {
		doubt(batch, fileError("the change was made, but it may not be on disk:", s.path, err))
	} else if err := s.stillLocked(); err != nil {
		doubt(batch, fileError("the change was made, but another may have replaced it:", s.path, err))
	}
	return nil
}

// refresh returns what the file holds.
func (s *FileStore) refresh() (*fileVersion, error) {
	v, current, err := s.known()
	if v != nil || err != nil {
		return v, err
	}
	v, err = s.read(current.codec)
	if err != nil {
		return nil, err
	}
	s.publish(v, nil)
	return v, nil
}

// settle makes sure that what is acknowledged because it is there already is on disk.
func (s *FileStore) settle(v *fileVersion) error {
	if v.synced {
		return nil
	}
	if err := s.syncVersion(v); err != nil {
		v.doubtful = true
		return fmt.Errorf("it may not be on disk: %w", err)
	}
	v.synced = true
	return nil
}

// doubt gives an error to those who would be told that all is well.
func doubt(batch []*fileChange, err error) {
	for _, c := range batch {
		if c.err == nil {
			c.first, c.err = 0, err
		}
	}
}
