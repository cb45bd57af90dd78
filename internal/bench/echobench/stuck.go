//go:build linux

package echobench

import (
	"net"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The metrics of a stuck client.
const (
	stuckMemory = "MB for it"
	stuckSent   = "MB it sent"
	rateAlone   = "requests/s without it"
	rateBeside  = "requests/s beside it"
	besideAlone = "beside / without"
)

// stuckCase has one client besides others that sends and never reads.
func stuckCase() lab.Case {
	return lab.Case{
		Name: "a client that never reads",
		About: "Requests of 64 bytes over 50 connections, without and with one client besides that sends and never reads: until the server takes no more from it, " +
			"or until it has sent 128 MB. The memory is the growth of the server's process by then. All replies to the others are compared with what they sent.",
		Sides: lab.Sides(lab.Ours, plain, copying, events),
		Metrics: []lab.Metric{
			// There is no ratio of the memory, which is next to nothing for most sides.
			{Name: rateBeside, Best: lab.High},
			{Name: rateAlone, Best: lab.None},
			{Name: besideAlone, Best: lab.None},
			{Name: stuckMemory, Best: lab.None},
			{Name: stuckSent, Best: lab.None},
		},
		Run: stuckRun,
	}
}

func stuckRun(t *lab.T) {
	const conns = 50
	c := start(t, lab.Requests, "tcp")
	count := lab.Of(t, 20_000, 100)
	requests := func(server *lab.Process) lab.Done {
		return ask(c.Client, server, order{Do: doAsk, Count: count, Size: requestSize})
	}
	c.Each(func(server *lab.Process) lab.Done {
		ask(c.Client, server, order{Do: doOpen, Count: conns})
		return requests(server) // to warm up
	})
	for t.Round() {
		for side := range t.Turns() {
			server := c.Servers[side]
			before := server.Footprint()
			alone := requests(server)
			ask(c.Client, server, order{Do: doStick, Network: "tcp", Bytes: lab.Of(t, 128<<20, 16<<20), Patience: lab.Of(t, stuckTime, stuckTime/10)})
			beside := requests(server)
			stuck, _ := lab.Tell[answer](c.Client, order{Do: doStuck})
			grown := server.Footprint().User - before.User
			ask(c.Client, server, order{Do: doUnstick})
			rates := [2]float64{float64(alone.Count) / alone.Took.Seconds(), float64(beside.Count) / beside.Took.Seconds()}
			t.Record(side, rateAlone, rates[0])
			t.Record(side, rateBeside, rates[1])
			t.Record(side, besideAlone, rates[1]/rates[0])
			t.Record(side, stuckSent, float64(stuck.Sent)/1e6)
			t.Record(side, stuckMemory, grown/1e6)
		}
	}
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
func stick(o *order) (*stuckClient, error) {
	conn, err := net.Dial(o.Network, o.Addr)
	if err != nil {
		return nil, err
	}
	s := &stuckClient{conn: conn, done: make(chan struct{})}
	file := lab.Content(chunk)
	go func() {
		defer close(s.done)
		for s.sent < o.Bytes {
			if err := conn.SetWriteDeadline(time.Now().Add(o.Patience)); err != nil {
				return
			}
			n, err := conn.Write(file[:min(chunk, o.Bytes-s.sent)])
			s.sent += n
			if err != nil { // mostly that the time is over
				return
			}
		}
	}()
	return s, nil
}

// wait waits until no more is sent, and tells how much was.
func (s *stuckClient) wait() int {
	<-s.done
	return s.sent
}
