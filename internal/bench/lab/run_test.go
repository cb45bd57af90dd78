//go:build linux

package lab_test

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/internal/bench/lab"
)

// runOne runs a case with ours, a peer, and the metrics cost and speed.
func runOne(t *testing.T, rounds int, work func(t *lab.T)) (lab.CaseFigures, error) {
	t.Helper()
	p := lab.Part{Name: "made", Child: serve, Cases: []lab.Case{{
		Name: "case", Sides: lab.Sides(lab.Ours, "peer"),
		Metrics: []lab.Metric{{Name: "cost"}, {Name: "speed", Best: lab.High}}, Run: work,
	}}}
	r := lab.Runner{Rounds: rounds, Tiny: true}
	f, err := r.Run(t.Context(), &p)
	if len(f.Cases) != 1 {
		t.Fatalf("figures of %d cases, want one", len(f.Cases))
	}
	if failed := f.Cases[0].Failed != ""; failed != (err != nil) {
		t.Errorf("the figures say %q, the error is %v", f.Cases[0].Failed, err)
	}
	return f.Cases[0], err
}

// wantFailure is for a case that is to fail.
func wantFailure(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestRoundsAndTurns(t *testing.T) {
	var turns []string
	f, err := runOne(t, 3, func(t *lab.T) {
		for t.Round() {
			for side := range t.Turns() {
				turns = append(turns, side)
				t.Record(side, "cost", float64(len(turns)))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"peer", lab.Ours, lab.Ours, "peer", "peer", lab.Ours}
	if !slices.Equal(turns, want) {
		t.Errorf("turns %q, want %q", turns, want)
	}
	if got := f.Side(lab.Ours).Samples["cost"]; !slices.Equal(got, []float64{2, 3, 6}) {
		t.Errorf("figures of ours: %v", got)
	}
}

func TestFatal(t *testing.T) {
	var order []string
	f, err := runOne(t, 3, func(t *lab.T) {
		t.Cleanup(func() { order = append(order, "first") })
		t.Cleanup(func() {
			order = append(order, "second")
			t.Fatalf("while cleaning up")
		})
		t.Cleanup(func() {
			order = append(order, "third")
			t.Cleanup(func() { order = append(order, "of third") })
		})
		for t.Round() {
			t.Record(lab.Ours, "cost", 1)
			t.Fatal(nil, errors.New("broken"))
		}
	})
	wantFailure(t, err, "made: case: broken\nwhile cleaning up")
	if want := []string{"third", "of third", "second", "first"}; !slices.Equal(order, want) {
		t.Errorf("cleaned up %q, want %q", order, want)
	}
	if got := f.Side(lab.Ours).Samples["cost"]; len(got) != 1 {
		t.Errorf("the figures before: %v, want one", got)
	}
}

func TestPanicFailsTheCase(t *testing.T) {
	var dir string
	_, err := runOne(t, 1, func(t *lab.T) {
		dir = t.TempDir()
		panic("at the disco")
	})
	wantFailure(t, err, "panic: at the disco")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there (error: %v)", err)
	}
}

func TestCaseThatMeasuresNothing(t *testing.T) {
	_, err := runOne(t, 1, func(*lab.T) {})
	wantFailure(t, err, "it ended in round 0 of 1")
	_, err = runOne(t, 2, func(t *lab.T) {
		for t.Round() {
			t.Record(lab.Ours, "cost", 1)
			break
		}
	})
	wantFailure(t, err, "it ended in round 1 of 2")
	_, err = runOne(t, 1, func(t *lab.T) {
		for t.Round() {
			t.Record(lab.Ours, "speed", 1)
		}
	})
	wantFailure(t, err, "there are no figures of cost")
}

func TestGiveUp(t *testing.T) {
	f, err := runOne(t, 3, func(t *lab.T) {
		for t.Round() {
			for side := range t.Turns() {
				if side == "peer" && t.Has("peer") && len(t.Present()) == 2 && side != lab.Ours {
					t.GiveUp("peer", "after %d", 1)
					continue
				}
				t.Record(side, "cost", 1)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := f.Side("peer"); s.Absent != "after 1" || len(s.Samples["cost"]) != 0 {
		t.Errorf("the peer: %+v", s)
	}
	if n := len(f.Side(lab.Ours).Samples["cost"]); n != 3 {
		t.Errorf("ours has %d figures, want 3", n)
	}
	_, err = runOne(t, 1, func(t *lab.T) { t.GiveUp(lab.Ours, "no more") })
	wantFailure(t, err, "ours: no more")
	_, err = runOne(t, 1, func(t *lab.T) { t.GiveUp("nobody", "no more") })
	wantFailure(t, err, "nobody: no more")
}

func TestRecordMisused(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		run        func(t *lab.T)
	}{
		{"unknown side", `no side is called "nobody"`, func(t *lab.T) {
			for t.Round() {
				t.Record("nobody", "cost", 1)
			}
		}},
		{"unknown metric", `no metric is called "taste"`, func(t *lab.T) {
			for t.Round() {
				t.Record(lab.Ours, "taste", 1)
			}
		}},
		{"before the first round", "outside of rounds", func(t *lab.T) { t.Record(lab.Ours, "cost", 1) }},
		{"after the last round", "outside of rounds", func(t *lab.T) {
			for t.Round() {
				t.Record(lab.Ours, "cost", 1)
			}
			t.Record(lab.Ours, "cost", 1)
		}},
		{"twice", "recorded twice in round 1", func(t *lab.T) {
			for t.Round() {
				t.Record(lab.Ours, "cost", 1)
				t.Record(lab.Ours, "cost", 1)
			}
		}},
		{"late", "was not recorded before round 2", func(t *lab.T) {
			t.Round()
			t.Round()
			t.Record(lab.Ours, "cost", 1)
		}},
		{"no number", "cost is NaN", func(t *lab.T) {
			t.Round()
			t.Record(lab.Ours, "cost", math.NaN())
		}},
		{"no finite number", "cost is +Inf", func(t *lab.T) {
			t.Round()
			t.Record(lab.Ours, "cost", math.Inf(1))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := runOne(t, 2, tt.run)
			wantFailure(t, err, tt.want)
		})
	}
}

// A side that cannot do the work, or is missing, has no turn and says why.
func TestAbsent(t *testing.T) {
	p := lab.Part{Name: "made", Cases: []lab.Case{{
		Name: "case", Metrics: []lab.Metric{{Name: "cost"}},
		Sides: []lab.Side{
			{Name: lab.Ours},
			{Name: "unable", Cannot: "no such option", Missing: func() error { return errors.New("not asked") }},
			{Name: "missing", Missing: func() error { return errors.New("install it") }},
			{Name: "installed", Missing: func() error { return nil }},
		},
		Run: func(t *lab.T) {
			for t.Round() {
				for side := range t.Turns() {
					t.Record(side, "cost", 1)
				}
			}
		},
	}}}
	r := lab.Runner{Rounds: 1}
	f, err := r.Run(t.Context(), &p)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range f.Cases[0].Sides {
		got[s.Name] = s.Absent
		if (s.Absent == "") != (len(s.Samples["cost"]) == 1) {
			t.Errorf("%s has %d figures and is absent: %q", s.Name, len(s.Samples["cost"]), s.Absent)
		}
	}
	if got["unable"] != "no such option" || got["missing"] != "install it" || got["installed"] != "" {
		t.Errorf("absent: %q", got)
	}
	if n := r.Noise(); len(n) != 1 || n[0] <= 0 {
		t.Errorf("noise %v, want one figure", n)
	}
}

// A case that takes long has fewer rounds, and never more than are asked for.
func TestFewerRounds(t *testing.T) {
	for _, tt := range []struct{ most, asked, want int }{{0, 4, 4}, {2, 4, 2}, {6, 4, 4}} {
		p := lab.Part{Name: "made", Cases: []lab.Case{{
			Name: "case", Metrics: []lab.Metric{{Name: "cost"}}, Sides: lab.Sides(lab.Ours), Rounds: tt.most,
			Run: func(t *lab.T) {
				for t.Round() {
					t.Record(lab.Ours, "cost", 1)
				}
			},
		}}}
		r := lab.Runner{Rounds: tt.asked, Tiny: true}
		f, err := r.Run(t.Context(), &p)
		if n := len(f.Cases[0].Sides[0].Samples["cost"]); err != nil || n != tt.want {
			t.Errorf("%d rounds of at most %d, %d asked for, want %d (error: %v)", n, tt.most, tt.asked, tt.want, err)
		}
	}
}

// The other cases have their turn after one that failed, and the points of a growth.
func TestOthersAfterFailure(t *testing.T) {
	good := func(t *lab.T) {
		for t.Round() {
			t.Record(lab.Ours, "cost", 1)
		}
	}
	made := func(name string, run func(t *lab.T)) lab.Case {
		return lab.Case{Name: name, Sides: lab.Sides(lab.Ours), Metrics: []lab.Metric{{Name: "cost"}}, Run: run}
	}
	var told []string
	p := lab.Part{
		Name:  "made",
		Cases: []lab.Case{made("bad", func(t *lab.T) { t.Fatalf("broken") }), made("left out", nil), made("good", good)},
		Growths: []lab.Growth{{Name: "growth", Axis: "things", Case: func(n int) lab.Case {
			if n == 100 {
				return made("", func(t *lab.T) { t.Fatalf("too many") })
			}
			return made("", good)
		}}},
	}
	r := lab.Runner{
		Rounds: 5, Wanted: func(name string) bool { return name != "left out" },
		Done:  func(_ *lab.Part, c *lab.Case, _ *lab.CaseFigures) { told = append(told, c.Name) },
		Grown: func(_ *lab.Part, g *lab.Growth, _ *lab.GrowthFigures) { told = append(told, g.Name) },
	}
	f, err := r.Run(t.Context(), &p)
	wantFailure(t, err, "made: bad: broken")
	wantFailure(t, err, "100 things: made: : too many")
	if want := []string{"bad", "good", "growth"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	if n := len(f.Cases[1].Side(lab.Ours).Samples["cost"]); n != 5 {
		t.Errorf("%d rounds of a case, want 5", n)
	}
	var points []int
	for _, point := range f.Growths[0].Points {
		points = append(points, point.N)
		if n := len(point.Side(lab.Ours).Samples["cost"]); n != 3 && point.N != 100 {
			t.Errorf("%d rounds at %d, want 3", n, point.N)
		}
	}
	if !slices.Equal(points, lab.Powers) {
		t.Errorf("points %v, want %v", points, lab.Powers)
	}
}

// What comes after an interruption is not begun.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	count := 0
	run := func(t *lab.T) {
		count++
		for t.Round() {
			for side := range t.Turns() {
				t.Record(side, "cost", 1)
				cancel()
			}
		}
	}
	made := lab.Case{Name: "case", Sides: lab.Sides(lab.Ours, "peer"), Metrics: []lab.Metric{{Name: "cost"}}, Run: run}
	p := lab.Part{
		Name: "made", Cases: []lab.Case{made, made},
		Growths: []lab.Growth{{Name: "growth", Case: func(int) lab.Case { return made }}},
	}
	r := lab.Runner{Rounds: 100}
	_, err := r.Run(ctx, &p)
	if !errors.Is(err, context.Canceled) || count != 1 {
		t.Errorf("error %v after %d cases, want %v after one", err, count, context.Canceled)
	}
}

func TestCalls(t *testing.T) {
	var sizes []int
	f, err := runCalls(t, 1, func(t *lab.T) lab.Calls {
		return lab.Calls{T: t, Unit: "µs", Count: 10, Slice: 4, Clean: true, Work: map[string]func(int) error{
			lab.Ours: func(n int) error {
				sizes = append(sizes, n)
				return nil
			},
			"peer": func(n int) error {
				for range n {
					sink = make([]byte, 1<<10)
				}
				return nil
			},
		}}
	})
	if err != nil {
		t.Fatal(err)
	}
	// To warm up, for the figures, and for allocations.
	if want := []int{4, 4, 4, 2, 4}; !slices.Equal(sizes, want) {
		t.Errorf("slices of %v, want %v", sizes, want)
	}
	if a := f.Side("peer").Samples[lab.Allocs]; len(a) != 1 || a[0] < 1 || a[0] > 20 {
		t.Errorf("allocations %v, want about 1", a)
	}
	if b := f.Side("peer").Samples[lab.Bytes]; len(b) != 1 || b[0] < 1<<10 {
		t.Errorf("%v bytes allocated, want at least 1024", b)
	}
	for _, m := range []string{"µs CPU", "µs elapsed"} {
		if v := f.Side(lab.Ours).Samples[m]; len(v) != 1 || v[0] < 0 || v[0] > 1e6 {
			t.Errorf("%s: %v", m, v)
		}
	}

	fails := func(int) error { return errors.New("differs") }
	_, err = runCalls(t, 1, func(t *lab.T) lab.Calls {
		return lab.Calls{T: t, Unit: "µs", Count: 1, Work: map[string]func(int) error{lab.Ours: fails, "peer": fails}}
	})
	wantFailure(t, err, "differs")
	_, err = runCalls(t, 1, func(t *lab.T) lab.Calls { return lab.Calls{T: t, Unit: "weeks", Count: 1} })
	wantFailure(t, err, `1 calls, told in "weeks"`)
}

var sink []byte // keeps what is allocated on the heap

func runCalls(t *testing.T, rounds int, calls func(t *lab.T) lab.Calls) (lab.CaseFigures, error) {
	t.Helper()
	p := lab.Part{Name: "made", Cases: []lab.Case{{
		Name: "case", Sides: lab.Sides(lab.Ours, "peer"), Metrics: lab.CallMetrics("µs"),
		Run: func(t *lab.T) {
			c := calls(t)
			c.Run()
		},
	}}}
	r := lab.Runner{Rounds: rounds}
	f, err := r.Run(t.Context(), &p)
	return f.Cases[0], err
}
