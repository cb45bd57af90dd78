//go:build linux

package bench

import (
	"net"
	"testing"
	"time"
)

// BenchmarkEchoStuck makes requests of 64 bytes over 50 connections, without and
// with one client besides that sends and never reads. It sends until the server
// takes no more, or until it has sent what it may.
//
// The memory is the growth of the anonymous pages of the server's process when the
// stuck client has ended to send, and still does not read.
func BenchmarkEchoStuck(b *testing.B) {
	const count = 50
	limit := of(512<<20, 64<<20)
	o := order{Do: "echo-requests", Count: of(100_000, 10_000), Size: 64}
	var sides []*stuckSide
	for _, kind := range []string{kindOurs, kindPlain, kindGnet} {
		s := &stuckSide{server: startEcho(b, kind, "tcp"), client: startClient(b)}
		s.tell(b, order{Do: "echo-open", Count: count})
		s.tell(b, order{Do: "echo-requests", Count: 4 * count, Size: 64}) // to warm up
		sides = append(sides, s)
	}
	for b.Loop() {
		for _, s := range sides {
			s.round(b, o, limit)
		}
	}
	t := newTable("", "requests/s alone", "beside a stuck client", "ratio", "MB it sent", "MB memory for it")
	for _, s := range sides {
		kind, ratio, memory := s.server.kind, ratios(s.beside, s.alone), median(s.memory)/1e6
		t.row(kind, median(s.alone), median(s.beside), ratio, median(s.sent)/1e6, memory)
		b.ReportMetric(ratio, kind+"-rate-beside")
		b.ReportMetric(memory, kind+"-MB")
	}
	t.print(b)
}

// A stuckSide is what is known of one kind of server, of each round.
type stuckSide struct {
	server, client              *process
	alone, beside, sent, memory []float64
}

func (s *stuckSide) tell(b *testing.B, o order) answer {
	b.Helper()
	o.Addrs = []string{s.server.addr}
	return s.client.tell(b, o)
}

func (s *stuckSide) round(b *testing.B, o order, limit int) {
	b.Helper()
	before := footprintOf(b, s.server)
	a := s.tell(b, o)
	s.alone = append(s.alone, float64(a.Done)/a.All.Seconds())
	s.tell(b, order{Do: "echo-stick", Network: "tcp", Bytes: limit})
	a = s.tell(b, o)
	s.beside = append(s.beside, float64(a.Done)/a.All.Seconds())
	s.sent = append(s.sent, float64(s.tell(b, order{Do: "echo-stuck"}).Done))
	s.memory = append(s.memory, footprintOf(b, s.server).user-before.user)
	s.tell(b, order{Do: "echo-unstick"})
}

// A stuckClient sends for ever and reads nothing.
type stuckClient struct {
	conn net.Conn
	done chan struct{}
	sent int
}

// stuckTime is how long a server may take nothing until it counts as one that
// waits for its client.
const stuckTime = 200 * time.Millisecond

// stick begins to send, until the server takes no more or the limit is reached,
// which is for those that would take all.
func (e *echoClient) stick(o *order) error {
	conn, err := net.Dial(o.Network, o.Addrs[0])
	if err != nil {
		return err
	}
	s := &stuckClient{conn: conn, done: make(chan struct{})}
	e.stuck = s
	file := content(chunk)
	go func() {
		defer close(s.done)
		for s.sent < o.Bytes {
			if err := conn.SetWriteDeadline(time.Now().Add(stuckTime)); err != nil {
				return
			}
			n, err := conn.Write(file[:min(chunk, o.Bytes-s.sent)])
			s.sent += n
			if err != nil {
				return
			}
		}
	}()
	return nil
}

// wait waits until no more is sent, and tells how much was.
func (s *stuckClient) wait(a *answer) error {
	<-s.done
	a.Done = s.sent
	return nil
}
