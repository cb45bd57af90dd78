// Pathmtu finds the largest packet that reaches a host without being fragmented.
//
//	pathmtu [flags] HOST[:PORT]
//
//	-W D   longest wait for an answer, of which there are three to each size (1s)
//
// It prints one line: the address, the size of the packet with all headers, and how many bytes of
// data are in a UDP datagram of that size. The host needs no service for it: without a port it
// asks port 33434, as traceroute does, where nobody listens, and that the host says so
// is answer enough. A path on which packets that are too large disappear takes half a minute; a
// shorter -W makes that less, but must be longer than the way there and back, and hosts that
// tell of closed ports once a second need the second.
//
// The exit status is 0 if the size was found, 1 if not or the output could not be written, and 2
// for wrong usage. It needs Linux. SIGINT and SIGTERM end it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/examples/sockets"
)

// tracePort is where traceroute begins, and no service is known to listen.
const tracePort = "33434"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program at once
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var probe sockets.MTUProbe
	address, err := parse(&probe, args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	mtu, err := probe.Find(ctx, address)
	if err == nil {
		_, err = fmt.Fprintf(stdout, "%v: packets of %d bytes, with %d bytes of data over UDP\n", mtu.Peer, mtu.Packet, mtu.Payload)
	}
	if err != nil {
		fmt.Fprintf(stderr, "pathmtu: %s\n", printable(err.Error()))
		return 1
	}
	return 0
}

// parse reads the arguments. What is wrong with them it has told on stderr.
func parse(probe *sockets.MTUProbe, args []string, stderr io.Writer) (address string, err error) {
	flags := flag.NewFlagSet("pathmtu", flag.ContinueOnError)
	flags.DurationVar(&probe.Wait, "W", time.Second, "longest `duration` to wait for an answer")
	// What the flags say of an argument is told below, with the argument escaped.
	flags.SetOutput(io.Discard)
	err = flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() != 1 || flags.Arg(0) == "":
		err = errors.New("one HOST or HOST:PORT is required, behind the flags")
	case probe.Wait <= 0:
		err = errors.New("-W must be positive")
	default:
		address, err = withPort(flags.Arg(0))
	}
	if err == nil {
		return address, nil
	}
	if !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stderr, "pathmtu: %s\n", printable(err.Error()))
	}
	fmt.Fprintln(stderr, "usage: pathmtu [flags] HOST[:PORT]")
	flags.SetOutput(stderr)
	flags.PrintDefaults()
	return "", err
}

// withPort returns the host and port that s names. An IPv6 address needs no brackets if no
// port follows.
func withPort(s string) (string, error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return net.JoinHostPort(s, tracePort), nil
	}
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		return withPort(strings.TrimSuffix(inner, "]"))
	}
	if s != "" && !strings.Contains(s, ":") {
		return net.JoinHostPort(s, tracePort), nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", err
	}
	if number, err := net.LookupPort("udp", port); err != nil || number == 0 || host == "" {
		return "", fmt.Errorf("%s is no host with the name or number of a UDP port", s)
	}
	return s, nil
}

// printable escapes what would disturb a terminal or end the line.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if quoted[1:len(quoted)-1] == strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) {
		return s
	}
	return quoted
}
