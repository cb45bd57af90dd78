package serve

import (
	"log/slog"
	"time"
)

const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// A backoff is the pause after an error that passes, of accept or of reading. It
// doubles with each error in a row. Of a spell of errors it logs the beginning and
// the end; a spell ends with a success that comes later than maxPause after an
// error, since at the limit of descriptors errors and successes alternate.
type backoff struct {
	what        string // that fails
	pause       time.Duration
	errors      int // in this spell
	first, last time.Time
}

// wait pauses after err. It reports false if stop is closed.
func (b *backoff) wait(err error, stop <-chan struct{}, log *slog.Logger) bool {
	b.last = time.Now()
	if b.errors == 0 {
		b.first = b.last
		log.Warn(b.what+" fails, trying again", "error", err)
	}
	b.errors++
	b.pause = min(max(2*b.pause, minPause), maxPause)
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

// success ends the doubling and, after a while, the spell.
func (b *backoff) success(log *slog.Logger) {
	b.pause = 0
	if b.errors > 0 && time.Since(b.last) > maxPause {
		log.Info(b.what+" works again", "errors", b.errors, "duration", b.last.Sub(b.first))
		b.errors = 0
	}
}
