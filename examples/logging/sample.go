package logging

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// SamplerOptions are the options of [NewSampler].
type SamplerOptions struct {
	// Interval is the time after which counting begins anew. If zero or less, it is
	// a second.
	Interval time.Duration

	// First is how many of equal messages are written in an interval before any is
	// dropped. If zero or less, it is 1.
	First int

	// Every says which of those that follow are written: with 3 it is the third of
	// them, the sixth, and so on. If zero or less, none is.
	Every int

	// MaxMessages is how many different messages are counted in an interval. What
	// comes beyond them is written, since losing what nobody has seen yet is worse than
	// repeating it. If zero or less, it is 1000, which takes less than 200 KiB.
	MaxMessages int

	// DroppedKey is the key of an attribute of those that are written: how many were
	// dropped since one was written, in this interval and the one before. It stands in
	// the group that is open, if one is. If empty, there is none.
	DroppedKey string
}

// A Sampler is a [slog.Handler] that passes on the first of equal messages, and then every
// n-th, and counts anew after an interval. It is for what repeats in a loop that is hot,
// where one line tells as much as a thousand, and each of the thousand costs.
//
// Messages are equal if their level and their text are, whatever their attributes. So what
// differs each time belongs into attributes. The handlers that WithAttrs and WithGroup return
// count together with the one that they come from.
//
// Messages are kept as hashes, of 64 bits and with a seed of their own. Two that had the same
// one would count as equal.
//
// A Sampler may be used by several goroutines if the handler below it may.
type Sampler struct {
	next   slog.Handler
	counts *counts
}

// NewSampler returns a handler that passes on to next what it does not drop. Without options
// that is one message of each kind in each second. It panics if next is nil.
func NewSampler(next slog.Handler, opts *SamplerOptions) *Sampler {
	if next == nil {
		panic("logging: NewSampler without a handler")
	}
	c := &counts{
		seed:   maphash.MakeSeed(),
		now:    make(map[message]count),
		before: make(map[message]count),
	}
	if opts != nil {
		c.opts = *opts
	}
	return &Sampler{next: next, counts: c}
}

// Enabled implements [slog.Handler]. It knows no message yet, so that it is the answer of the
// handler below.
func (s *Sampler) Enabled(ctx context.Context, level slog.Level) bool {
	return s.next.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (s *Sampler) Handle(ctx context.Context, r slog.Record) error {
	missing, write := s.counts.add(r.Level, r.Message)
	if !write {
		return nil
	}
	if key := s.counts.opts.DroppedKey; key != "" && missing > 0 {
		return s.next.Handle(ctx, withCount(r, key, missing))
	}
	return s.next.Handle(ctx, r)
}

// withCount stands alone, so that only records that get an attribute move to the heap.
func withCount(r slog.Record, key string, n uint64) slog.Record {
	r = r.Clone() // another handler may hold it too
	r.AddAttrs(slog.Uint64(key, n))
	return r
}

// WithAttrs implements [slog.Handler].
func (s *Sampler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Sampler{next: s.next.WithAttrs(attrs), counts: s.counts}
}

// WithGroup implements [slog.Handler].
func (s *Sampler) WithGroup(name string) slog.Handler {
	return &Sampler{next: s.next.WithGroup(name), counts: s.counts}
}

// Dropped returns how many messages were dropped in all, by this handler and all that share
// its counts.
func (s *Sampler) Dropped() uint64 { return s.counts.dropped.Load() }

// A message is what equal messages have in common. It has one size, however long the text
// is, and keeps none of it.
type message struct {
	level slog.Level
	text  uint64
}

// A count is of equal messages.
type count struct {
	seen    uint64 // in this interval
	dropped uint64 // since one was written
}

// counts are what the handlers of one NewSampler share.
type counts struct {
	opts    SamplerOptions
	seed    maphash.Seed
	dropped atomic.Uint64

	mu          sync.Mutex
	began       time.Time // the interval
	now, before map[message]count
}

// add counts a message. It returns whether to write it, and then how many were dropped since
// one like it was written.
func (c *counts) add(level slog.Level, text string) (missing uint64, write bool) {
	m := message{level, maphash.String(c.seed, text)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn()
	n, counted := c.now[m]
	if !counted {
		if len(c.now) >= c.maxMessages() {
			return 0, true
		}
		n.dropped = c.before[m].dropped
	}
	n.seen++
	if write = c.chosen(n.seen); write {
		missing, n.dropped = n.dropped, 0
	} else {
		n.dropped++
		c.dropped.Add(1)
	}
	c.now[m] = n
	return missing, write
}

// turn begins an interval if the last one is over. All messages have the same intervals, so
// that this costs little: maps are emptied rather than searched for what is old. The time is
// the clock's, since a record need not have one.
func (c *counts) turn() {
	now := time.Now()
	if now.Sub(c.began) < c.interval() {
		return
	}
	c.began = now
	c.now, c.before = c.before, c.now
	clear(c.now)
}

// chosen reports whether the n-th of equal messages is written.
func (c *counts) chosen(n uint64) bool {
	first := uint64(max(c.opts.First, 1))
	if n <= first {
		return true
	}
	return c.opts.Every > 0 && (n-first)%uint64(c.opts.Every) == 0
}

func (c *counts) interval() time.Duration {
	if c.opts.Interval <= 0 {
		return time.Second
	}
	return c.opts.Interval
}

func (c *counts) maxMessages() int {
	if c.opts.MaxMessages <= 0 {
		return 1000
	}
	return c.opts.MaxMessages
}
