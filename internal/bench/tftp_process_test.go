//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// A process is a child.
type process struct {
	kind  string
	addr  string // of the server, if it is one
	stdin io.Closer
	out   *json.Encoder
	in    *json.Decoder
}

// startClient starts a process that runs until the benchmark ends. Each of env is
// a variable and its value.
func startClient(b *testing.B, env ...string) *process {
	b.Helper()
	return start(b, "client", env)
}

// startServer starts a server of a file of so many bytes.
func startServer(b *testing.B, kind string, size int, env ...string) *process {
	b.Helper()
	p := start(b, kind, env)
	p.addr = p.tell(b, order{Do: "serve", Kind: kind, Size: size}).Addr
	return p
}

func start(b *testing.B, kind string, env []string) *process {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self) // which ends with its input
	cmd.Env = append(append(os.Environ(), childVariable+"="+kind), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
			b.Errorf("%s: %v", kind, err)
		}
	})
	return &process{kind: kind, stdin: stdin, out: json.NewEncoder(stdin), in: json.NewDecoder(stdout)}
}

func (p *process) tell(b *testing.B, o order) (a answer) {
	b.Helper()
	err := p.out.Encode(o)
	if err == nil {
		err = p.in.Decode(&a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		b.Fatalf("%s: %s: %v", p.kind, o.Do, err)
	}
	return a
}

func (p *process) use(b *testing.B) usage {
	b.Helper()
	return p.tell(b, order{Do: "use"}).Used
}

// keeps is the use without garbage.
func (p *process) keeps(b *testing.B) usage {
	b.Helper()
	return p.tell(b, order{Do: "use", Collect: true}).Used
}

// A side is what is known of one kind after some rounds.
type side struct {
	server         *process
	rates          []float64 // MB/s or transfers/s of each round
	serves, fetchs usage     // of all rounds
	done           int       // transfers that went well
	fails          []string
}

// A contest is two kinds or more at the same work in turn, so that all meet the
// same moods of the machine. The first is ours, and must not fail.
type contest struct {
	client *process
	sides  []*side
	size   int
}

func newContest(b *testing.B, size int, env []string, kinds ...string) *contest {
	b.Helper()
	c := &contest{client: startClient(b, env...), size: size}
	for _, kind := range kinds {
		c.sides = append(c.sides, &side{server: startServer(b, kind, size, env...)})
	}
	return c
}

// round has each side obey the order once. The rate is made from the answer.
func (c *contest) round(b *testing.B, o order, rate func(answer) float64) {
	b.Helper()
	for _, s := range c.sides {
		o.Kind, o.Addrs, o.Size = s.server.kind, []string{s.server.addr}, c.size
		before := s.server.use(b)
		a := c.client.tell(b, o)
		u := s.server.use(b).since(before)
		s.add(a, u)
		if len(a.Fails) > 0 && strings.HasPrefix(s.server.kind, kindOurs) {
			b.Fatalf("%s: %d failures: %s", s.server.kind, len(a.Fails), a.Fails[0])
		}
		if len(a.Took) > 0 {
			s.rates = append(s.rates, rate(a))
		}
	}
}

func (s *side) add(a answer, u usage) {
	s.done += len(a.Took)
	s.fails = append(s.fails, a.Fails...)
	for _, sum := range []struct{ to, add *usage }{{&s.serves, &u}, {&s.fetchs, &a.Used}} {
		sum.to.CPU += sum.add.CPU
		sum.to.Mallocs += sum.add.Mallocs
		sum.to.Bytes += sum.add.Bytes
	}
}

// rate is in MB/s, of the one transfer of a round.
func (c *contest) rate(a answer) float64 {
	return float64(c.size) / 1e6 / a.Took[0].Seconds()
}

// report prints a table. The CPU time, in the given unit, and what was allocated
// are for one of so many things that a transfer consists of.
func (c *contest) report(b *testing.B, what, thing string, unit time.Duration, cpuThings, things float64) {
	b.Helper()
	t := newTable("", what, "server CPU", "client CPU",
		"server mallocs/"+thing, "B", "client mallocs", "B", "ours is", "failed")
	var first float64
	for i, s := range c.sides {
		middle := median(s.rates)
		if i == 0 {
			first = middle
			b.ReportMetric(middle, "ours-"+what)
		} else if middle > 0 {
			b.ReportMetric(first/middle, "x-"+s.server.kind)
		}
		n := float64(s.done)
		t.row(s.server.kind, middle,
			float64(s.serves.CPU)/float64(unit)/n/cpuThings, float64(s.fetchs.CPU)/float64(unit)/n/cpuThings,
			float64(s.serves.Mallocs)/n/things, float64(s.serves.Bytes)/n/things,
			float64(s.fetchs.Mallocs)/n/things, float64(s.fetchs.Bytes)/n/things,
			first/middle, len(s.fails))
	}
	t.print(b)
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
	b.Log("\n" + t.String())
}

// median returns 0 if there is nothing.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
