package heartbeat

import (
	"cmp"
	"errors"
	"sync"
	"time"
)

const (
	defaultMinInterval = 5 * time.Second
	defaultMaxStrikes  = 2
)

// ErrTooManyPings says that a peer has sent pings more often than an [Enforce]
// allows.
var ErrTooManyPings = errors.New("heartbeat: too many pings")

// An Enforce is the limit on the pings that one peer may send. A ping that comes too
// soon after the last one is a strike; data from the peer clears them, since a peer
// that has something to say may ping as well. The zero value is ready to use.
//
// The exported fields must not be changed after the first call of a method. The
// methods are safe for concurrent use.
type Enforce struct {
	// MinInterval is how far apart pings must be. It should be about half of
	// the interval of the peer, because pings that were sent an interval apart
	// may arrive closer together. If zero or negative, 5 seconds.
	MinInterval time.Duration

	// MaxStrikes is how many strikes are forgiven. If zero, 2; if negative,
	// none.
	MaxStrikes int

	mu      sync.Mutex
	last    time.Time
	strikes int
}

func (e *Enforce) minInterval() time.Duration {
	if e.MinInterval <= 0 {
		return defaultMinInterval
	}
	return e.MinInterval
}

// Ping is called for each ping that arrives. It returns ErrTooManyPings if the
// connection should be closed rather than the ping be answered.
func (e *Enforce) Ping() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	early := !e.last.IsZero() && now.Sub(e.last) < e.minInterval()
	e.last = now
	if !early {
		return nil
	}
	if e.strikes++; e.strikes > max(cmp.Or(e.MaxStrikes, defaultMaxStrikes), 0) {
		e.strikes-- // which stays at the limit, however many come
		return ErrTooManyPings
	}
	return nil
}

// Data is called for whatever else arrives. It clears the strikes, and the next ping
// may come at any time.
func (e *Enforce) Data() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.strikes = time.Time{}, 0
}
