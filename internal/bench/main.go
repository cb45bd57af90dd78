//go:build linux

// Bench measures the parts of this library side by side with the packages and programs
// that people use today for the same jobs. It is a module of its own, so that no peer
// becomes a dependency of the library.
//
//	go run . [-parts tlv,tftp] [-cases REGEXP] [-rounds 7] [-o DIR]
//
// Ours and the peers do the same work in turn, round by round. For each case it prints the
// medians of the rounds, the median of the ratios within the rounds with their spread, and
// the targets. With -o it writes RESULTS.md, a chart for each part, and results.json, from
// which -from makes the others anew.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/internal/bench/echobench"
	"github.com/netparts/netparts/internal/bench/heartbeatbench"
	"github.com/netparts/netparts/internal/bench/houseworkbench"
	"github.com/netparts/netparts/internal/bench/httpmwbench"
	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/proxybench"
	"github.com/netparts/netparts/internal/bench/report"
	"github.com/netparts/netparts/internal/bench/tftpbench"
	"github.com/netparts/netparts/internal/bench/tlsutilbench"
	"github.com/netparts/netparts/internal/bench/tlvbench"
	"github.com/netparts/netparts/internal/bench/unixauthbench"
)

// parts are in the order of the README.
func parts() []lab.Part {
	return []lab.Part{
		tlvbench.Part(),
		tftpbench.Part(),
		echobench.Part(),
		proxybench.Part(),
		heartbeatbench.Part(),
		unixauthbench.Part(),
		httpmwbench.Part(),
		tlsutilbench.Part(),
		houseworkbench.Part(),
	}
}

