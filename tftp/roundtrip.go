package tftp

import "time"

const (
	// firstTimeout is how long to wait for an answer while the round trip is
	// not known (RFC 6298 section 2.1).
	firstTimeout = time.Second

	// minTimeout is the floor of the timer. RFC 6298 asks for a second, for
	// streams that back off the whole network; a transfer has one window under
	// way and doubles its timer, and boot loaders wait for every loss.
	minTimeout = 20 * time.Millisecond
)

// A roundTrip estimates how long an answer takes (RFC 6298), and from that how
// long to wait for one.
type roundTrip struct {
	most     time.Duration // bound of timeout
	smoothed time.Duration // SRTT; zero before the first sample
	varies   time.Duration // RTTVAR
	least    time.Duration // of all samples
	timeout  time.Duration // RTO
}

func newRoundTrip(most time.Duration) roundTrip {
	return roundTrip{most: most, timeout: min(firstTimeout, most)}
}

// sample takes one measurement. By Karn's rule it must not be of something that
// was sent more than once.
func (r *roundTrip) sample(d time.Duration) {
	d = max(d, time.Microsecond)
	if r.smoothed == 0 {
		r.smoothed, r.varies, r.least = d, d/2, d
	} else {
		r.varies += ((r.smoothed - d).Abs() - r.varies) / 4
		r.smoothed += (d - r.smoothed) / 8
		r.least = min(r.least, d)
	}
	r.timeout = min(max(r.usual(), minTimeout), r.most)
}

// usual is how long an answer takes at most as a rule.
func (r *roundTrip) usual() time.Duration { return r.smoothed + 4*r.varies }

// backOff doubles the wait after a timeout. It stays so until the next sample, or
// recover.
func (r *roundTrip) backOff() { r.timeout = min(2*r.timeout, r.most) }

// recover halves a wait that was doubled, after an answer that came in time but is
// no sample.
func (r *roundTrip) recover() {
	if r.smoothed > 0 {
		r.timeout = max(r.timeout/2, min(max(r.usual(), minTimeout), r.most))
	}
}
