// Observability shows what an instrumented server tells of itself: it serves a greeting and
// its metrics, lets many clients ask at once, reads the totals back from the metrics, and
// prints them.
//
//	observability [flags]
//
//	-web A          address for the greeting (127.0.0.1:8082)
//	-metrics A      address for the metrics (127.0.0.1:8081)
//	-namespace N    what the names of the metrics begin with (web)
//	-subsystem N    what follows in them (server1)
//	-clients N      how many clients there are (500)
//	-requests N     how many requests each sends (100)
//	-latency D      longest time that an answer takes, chosen by chance for each (0)
//	-summary        a summary of the durations in place of a histogram
//	-serve          go on serving after the demonstration, for a Prometheus that scrapes
//
// In the root of the repository:
//
//	go run -C examples/observability . -web 127.0.0.1:0 -metrics 127.0.0.1:0
//
// The first two lines on the standard output are "listening on http://ADDR", of the greeting
// and of the metrics, so that port 0 can be used. Then come the lines of the metrics while all
// clients keep their connections, and the line of the gauge when they have closed them.
//
// Each client has a connection of its own, and both its ends are in this process: 500 clients
// need some 1,020 open files. Go raises the limit as far as the system allows; if that is not
// enough, the program says so and does not begin.
//
// SIGINT and SIGTERM let requests end, for ten seconds at most; the second signal does not
// wait. The exit status is 0 if the totals are right; 1 if not, after a failure, and if a
// signal came before the totals; 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/netparts/netparts/examples/observability/metrics"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A config is what the flags say.
type config struct {
	web, metrics         string
	namespace, subsystem string
	clients, requests    int
	latency              time.Duration
	summary, serve       bool
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c config
	switch err := c.parse(args, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := c.demonstrate(ctx, stdout, stderr); err != nil {
		// Several totals may be wrong, and still are one line.
		fmt.Fprintf(stderr, "observability: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("observability", flag.ContinueOnError)
	flags.StringVar(&c.web, "web", "127.0.0.1:8082", "`address` for the greeting")
	flags.StringVar(&c.metrics, "metrics", "127.0.0.1:8081", "`address` for the metrics")
	flags.StringVar(&c.namespace, "namespace", "web", "what the names of the metrics begin with, a `name`")
	flags.StringVar(&c.subsystem, "subsystem", "server1", "what follows in them, a `name`")
	flags.IntVar(&c.clients, "clients", 500, "`number` of clients")
	flags.IntVar(&c.requests, "requests", 100, "`number` of requests that each sends")
	flags.DurationVar(&c.latency, "latency", 0, "longest `time` that an answer takes, chosen by chance for each")
	flags.BoolVar(&c.summary, "summary", false, "a summary of the durations in place of a histogram")
	flags.BoolVar(&c.serve, "serve", false, "go on serving after the demonstration")
	flags.SetOutput(io.Discard) // what the flags say of an argument is told below
	err := flags.Parse(args)
	if err == nil {
		err = c.check(flags)
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stderr, "observability: %v\n", err)
	}
	fmt.Fprintln(stderr, "Usage: observability [flags]")
	flags.SetOutput(stderr)
	flags.PrintDefaults()
	return err
}

// check returns what is wrong with the flags.
func (c *config) check(flags *flag.FlagSet) error {
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.clients < 1 || c.clients > 10_000:
		return errors.New("-clients must be from 1 to 10000")
	case c.requests < 1 || c.requests > 1_000_000:
		return errors.New("-requests must be from 1 to 1000000")
	case c.latency < 0 || c.latency > 30*time.Second:
		return errors.New("-latency must be from 0 to 30s")
	}
	// Only now are there flags to make names of: metrics that are made while a program
	// initialises itself would have the names of the defaults, whatever the flags say.
	_, err := metrics.New(prometheus.NewRegistry(), c.namespace, c.subsystem, nil)
	return err
}
