package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// A Runner runs cases.
type Runner struct {
	Rounds   int
	Tiny     bool
	Profiles string // the folder for CPU profiles, or empty

	// Wanted, if not nil, chooses cases by their names.
	Wanted func(name string) bool

	// Done, if not nil, is told of the figures of each case when it has ended, of a
	// Growth with all of its points.
	Done func(p *Part, c *Case, f *CaseFigures)

	// Grown is the same for a Growth.
	Grown func(p *Part, g *Growth, f *GrowthFigures)

	noise []float64
}

// GrowthRounds are the rounds that a [Growth] has at most. They are enough for a line that is
// drawn, and keep the whole run short.
const GrowthRounds = 3

// Run runs the cases of a part until the context ends. The error is of cases that failed,
// and what was found is returned all the same.
func (r *Runner) Run(ctx context.Context, p *Part) (PartFigures, error) {
	begin := time.Now()
	f := PartFigures{Name: p.Name}
	var errs []error
	for i := range p.Cases {
		c := &p.Cases[i]
		if !r.wants(c.Name) || ctx.Err() != nil {
			continue
		}
		found, err := r.one(ctx, p, c, r.Rounds)
		errs = append(errs, err)
		f.Cases = append(f.Cases, found)
		if r.Done != nil {
			r.Done(p, c, &found)
		}
	}
	for i := range p.Growths {
		g := &p.Growths[i]
		if !r.wants(g.Name) || ctx.Err() != nil {
			continue
		}
		found, err := r.growth(ctx, p, g)
		errs = append(errs, err)
		f.Growths = append(f.Growths, found)
		if r.Grown != nil {
			r.Grown(p, g, &found)
		}
	}
	errs = append(errs, ctx.Err())
	f.Seconds = int(time.Since(begin).Round(time.Second).Seconds())
	return f, errors.Join(errs...)
}

func (r *Runner) wants(name string) bool { return r.Wanted == nil || r.Wanted(name) }

// growth runs the points of one.
func (r *Runner) growth(ctx context.Context, p *Part, g *Growth) (GrowthFigures, error) {
	f := GrowthFigures{Name: g.Name}
	points := g.Points
	if points == nil {
		points = Powers
	}
	if r.Tiny {
		points = points[:min(len(points), 2)]
	}
	var errs []error
	for _, n := range points {
		if ctx.Err() != nil {
			break
		}
		c := g.Case(n)
		found, err := r.one(ctx, p, &c, min(r.Rounds, GrowthRounds))
		if err != nil {
			errs = append(errs, fmt.Errorf("%d %s: %w", n, g.Axis, err))
		}
		f.Points = append(f.Points, PointFigures{n, found})
	}
	return f, errors.Join(errs...)
}

// one runs a case, in a goroutine of its own, which [T.Fatal] ends.
func (r *Runner) one(ctx context.Context, p *Part, c *Case, rounds int) (CaseFigures, error) {
	if c.Rounds > 0 {
		rounds = min(rounds, c.Rounds)
	}
	begin := time.Now()
	r.noise = append(r.noise, r.fixedWork())
	t := &T{
		Tiny: r.Tiny, ctx: ctx, part: p.Name, profiles: r.Profiles,
		rounds: rounds, metrics: c.Metrics, figures: CaseFigures{Name: c.Name},
	}
	for _, s := range c.Sides {
		side := SideFigures{Name: s.Name, Absent: s.Cannot, Samples: make(map[string][]float64)}
		if s.Missing != nil && s.Cannot == "" {
			if err := s.Missing(); err != nil {
				side.Absent = err.Error()
			}
		}
		t.figures.Sides = append(t.figures.Sides, side)
	}
	t.contained(func() { c.Run(t) })
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		f := t.cleanups[last]
		t.cleanups = t.cleanups[:last]
		t.contained(f)
	}
	if t.err == nil && t.round <= t.rounds {
		t.err = fmt.Errorf("it ended in round %d of %d", t.round, t.rounds)
	}
	if t.err == nil && len(c.Metrics) > 0 && len(t.figures.Sides[0].Samples[c.Metrics[0].Name]) == 0 {
		t.err = fmt.Errorf("there are no figures of %s", c.Metrics[0].Name)
	}
	for i := range t.figures.Sides {
		for _, list := range t.figures.Sides[i].Samples {
			for j := range list {
				list[j] = short(list[j])
			}
		}
	}
	t.figures.Seconds = short(time.Since(begin).Seconds())
	if t.err != nil {
		t.figures.Failed = t.err.Error()
		return t.figures, fmt.Errorf("%s: %s: %w", p.Name, c.Name, t.err)
	}
	return t.figures, nil
}

// contained calls f in a goroutine that it may end. A panic there ends the case, so that
// what it has started and written is cleaned up, and others still have their turn.
func (t *T) contained(f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if v := recover(); v != nil {
				fmt.Fprintf(os.Stderr, "panic: %v\n%s", v, debug.Stack())
				t.Errorf("panic: %v", v)
			}
		}()
		f()
	}()
	<-ended
}

// short keeps five digits, so that what is stored can be read.
func short(v float64) float64 {
	w, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	if err != nil {
		panic(err) // it was formatted a moment ago
	}
	return w
}

// Noise is how long the same piece of work took before each case.
func (r *Runner) Noise() []float64 { return r.noise }

// fixedWork takes some 20 milliseconds of one processor, more when others use it too.
func (r *Runner) fixedWork() float64 {
	steps := 10_000_000
	if r.Tiny {
		steps /= 100
	}
	begin := time.Now()
	x := uint64(1)
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 {
		panic("xorshift never comes to zero")
	}
	return short(time.Since(begin).Seconds())
}
