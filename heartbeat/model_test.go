package heartbeat_test

import (
	"errors"
	"math/rand/v2"
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
		if !m.writing {
			m.pings = append(m.pings, now)
		}
		m.pinged, m.waiting = now, true
		m.verdict = now + m.timeout
		if !m.fixed {
			m.verdict = now + m.interval
		}
	}
}

func (m *modelled) touch(at time.Duration) {
	m.alive, m.waiting, m.missed = at, false, 0
}

// A gate is a Writer that can be shut, and that can fail.
type gate struct {
	*recorder
	shut   chan struct{} // nil if it is open
	broken error
}

func (g *gate) Write(p []byte) (int, error) {
	n, _ := g.recorder.Write(p)
	if g.shut != nil {
		<-g.shut
	}
	if g.broken != nil {
		return 0, g.broken
	}
	return n, nil
}

// TestModel compares Pingers with the model of them. Nothing happens in the same
// millisecond as something else, since the order of that is not said.
func TestModel(t *testing.T) {
	for seed := range uint64(300) {
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
	defer func() {
		if g.shut != nil {
			close(g.shut)
		}
	}()
	for step := range 40 {
		// Each step is at a fraction of a second of its own, and so are its
		// consequences.
		at := time.Since(g.begin).Truncate(time.Second) + seconds(20) + time.Duration(step+1)*time.Millisecond
		before := len(m.pings)
		m.run(at)
		time.Sleep(at - time.Since(g.begin))
		synctest.Wait()
		if g.shut != nil && len(m.pings) > before {
			t.Fatal("a step wrote through a gate that is shut")
		}
		if m.ended != (len(ended) > 0) {
			t.Fatalf("step %d at %v: ended %v, want %v; pings %v, model %v", step, at, len(ended) > 0, m.ended, g.times(), m.pings)
		}
		if m.ended {
			break
		}
		modelStep(p, g, m, random, at)
	}
	compare(t, g, m, ended)
}

// modelStep does something at random.
func modelStep(p *heartbeat.Pinger, g *gate, m *modelled, random *rand.Rand, at time.Duration) {
	switch random.IntN(4) {
	case 0, 1:
		p.Touch()
		m.touch(at)
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
	if err := <-ended; !errors.Is(err, heartbeat.ErrPeerSilent) {
		t.Errorf("ended by %v", err)
	}
}
