//go:build linux

package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// The figures of the library's documentation are made by
//
//	NETPARTS_BENCH=full go test -run='^$' -bench='TFTP|Echo|Heartbeat|Proxy|HTTPMW|Housework' -benchtime=9x -timeout=2h
//
// where each of 9 rounds lets all kinds of servers and clients do the same work
// once, each server and the clients in a process of its own, over the loopback
// interface. The tables show medians of the rounds, and CPU time. Without the
// variable the work is little, to see that all goes well. NETPARTS_BENCH_PROFILE
// names a folder for CPU profiles of the processes.
//
// Packages report bytes and allocations by SetBytes and ReportAllocs; here both
// belong to several processes, so that the tables have them.
var full = os.Getenv("NETPARTS_BENCH") == "full"

// of returns what to use for figures, or to see that all goes well.
func of[T any](figures, short T) T {
	if full {
		return figures
	}
	return short
}

// A table is printed below the name of a benchmark.
type table struct {
	strings.Builder
	w *tabwriter.Writer
}

func newTable(head ...any) *table {
	t := new(table)
	t.w = tabwriter.NewWriter(&t.Builder, 0, 0, 2, ' ', tabwriter.AlignRight)
	t.row(head...)
	return t
}

func (t *table) row(cells ...any) {
	for _, c := range cells {
		switch c := c.(type) {
		case float64:
			fmt.Fprintf(t.w, "%.*f\t", max(0, min(3, 4-len(fmt.Sprint(int(c))))), c)
		default:
			fmt.Fprintf(t.w, "%v\t", c)
		}
	}
	fmt.Fprintln(t.w)
}

func (t *table) print(b *testing.B) {
	b.Helper()
	if err := t.w.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op") // of several things at once, so it says nothing
	b.Log("\n" + strings.TrimSuffix(t.String(), "\n"))
}

// median returns 0 if there is nothing.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
