package heartbeat_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// A modelled Pinger is what the documentation says: when its pings come and how it
// ends, by the rules alone and without a heap, a timer or a Write.
type modelled struct {
	interval, timeout time.Duration
	fixed             bool // the timeout is not as long as the interval
	most, missed      int
	alive, restarted  time.Duration // the last sign of life, the last SetInterval
	pinged, verdict   time.Duration
	waiting, writing  bool
	again             bool // what is being written has been answered
	shut, broken      bool // a Write blocks, a Write fails
	pings             []time.Duration
	ended             bool
}

// next returns what happens next, and when.
func (m *modelled) next() (at time.Duration, verdict bool) {
	if m.waiting && (m.most > 0 || m.writing) {
		return m.verdict, true
	}
	return max(m.alive, m.restarted, m.pinged) + m.interval, false
}

// run lets time pass until at. A ping is noted only if it can be written.
func (m *modelled) run(at time.Duration) {
	for !m.ended {
		now, verdict := m.next()
		if now > at {
			return
		}
		if verdict {
			if m.missed++; m.missed >= m.most {
				m.ended = true
				return
			}
		}
		m.again = m.writing && (m.again || !verdict)
		if !m.writing {
			m.pings = append(m.pings, now)
			m.writing = m.shut
			m.ended = m.broken && !m.shut
		}
		m.pinged, m.waiting = now, true
		m.verdict = now + m.timeout
		if !m.fixed {
			m.verdict = now + m.interval
		}
	}
}

// open lets a Write that blocks return. If that was answered before, and the next
// ping waits, it follows.
func (m *modelled) open(at time.Duration) {
	m.ended = m.ended || m.writing && m.broken
	m.shut, m.writing = false, false
	if m.again && m.waiting && !m.ended {
		m.pings = append(m.pings, at)
		m.pinged, m.verdict = at, at+m.timeout
		if !m.fixed {
			m.verdict = at + m.interval
		}
	}
	m.again = false
}

func (m *modelled) touch(at time.Duration) {
	m.alive, m.waiting, m.missed = at, false, 0
}

// A gate is a Writer that can be shut, and that can fail.
type gate struct {
	*recorder

	mu     sync.Mutex
	shut   chan struct{} // nil if it is open
	broken bool
}

var errBroken = errors.New("broken")

func (g *gate) set(shut, broken bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil && !shut {
		close(g.shut)
		g.shut = nil
	} else if g.shut == nil && shut {
		g.shut = make(chan struct{})
	}
	g.broken = broken
}

func (g *gate) Write(p []byte) (int, error) {
	n, _ := g.recorder.Write(p)
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken {
		return 0, errBroken
	}
	return n, nil
}

// TestModel compares Pingers with the model of them. Nothing happens in the same
// millisecond as something else, since the order of that is not said.
func TestModel(t *testing.T) {
	for seed := range uint64(1000) {
		synctest.Test(t, func(t *testing.T) { modelRun(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func modelRun(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	seconds := func(n int) time.Duration { return time.Duration(1+random.IntN(n)) * time.Second }
	m := &modelled{interval: seconds(20), timeout: seconds(20), fixed: random.IntN(3) > 0, most: 1 + random.IntN(4)}
	if random.IntN(4) == 0 {
		m.most = -1
	}
	g := &gate{recorder: newRecorder()}
	p := &heartbeat.Pinger{Writer: g, Interval: m.interval, MaxMissed: m.most}
	if m.fixed {
		p.Timeout = m.timeout
	}
	ended := started(t, p)
	defer g.set(false, false)
	for step := range 40 {
		// Each step is at a fraction of a second of its own, and so are its
		// consequences.
		at := time.Since(g.begin).Truncate(time.Second) + seconds(20) + time.Duration(step+1)*time.Millisecond
		m.run(at)
		time.Sleep(at - time.Since(g.begin))
		synctest.Wait()
		if m.ended != (len(ended) > 0) {
			t.Fatalf("step %d at %v: ended %v, want %v; pings %v, model %v", step, at, len(ended) > 0, m.ended, g.times(), m.pings)
		}
		if m.ended {
			break
		}
		modelStep(p, g, m, random, at)
		synctest.Wait()
	}
	compare(t, g, m, ended)
}

// modelStep does something at random.
func modelStep(p *heartbeat.Pinger, g *gate, m *modelled, random *rand.Rand, at time.Duration) {
	switch random.IntN(8) {
	default:
		p.Touch()
		m.touch(at)
	case 4: // where silence does not count it is not said when the next ping comes
		m.shut = m.most > 0
		g.set(m.shut, m.broken)
	case 5:
		m.open(at)
		g.set(false, m.broken)
	case 6:
		m.broken = random.IntN(8) == 0
		g.set(m.shut, m.broken)
	case 2:
		m.interval = time.Duration(1+random.IntN(20)) * time.Second
		p.SetInterval(m.interval)
		m.restarted = at
	case 3:
		p.SetInterval(0)
		m.restarted = at
	}
}

func compare(t *testing.T, g *gate, m *modelled, ended <-chan error) {
	got := g.times()
	if len(got) != len(m.pings) {
		t.Fatalf("%d pings at %v, the model has %v", len(got), got, m.pings)
	}
	for i := range got {
		if got[i] != m.pings[i] {
			t.Errorf("ping %d at %v, the model has %v", i, got[i], m.pings[i])
		}
	}
	if !m.ended {
		return
	}
	if len(ended) == 0 {
		t.Fatal("not ended")
	}
	if err := <-ended; !errors.Is(err, heartbeat.ErrPeerSilent) && !errors.Is(err, errBroken) {
		t.Errorf("ended by %v", err)
	}
}
