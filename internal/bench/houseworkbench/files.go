//go:build linux

package houseworkbench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/bench/lab"
)

// Metrics of files.
const (
	addCPU  = "µs CPU" // of one add
	addRate = "adds/s"
)

func fileMetrics() []lab.Metric {
	return []lab.Metric{{Name: addRate, Best: lab.High}, {Name: addCPU, Best: lab.Low}}
}

// fileCase adds chores to lists on disk, each of a certain length to begin with: some
// writers at once, each of which waits for its chore before it adds the next.
func fileCase(writers, length int) lab.Case {
	c := lab.Case{
		Name: fmt.Sprintf("a list of %d chores in a file, writers: %d", length, writers),
		About: "Each writer adds a chore, waits until it is on disk (with the book's it may not be), and adds the next. Afterwards the list is read " +
			"from where the side keeps it and compared. A figure is of one chore. The files are in the folder for temporary files: where that is in memory, " +
			"waiting for the disk takes no time.",
		Sides:   lab.Sides(lab.Ours, commitEach, boltFull, boltBatch, boltUpdate, book),
		Metrics: fileMetrics(),
		Run: func(t *lab.T) {
			each := 10
			if length >= 10_000 {
				each = 5 // as the book's takes long
			}
			runFiles(t, writers, lab.Of(t, length, 100), writers*lab.Of(t, each, 2))
		},
	}
	switch writers {
	case 1:
		c.Sides = lab.Sides(lab.Ours, boltUpdate, book)
	case 16:
		c.Targets = []lab.Target{{Metric: addRate, Than: commitEach, AtLeast: 8, Reason: fileReason}}
	}
	return c
}

// fileGrowth is about the length of a list in a file.
func fileGrowth() lab.Growth {
	return lab.Growth{
		Name: "an add to a file, by the length of the list",
		About: "One writer adds chores as above. Ours writes the whole list each time, and the book's, which does not wait for the disk, reads it " +
			"too; bbolt writes some pages.",
		Axis: "chores in the list",
		Case: func(n int) lab.Case {
			metrics := fileMetrics()
			slices.Reverse(metrics) // CPU first, which the disk has no part in
			return lab.Case{
				Name:    fmt.Sprintf("a list of %d chores in a file", n),
				Sides:   lab.Sides(lab.Ours, boltUpdate, book),
				Metrics: metrics,
				Run:     func(t *lab.T) { runFiles(t, 1, n, lab.Of(t, 20, 2)) },
			}
		},
	}
}

// runFiles runs rounds in which each side opens a new list and adds some chores.
func runFiles(t *lab.T, writers, length, adds int) {
	want := choreList(length+adds, false)
	before, err := json.Marshal(want[:length])
	t.Fatal(err)
	dir := t.TempDir()
	for t.Round() {
		for side := range t.Turns() {
			path := filepath.Join(dir, "lists", "list") // beside which sides put files of their own
			t.Fatal(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, before, 0o600))
			took, cpu, err := addToFile(t, side, path, writers, want[length:], want)
			if err != nil {
				t.Fatalf("%s: %w", side, err)
			}
			t.Fatal(os.RemoveAll(filepath.Dir(path)))
			t.Record(side, addRate, float64(adds)/took.Seconds())
			t.Record(side, addCPU, cpu.Seconds()*1e6/float64(adds))
		}
	}
}

// addToFile opens a list, adds chores, and looks whether all that are wanted are there.
func addToFile(t *lab.T, side, path string, writers int, more, want []housework.Chore) (took, cpu time.Duration, err error) {
	f, err := stores[side](path, writers)
	if err != nil {
		return 0, 0, err
	}
	runtime.GC() // of what others left
	before, begin := t.OwnCPU(), time.Now()
	err = addAll(f, writers, more)
	took, cpu = time.Since(begin), t.OwnCPU()-before
	var got []housework.Chore
	if err == nil {
		got, err = f.list()
	}
	if err := errors.Join(err, f.close()); err != nil {
		return 0, 0, err
	}
	// The writers add in no order.
	length := len(want) - len(more)
	slices.SortFunc(got[min(length, len(got)):], func(x, y housework.Chore) int { return choreOrder(x) - choreOrder(y) })
	if !slices.Equal(got, want) {
		err = fmt.Errorf("the list of %d chores is another one than that of %d that were added", len(got), len(want))
	}
	return took, cpu, err
}

// addAll adds chores by some writers at once.
func addAll(f store, writers int, chores []housework.Chore) error {
	var next atomic.Int64
	var working sync.WaitGroup
	errs := make([]error, writers)
	for w := range errs {
		working.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(chores) {
					return
				}
				errs[w] = f.add(chores[i])
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
