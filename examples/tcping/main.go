// Tcping asks again and again whether a TCP service answers, and how fast.
//
//	tcping [flags] HOST:PORT
//
//	-c N   how many times; 0 or less is for ever (3)
//	-i D   time from one attempt to the next, at least 10ms (1s)
//	-W D   longest wait for an answer (5s)
//
// Each attempt connects, closes the connection with a reset and prints a line: its
// number, the address, and the round trip time or what went wrong. A service that
// refuses, or a name that is not found, does not end the program, so that it shows
// when a service comes back. At the end, also after SIGINT or SIGTERM, it prints
// how many attempts were answered and a summary of the round trip times.
//
// A handshake costs a service more than an ICMP echo, and many of them may count as
// abuse: use it where you may.
//
// The exit status is 0 if any attempt was answered, 1 if none was or the output
// could not be written, and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// minInterval keeps the program from being a flood.
const minInterval = 10 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var probe heartbeat.Probe
	switch err := parse(&probe, args, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	stats, err := ping(ctx, &probe, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "tcping: %s\n", printable(err.Error()))
		return 1
	}
	if stats.Answered == 0 {
		return 1
	}
	return 0
}

// parse reads the arguments. What is wrong with them it has told on stderr.
func parse(probe *heartbeat.Probe, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("tcping", flag.ContinueOnError)
	flags.IntVar(&probe.Count, "c", 3, "`number` of attempts; 0 or less is for ever")
	flags.DurationVar(&probe.Interval, "i", time.Second, "`duration` from one attempt to the next, at least 10ms")
	flags.DurationVar(&probe.Timeout, "W", 5*time.Second, "longest `duration` to wait for an answer")
	// What the flags say of an argument is told below, with the argument escaped.
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if err == nil {
		err = check(probe, flags.Args())
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stderr, "tcping: %s\n", printable(err.Error()))
	}
	fmt.Fprintln(stderr, "usage: tcping [flags] HOST:PORT")
	flags.SetOutput(stderr)
	flags.PrintDefaults()
	return err
}

// check takes the arguments behind the flags, and returns what is wrong with
// them or the flags. What it quotes of them is not escaped.
func check(probe *heartbeat.Probe, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("HOST:PORT is required")
	case len(args) > 1:
		return fmt.Errorf("one HOST:PORT is required, and flags come before it: unexpected argument %s", args[1])
	case probe.Interval < minInterval:
		return fmt.Errorf("-i must be at least %v", minInterval)
	case probe.Timeout <= 0:
		return errors.New("-W must be positive")
	}
	probe.Address = args[0]
	_, port, err := net.SplitHostPort(probe.Address)
	if err != nil {
		return err
	}
	if number, err := net.LookupPort("tcp", port); err != nil || number == 0 {
		return fmt.Errorf("%s does not end with the name or number of a TCP port", args[0])
	}
	return nil
}

// ping prints what becomes of the attempts. Its error is that of a write.
func ping(ctx context.Context, probe *heartbeat.Probe, w io.Writer) (heartbeat.Stats, error) {
	var stats heartbeat.Stats
	head := "PING " + printable(probe.Address) + "\n"
	if probe.Count <= 0 {
		head += "CTRL+C to stop.\n"
	}
	if _, err := io.WriteString(w, head); err != nil {
		return stats, err
	}
	for r := range probe.All(ctx) {
		stats.Add(r)
		if _, err := fmt.Fprintln(w, line(r)); err != nil {
			return stats, err
		}
	}
	_, err := io.WriteString(w, summary(probe.Address, &stats))
	return stats, err
}

// line describes one result.
func line(r heartbeat.Result) string {
	s := strconv.Itoa(r.Seq)
	if r.Peer.IsValid() {
		s += " " + printable(r.Peer.String())
	}
	switch r.Class {
	case heartbeat.Answered:
		return s + " " + r.RTT.Round(time.Microsecond).String()
	case heartbeat.NoName, heartbeat.Failed:
		return s + " " + r.Class.String() + ": " + printable(r.Err.Error())
	}
	return s + " " + r.Class.String()
}

// summary describes all results, as ping does.
func summary(address string, s *heartbeat.Stats) string {
	text := fmt.Sprintf("\n--- %s ---\n%d sent, %d answered, %d refused, %.1f %% lost\n",
		printable(address), s.Sent, s.Answered, s.Refused, 100*s.Loss())
	if s.Answered > 0 {
		text += fmt.Sprintf("round trip min/avg/max/mdev = %s/%s/%s/%s ms, jitter %s ms\n",
			millis(s.Min()), millis(s.Avg()), millis(s.Max()), millis(s.Mdev()), millis(s.Jitter()))
	}
	return text
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.3f", d.Seconds()*1000)
}

// printable escapes what would disturb a terminal or end the line.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if quoted[1:len(quoted)-1] == strings.ReplaceAll(s, `"`, `\"`) {
		return s
	}
	return quoted
}
