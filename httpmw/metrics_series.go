package httpmw

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxSeries = 10_000 // of one Metrics
	maxLabel  = 1024   // bytes of a label's value
)

// A seriesKey is the labels of a series.
type seriesKey struct{ method, class, pattern, host string }

// overflow is the series of all that is too much.
var overflow = seriesKey{method: other, class: other, pattern: other}

func (k seriesKey) compare(l seriesKey) int {
	return cmp.Or(
		strings.Compare(k.pattern, l.pattern), strings.Compare(k.host, l.host),
		strings.Compare(k.method, l.method), strings.Compare(k.class, l.class),
	)
}

// clean returns the key under which labels are kept: short ones of valid UTF-8, as two that
// are shown alike must be one.
func (k seriesKey) clean() seriesKey {
	for _, label := range []*string{&k.method, &k.class, &k.pattern, &k.host} {
		if len(*label) > maxLabel {
			*label = other
		}
		*label = strings.ToValidUTF8(*label, "\uFFFD")
	}
	return k
}

// clone returns the key in memory of its own: a label may be a piece of a request.
func (k seriesKey) clone() seriesKey {
	return seriesKey{strings.Clone(k.method), strings.Clone(k.class), strings.Clone(k.pattern), strings.Clone(k.host)}
}

// A series counts the requests with the same labels.
//
// The sum of durations is kept as whole seconds and nanoseconds, exactly: in one number,
// ten thousand connections that stay open for a few days would overflow it.
type series struct {
	key                  seriesKey // in memory of its own
	bounds               []float64
	counts               []atomic.Uint64 // by bucket, each request in one; the last is +Inf
	seconds, nanoseconds atomic.Uint64
	bytes                atomic.Uint64
}

// seconds returns a duration as the number that is nearest to it, so that one that is as
// long as the bound of a bucket equals it.
func seconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e9 }

func (s *series) observe(d time.Duration, bytes int64) {
	bucket, value := 0, seconds(d)
	for bucket < len(s.bounds) && value > s.bounds[bucket] {
		bucket++
	}
	s.counts[bucket].Add(1)
	s.nanoseconds.Add(uint64(d % time.Second))
	if whole := d / time.Second; whole > 0 {
		s.seconds.Add(uint64(whole))
	}
	s.bytes.Add(uint64(bytes))
}

// A seriesSet is the series of a Metrics. Those that exist are found without a lock.
//
// The idea: a server has few series that nearly all requests belong to. So recent has each
// where its key says, or one that took its place, and a glance at it does for most of what
// would be a search of byKey, which has to look at the whole key to begin with.
type seriesSet struct {
	recent [256]atomic.Pointer[series]

	byKey sync.Map               // seriesKey to *series
	rest  atomic.Pointer[series] // that of overflow, once there are too many

	mu sync.Mutex
	n  int // how many there are
}

// place returns where in recent a key belongs. Patterns often begin alike, so that it is
// their ends that count; a method is told by its length and second letter.
func (k *seriesKey) place() byte {
	n := len(k.pattern)
	place := byte(n + 37*len(k.host) + 101*len(k.method))
	for i := max(0, n-8); i < n; i++ {
		place = place*31 + k.pattern[i]
	}
	if len(k.method) > 1 && k.class != "" {
		place = (place*31+k.method[1])*31 + k.class[0]
	}
	return place
}

// find returns the series of a key, which it makes, with these bounds, if need be.
func (s *seriesSet) find(key seriesKey, bounds []float64) *series {
	place := &s.recent[key.place()]
	if recent := place.Load(); recent != nil && recent.key == key {
		return recent
	}
	if v, ok := s.byKey.Load(key); ok {
		found := v.(*series)
		place.Store(found)
		return found
	}
	key = key.clean()
	if v, ok := s.byKey.Load(key); ok {
		return v.(*series)
	}
	if rest := s.rest.Load(); rest != nil {
		return rest
	}
	return s.add(key, bounds)
}

// add makes the series of a clean key, or that of the rest if there are too many.
func (s *seriesSet) add(key seriesKey, bounds []float64) *series {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.byKey.Load(key); ok { // another goroutine was first
		return v.(*series)
	}
	if s.n < maxSeries-1 { // the last one is kept for the rest
		return s.store(key, bounds)
	}
	if v, ok := s.byKey.Load(overflow); ok {
		s.rest.Store(v.(*series))
	} else {
		s.rest.Store(s.store(overflow, bounds))
	}
	return s.rest.Load()
}

// store makes a series. The lock is held.
func (s *seriesSet) store(key seriesKey, bounds []float64) *series {
	v := &series{key: key.clone(), bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
	s.byKey.Store(v.key, v)
	s.n++
	return v
}

// A reading is what a series counted at some instant.
type reading struct {
	labels string // as they are shown
	bounds []float64
	counts []uint64 // by bucket, each with those before it; the last is count
	count  uint64
	sum    float64
	bytes  uint64
}

// snapshot reads every series, in the order of their labels.
func (s *seriesSet) snapshot() []reading {
	type entry struct {
		key seriesKey
		*series
	}
	var list []entry
	s.byKey.Range(func(k, v any) bool {
		list = append(list, entry{k.(seriesKey), v.(*series)})
		return true
	})
	slices.SortFunc(list, func(a, b entry) int { return a.key.compare(b.key) })
	readings := make([]reading, len(list))
	for i, e := range list {
		readings[i] = e.read(labels(e.key))
	}
	return readings
}

// read reads a series that goes on counting. How many requests there were is not counted
// apart, but is what the buckets hold together, so that it always agrees with them.
func (s *series) read(labels string) reading {
	r := reading{labels: labels, bounds: s.bounds, counts: make([]uint64, len(s.counts))}
	for i := range s.counts {
		r.count += s.counts[i].Load()
		r.counts[i] = r.count
	}
	r.sum = float64(s.seconds.Load()) + float64(s.nanoseconds.Load())/1e9
	r.bytes = s.bytes.Load()
	return r
}
