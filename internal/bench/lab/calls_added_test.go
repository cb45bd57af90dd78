//go:build linux

package lab_test

import (
	"testing"

	"github.com/netparts/netparts/internal/bench/lab"
)

// TestCallsRecordWhatIsAddedToTheBase has a side that allocates beside one that does not.
func TestCallsRecordWhatIsAddedToTheBase(t *testing.T) {
	const base = "bare"
	var kept []byte
	part := lab.Part{Name: "test", Cases: []lab.Case{{
		Name: "added", Sides: lab.Sides(lab.Ours, base), Metrics: lab.AddedMetrics("ns"),
		Run: func(t *lab.T) {
			calls := lab.Calls{T: t, Unit: "ns", Base: base, Count: 2000, Slice: 1000, Work: map[string]func(int) error{
				lab.Ours: func(n int) error {
					for range n {
						kept = make([]byte, 512)
						kept = make([]byte, 512)
					}
					return nil
				},
				base: func(n int) error {
					for range n {
						kept = nil
					}
					return nil
				},
			}}
			calls.Run()
		},
	}}}
	r := lab.Runner{Rounds: 3}
	found, err := r.Run(t.Context(), &part)
	if err != nil {
		t.Fatal(err)
	}
	c := &found.Cases[0]
	for _, m := range part.Cases[0].Metrics {
		if n := len(c.Side(lab.Ours).Samples[m.Name]); n != 3 {
			t.Errorf("%s: %d samples of ours, want 3", m.Name, n)
		}
	}
	for _, name := range []string{lab.AddedAllocs, lab.AddedBytes, "ns CPU added"} {
		if list := c.Side(base).Samples[name]; list != nil {
			t.Errorf("%s: the base has %v", name, list)
		}
	}
	if n := len(c.Side(base).Samples["ns CPU"]); n != 3 {
		t.Errorf("the base has %d samples of its CPU time, want 3", n)
	}
	if got := lab.Summarize(c.Side(lab.Ours).Samples[lab.AddedAllocs]).Median; got != 2 {
		t.Errorf("%v allocations added, want 2", got)
	}
	_ = kept // so that the allocations escape
}