func main() {
	if name := lab.Child(); name != "" {
		if err := child(name, parts()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the program at once
	os.Exit(run(ctx, parts(), os.Args[1:], os.Stdout, os.Stderr))
}

// child obeys the program that has started it.
func child(name string, list []lab.Part) error {
	i := slices.IndexFunc(list, func(p lab.Part) bool { return p.Name == name })
	if i < 0 {
		return fmt.Errorf("no part is called %q", name)
	}
	return lab.RunChild(&list[i])
}

// options are the flags.
type options struct {
	parts, cases, out, from, profile string
	rounds                           int
	tiny                             bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.parts, "parts", "", "the `parts` to measure, with commas between them; all if empty")
	f.StringVar(&o.cases, "cases", "", "measure the cases alone whose names match the regular `expression`")
	f.IntVar(&o.rounds, "rounds", 7, "how often each side of a case does the work")
	f.BoolVar(&o.tiny, "tiny", false, "do as little as can be, to see that all goes well")
	f.StringVar(&o.out, "o", "", "write RESULTS.md, charts and results.json into this `folder`")
	f.StringVar(&o.from, "from", "", "measure nothing, and take the figures from this `file`, a results.json")
	f.StringVar(&o.profile, "profile", "", "write CPU profiles of the processes into this `folder`")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1:
		err = errors.New("-rounds must be 1 or more")
	case o.from != "" && o.out == "":
		err = errors.New("-from needs -o")
	case o.from != "" && o.parts+o.cases != "":
		err = errors.New("-from takes all that is in the file, without -parts and -cases")
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return o, err
}

// run is the program with these parts. It returns the status that it ends with.
func run(ctx context.Context, list []lab.Part, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	chosen, err := choose(list, o)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	if o.from != "" {
		err = again(list, &o)
	} else {
		err = measure(ctx, &o, chosen, args, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// choose returns the parts that are to be measured, and fails if they have none of the
// cases that are asked for.
func choose(all []lab.Part, o options) ([]lab.Part, error) {
	wanted, err := regexp.Compile(o.cases)
	if err != nil {
		return nil, err
	}
	list := all
	if o.parts != "" {
		list, err = named(all, o.parts)
		if err != nil {
			return nil, err
		}
	}
	for i := range list {
		if slices.ContainsFunc(caseNames(&list[i]), wanted.MatchString) {
			return list, nil
		}
	}
	return nil, fmt.Errorf("no case matches %q", o.cases)
}

// caseNames are those of the cases and growths of a part.
func caseNames(p *lab.Part) (names []string) {
	for _, c := range p.Cases {
		names = append(names, c.Name)
	}
	for _, g := range p.Growths {
		names = append(names, g.Name)
	}
	return names
}

// named returns parts by their names, with commas between them.
func named(all []lab.Part, wanted string) ([]lab.Part, error) {
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	var list []lab.Part
	for name := range strings.SplitSeq(wanted, ",") {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("no part is called %q; there are %s", name, strings.Join(names, ", "))
		}
		if slices.ContainsFunc(list, func(p lab.Part) bool { return p.Name == name }) {
			return nil, fmt.Errorf("the part %s is named twice", name)
		}
		list = append(list, all[i])
	}
	return list, nil
}

// measure runs the parts, prints what they find as it comes, and writes it all.
func measure(ctx context.Context, o *options, chosen []lab.Part, args []string, stdout io.Writer) (err error) {
	begin := time.Now()
	if o.out != "" { // it is better to fail now than when all has been measured
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return err
		}
	}
	if o.profile != "" {
		stop, err := profile(o.profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	figures := lab.Figures{
		Command: strings.Join(append([]string{"go run ."}, args...), " "),
		Rounds:  o.rounds, Machine: lab.ThisMachine(chosen),
	}
	missing := figures.Machine.Missing
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		fmt.Fprintf(stdout, "without %s: %s\n", name, missing[name])
	}
	var failures []error
	printed := func(err error) { failures = append(failures, err) }
	r := lab.Runner{
		Rounds: o.rounds, Tiny: o.tiny, Profiles: o.profile,
		Wanted: regexp.MustCompile(o.cases).MatchString,
		Done: func(p *lab.Part, c *lab.Case, f *lab.CaseFigures) {
			printed(report.Case(stdout, p, c, f))
		},
		Grown: func(p *lab.Part, g *lab.Growth, f *lab.GrowthFigures) {
			printed(report.Growth(stdout, p, g, f))
		},
	}
	for i := range chosen {
		if ctx.Err() != nil {
			break
		}
		found, err := r.Run(ctx, &chosen[i])
		failures = append(failures, err)
		figures.Parts = append(figures.Parts, found)
		fmt.Fprintf(stdout, "\n%s took %d s\n", found.Name, found.Seconds)
	}
	figures.Machine.Noise = r.Noise()
	figures.Seconds = int(time.Since(begin).Seconds())
	if ctx.Err() != nil {
		// What failed besides may have failed for that.
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	if o.out != "" {
		failures = append(failures, write(o.out, chosen, &figures))
	}
	return errors.Join(failures...)
}

// profile starts a CPU profile of this process.
func profile(dir string) (stop func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "bench.pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// resultsFile has the figures themselves.
const resultsFile = "results.json"

// lists are those of numbers, each of which has a line to itself.
var lists = regexp.MustCompile(`\[[-+.,0-9e\s]+\]`)

// write writes the figures, and what is made of them.
func write(dir string, list []lab.Part, f *lab.Figures) error {
	data, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	data = lists.ReplaceAllFunc(data, func(list []byte) []byte { return bytes.Join(bytes.Fields(list), nil) })
	if err := os.WriteFile(filepath.Join(dir, resultsFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return report.Write(dir, list, f)
}

// again makes the page and the charts of an earlier run.
func again(list []lab.Part, o *options) error {
	f, err := read(o.from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	return report.Write(o.out, list, f)
}

// read returns the figures of an earlier run.
func read(name string) (*lab.Figures, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var f lab.Figures
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(f.Parts) == 0 {
		return nil, fmt.Errorf("%s has no figures", name)
	}
	return &f, nil
}
