//go:build linux

package heartbeatbench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// An order is for a fleet, or for pairs of connections.
type order struct {
	Do    string
	Side  string
	Count int
	Rate  int // of touches in a second

	Interval, Limit time.Duration // Limit is how long the order takes
}

type answer struct {
	Pings   int           // since the start
	Pongs   int           // since the pairs were opened
	Touches int           // of the last order
	Pause   time.Duration // the longest without a touch
}

// A sea is a process with what it has afloat.
type sea struct {
	fleet   *fleet
	touched chan struct{} // closed when the touches are made
	pairs   *pairs
}

func child() error {
	var s sea
	return lab.Obey(s.obey)
}

func (s *sea) obey(o *order, a *answer) (err error) {
	switch o.Do {
	case "start":
		if s.fleet, err = newFleet(o.Side, o.Count, o.Interval); err == nil {
			s.fleet.startAll(o.Limit)
		}
	case "counts":
		a.Pings = int(s.fleet.pings.Load())
	case "touch":
		a.Pings = int(s.fleet.pings.Load())
		s.touched = make(chan struct{})
		go func() {
			s.fleet.touchAll(o.Rate, o.Limit)
			close(s.touched)
		}()
	case "touched":
		<-s.touched
		a.Pings, a.Touches, a.Pause = int(s.fleet.pings.Load()), s.fleet.touches, s.fleet.pause
	case "stop":
		s.fleet.stop()
		s.fleet = nil
	case "open":
		s.pairs, err = openPairs(o.Side, o.Count, o.Interval)
	case "pongs":
		a.Pongs = s.pairs.answered()
	default:
		err = fmt.Errorf("unknown order %q", o.Do)
	}
	return err
}
