package lab

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"runtime"
	"slices"
)

// A T is what a case has while it runs. Like a testing.T it ends the case when something
// is wrong, from the goroutine of the case alone.
type T struct {
	// Tiny is set where the work is to be as little as can be, to see that all goes
	// well.
	Tiny bool

	ctx      context.Context
	part     string
	profiles string // the folder for CPU profiles, or empty

	rounds, round int
	figures       CaseFigures
	metrics       []Metric
	cleanups      []func()
	err           error
}

// Of returns what to use for figures, or to see that all goes well.
func Of[V any](t *T, figures, tiny V) V {
	if t.Tiny {
		return tiny
	}
	return figures
}

// Context ends when the program is interrupted.
func (t *T) Context() context.Context { return t.ctx }

// Fatal ends the case if there is an error.
func (t *T) Fatal(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		t.err = errors.Join(t.err, err)
		runtime.Goexit()
	}
}

// Fatalf ends the case.
func (t *T) Fatalf(format string, args ...any) { t.Fatal(fmt.Errorf(format, args...)) }

// Cleanup has f called when the case has ended, last first.
func (t *T) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// Errorf notes a fault, for what is called at the end.
func (t *T) Errorf(format string, args ...any) {
	t.err = errors.Join(t.err, fmt.Errorf(format, args...))
}

// TempDir returns a new folder, which is removed when the case has ended.
func (t *T) TempDir() string {
	dir, err := os.MkdirTemp("", "bench")
	t.Fatal(err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing what the case has written: %w", err)
		}
	})
	return dir
}

// Round reports whether there is one more.
func (t *T) Round() bool {
	t.Fatal(t.ctx.Err())
	t.round++
	return t.round <= t.rounds
}

// Present returns the sides that are there, and have not been given up.
func (t *T) Present() []string {
	var names []string
	for _, s := range t.figures.Sides {
		if s.Absent == "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// Has reports whether a side is there.
func (t *T) Has(side string) bool { return slices.Contains(t.Present(), side) }

// Turns are the sides that are there. Another one is the first in each round.
func (t *T) Turns() iter.Seq[string] {
	return func(yield func(string) bool) {
		sides := t.Present()
		for i := range sides {
			t.Fatal(t.ctx.Err())
			if !yield(sides[(i+t.round)%len(sides)]) {
				return
			}
		}
	}
}

// GiveUp notes why a side has no more turns: it is no longer among those who are there,
// and what it did in earlier rounds stays. Ours must not be given up.
func (t *T) GiveUp(side, format string, args ...any) {
	s := t.figures.Side(side)
	if s == nil || s == &t.figures.Sides[0] {
		t.Fatalf("%s: "+format, append([]any{side}, args...)...)
	}
	s.Absent = fmt.Sprintf(format, args...)
}

// Record notes a figure of a side in this round, which must be a number. A side that has
// none of a metric in the first round has none in others, as it is compared with the others
// round by round.
func (t *T) Record(side, metric string, value float64) {
	s := t.figures.Side(side)
	if s == nil {
		t.Fatalf("no side is called %q", side)
	}
	if !t.HasMetric(metric) {
		t.Fatalf("no metric is called %q", metric)
	}
	switch n := len(s.Samples[metric]); {
	case t.round == 0 || t.round > t.rounds:
		t.Fatalf("%s: %s is recorded outside of rounds", side, metric)
	case n >= t.round:
		t.Fatalf("%s: %s is recorded twice in round %d", side, metric, t.round)
	case n < t.round-1:
		t.Fatalf("%s: %s was not recorded before round %d", side, metric, t.round)
	case math.IsNaN(value) || math.IsInf(value, 0):
		t.Fatalf("%s: %s is %v", side, metric, value)
	}
	s.Samples[metric] = append(s.Samples[metric], value)
}

// HasMetric reports whether the case has a metric of this name.
func (t *T) HasMetric(name string) bool {
	return slices.ContainsFunc(t.metrics, func(m Metric) bool { return m.Name == name })
}
