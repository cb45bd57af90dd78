package memnet

import (
	"sync"
	"time"
)

// A deadline is a time after which waiters on a condition variable give up. Its
// fields are guarded by the variable's lock.
type deadline struct {
	at      time.Time
	timer   *time.Timer
	expired bool
}

// set moves the deadline to t, or removes it if t is zero, and wakes the
// waiters of cond when it passes. Before that, if it is not nil, it calls first.
// The caller holds cond.L.
func (d *deadline) set(cond *sync.Cond, t time.Time, first func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	d.expired = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.expired = true
		cond.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		if first != nil {
			first()
		}
		cond.L.Lock()
		defer cond.L.Unlock()
		if d.timer == timer { // not moved in the meantime
			d.expired = true
			cond.Broadcast()
		}
	})
	d.timer = timer
}

// stop ends the deadline without passing it. The caller holds the lock.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
