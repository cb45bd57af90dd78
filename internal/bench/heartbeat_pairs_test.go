//go:build linux

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/netparts/netparts/heartbeat"
)

const (
	kindYamux  = "yamux"
	kindSilent = "silent" // connections that are read and have no heartbeat

	// beat is how long a pair may be silent.
	beat = 100 * time.Millisecond
)

// A pairs is connections that a child holds both ends of. Both ends have a heartbeat,
// as each wants to know of the other's end, and both are read.
type pairs struct {
	listener  net.Listener
	scheduler heartbeat.Scheduler
	config    heartbeat.Config
	pongs     atomic.Int64
	ends      []io.Closer
}

func (p *pairs) close() error {
	for _, c := range p.ends {
		c.Close() // whose other end may have reset it
	}
	return p.listener.Close()
}

// obeyHeartbeat does what is for heartbeats: it opens pairs, or waits while they
// beat and tells how many answers came.
func (c *child) obeyHeartbeat(o *order, a *answer) error {
	switch o.Do {
	case "heartbeat-wait":
		before := c.pairs.pongs.Load()
		time.Sleep(o.Limit)
		a.Done = int(c.pairs.pongs.Load() - before)
		return nil
	case "heartbeat-close":
		return c.pairs.close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p := &pairs{listener: l}
	p.config = heartbeat.Config{
		Interval: beat, Timeout: 10 * time.Second, Jitter: 0.1, Scheduler: &p.scheduler,
		Ping: frame(heartbeat.Ping), Pong: frame(heartbeat.Pong),
		// The length of a message, and its kind, in the shape of yamux's frames.
		Next: func(b []byte) (int, heartbeat.Kind) {
			if len(b) < 12 {
				return 0, heartbeat.Data
			}
			kind := heartbeat.Kind(b[1])
			if kind == heartbeat.Pong {
				p.pongs.Add(1)
			}
			return 12 + int(binary.BigEndian.Uint32(b[8:])), kind
		},
	}
	c.pairs = p
	for range o.Count {
		if err := p.open(o.Kind); err != nil {
			return err
		}
	}
	return nil
}

func frame(kind heartbeat.Kind) []byte {
	return []byte{0, byte(kind), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
}

// open opens one pair.
func (p *pairs) open(kind string) error {
	client, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		return err
	}
	server, err := p.listener.Accept()
	if err != nil {
		return err
	}
	switch kind {
	case kindSilent:
	case kindOurs:
		client, server = heartbeat.NewConn(client, p.config), heartbeat.NewConn(server, p.config)
	case kindYamux:
		config := yamux.DefaultConfig() // both ends ping
		config.LogOutput, config.KeepAliveInterval = io.Discard, beat
		c, err := yamux.Client(client, config)
		s, err2 := yamux.Server(server, config)
		p.ends = append(p.ends, c, s)
		return errors.Join(err, err2)
	default:
		return fmt.Errorf("no heartbeat is called %q", kind)
	}
	p.ends = append(p.ends, client, server)
	go io.Copy(io.Discard, client) // until it is closed
	go io.Copy(io.Discard, server)
	return nil
}

// BenchmarkHeartbeatPairs holds 1,000 connections of which both ends are to notice
// within a tenth of a second that the other is there. It shows the CPU time for one
// connection and one such beat, with both ends in one process, and what a pair adds to
// two bare ends in memory and goroutines.
//
// Ours takes the ping of either end for a sign of life at the other one, so that one
// round trip does for both, unless both ping at the same time. yamux has both ends ping: its round trip alone is as
// costly as ours, because most of it is the kernel's.
func BenchmarkHeartbeatPairs(b *testing.B) {
	const count = 1000
	limit := of(5*time.Second, 500*time.Millisecond)
	kinds := []string{kindOurs, kindYamux, kindSilent}
	cpu, memory, goroutines := make(map[string][]float64), make(map[string][]float64), make(map[string][]float64)
	beats := count * limit.Seconds() / beat.Seconds()
	for b.Loop() {
		for _, kind := range kinds {
			p := start(b, kind, nil)
			before, had := footprintOf(b, p), p.use(b).Goroutines
			p.tell(b, order{Do: "heartbeat-open", Kind: kind, Count: count})
			p.tell(b, order{Do: "heartbeat-wait", Limit: 2 * beat}) // until all have begun
			a := p.tell(b, order{Do: "heartbeat-wait", Limit: limit})
			if kind == kindOurs && (float64(a.Done) < 0.9*beats || float64(a.Done) > 2.2*beats) {
				b.Errorf("%d pings were answered, want about %v", a.Done, beats)
			}
			cpu[kind] = append(cpu[kind], a.Used.CPU.Seconds()*1e6/beats)
			memory[kind] = append(memory[kind], footprintOf(b, p).since(before, count).user)
			goroutines[kind] = append(goroutines[kind], float64(p.use(b).Goroutines-had)/count)
			p.tell(b, order{Do: "heartbeat-close"}) // so that the next is alone
		}
	}
	t := newTable("", "CPU-µs/beat", "user B/pair", "goroutines/pair", "CPU of ours is")
	for _, kind := range kinds {
		t.row(kind, median(cpu[kind]), median(memory[kind]), median(goroutines[kind]), median(cpu[kindOurs])/median(cpu[kind]))
	}
	added := func(kind string) float64 { return median(memory[kind]) - median(memory[kindSilent]) }
	b.ReportMetric(median(cpu[kindOurs]), "CPU-µs/beat")
	b.ReportMetric(median(cpu[kindOurs])/median(cpu[kindYamux]), "x-yamux-cpu")
	b.ReportMetric(added(kindOurs)/added(kindYamux), "x-yamux-added-memory")
	t.print(b)
}
