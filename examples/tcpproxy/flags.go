package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netparts/netparts/proxy"
)

// policies choose an upstream.
var policies = map[string]func(...proxy.DialFunc) proxy.DialFunc{
	"first":      proxy.First,
	"failover":   proxy.Failover,
	"roundrobin": proxy.RoundRobin,
}

// versions are those of the PROXY protocol.
var versions = map[string]int{"": 0, "v1": 1, "v2": 2}

// A config is what the flags say.
type config struct {
	listen                              endpoint
	to                                  []endpoint
	policy, sendProxy, tap              string
	dialTimeout, idle, halfClose, grace time.Duration
	maxConns                            int
	accept                              sources
	verbose                             bool
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("tcpproxy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Func("listen", "where clients connect, as `NETWORK:ADDR`; the network is tcp, tcp4, tcp6 or unix", c.setListen)
	flags.Func("to", "an upstream, as `NETWORK:ADDR`; may be given several times", c.addUpstream)
	flags.StringVar(&c.policy, "policy", "failover", "how to choose an upstream: first, failover or roundrobin")
	flags.DurationVar(&c.dialTimeout, "dial-timeout", 10*time.Second, "how long dialing may take, all upstreams together")
	flags.DurationVar(&c.idle, "idle", time.Hour, "end pairs in which nothing moves for so long; 0 is never")
	flags.DurationVar(&c.halfClose, "half-close", time.Minute, "the same once one side has ended its stream; 0 is as -idle says")
	flags.IntVar(&c.maxConns, "max-conns", 0, "how many clients are served at once; 0 is any `number`")
	flags.StringVar(&c.sendProxy, "send-proxy", "", "begin with a header of the PROXY protocol to upstreams, of `version` v1 or v2")
	flags.Func("accept-proxy", "expect a header from clients in `CIDR`, or \"unix\"; may be given several times", c.accept.add)
	flags.StringVar(&c.tap, "tap", "", "append what passes to `file`; - is the standard error")
	flags.DurationVar(&c.grace, "grace", 10*time.Second, "how long connections may go on after a signal")
	flags.BoolVar(&c.verbose, "v", false, "log each connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wrong := c.fault()
	if flags.NArg() > 0 {
		wrong = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	}
	if wrong == "" {
		return nil
	}
	fmt.Fprintf(stderr, "tcpproxy: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// fault returns what is wrong with the flags taken together, or nothing.
func (c *config) fault() string {
	_, isPolicy := policies[c.policy]
	_, isVersion := versions[c.sendProxy]
	switch {
	case c.listen == endpoint{}:
		return "-listen is missing"
	case len(c.to) == 0:
		return "-to is missing"
	case slices.Contains(c.to, c.listen):
		return fmt.Sprintf("-to %s is where it listens itself", c.listen)
	case !isPolicy:
		return fmt.Sprintf("unknown -policy %q", c.policy)
	case c.dialTimeout <= 0:
		return "-dial-timeout must be positive"
	case c.idle < 0:
		return "-idle must not be negative"
	case c.halfClose < 0:
		return "-half-close must not be negative"
	case c.grace < 0:
		return "-grace must not be negative"
	case c.maxConns < 0:
		return "-max-conns must not be negative"
	case !isVersion:
		return fmt.Sprintf("unknown version %q of -send-proxy", c.sendProxy)
	}
	return c.accept.fault(c.listen.network)
}

func (c *config) setListen(s string) (err error) {
	c.listen, err = parseEndpoint(s)
	return err
}

func (c *config) addUpstream(s string) error {
	e, err := parseEndpoint(s)
	if err == nil && e.port == 0 && e.network != "unix" {
		err = errors.New("nothing listens on port 0")
	}
	c.to = append(c.to, e)
	return err
}

// An endpoint is an address with its network.
type endpoint struct {
	network, address string
	port             int // of TCP
}

func (e endpoint) String() string { return e.network + ":" + e.address }

func parseEndpoint(s string) (endpoint, error) {
	network, address, _ := strings.Cut(s, ":")
	e := endpoint{network: network, address: address}
	switch network {
	case "unix":
		if address == "" {
			return e, errors.New("there is no path")
		}
		return e, nil
	case "tcp", "tcp4", "tcp6":
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return e, err
		}
		if port == "" {
			return e, errors.New("there is no port")
		}
		e.port, err = net.LookupPort(network, port)
		return e, err
	}
	return e, errors.New("want NETWORK:ADDR with the network tcp, tcp4, tcp6 or unix")
}

// sources are the clients that must send a header of the PROXY protocol.
type sources []netip.Prefix

// anyUnix stands among sources for the clients of a Unix socket.
var anyUnix netip.Prefix

func (s *sources) add(cidr string) error {
	if cidr == "unix" {
		*s = append(*s, anyUnix)
		return nil
	}
	prefix, err := netip.ParsePrefix(cidr)
	if err == nil && prefix.Addr().Is4In6() {
		err = errors.New("want IPv4 written as IPv4")
	}
	*s = append(*s, prefix)
	return err
}

// fault returns what is wrong with s for a listener, or nothing: sources that can
// never match would leave headers unread.
func (s sources) fault(network string) string {
	for _, prefix := range s {
		switch isUnix := network == "unix"; {
		case isUnix && prefix != anyUnix:
			return "the clients of a Unix socket are in no CIDR: want -accept-proxy unix"
		case !isUnix && prefix == anyUnix:
			return "-accept-proxy unix is for -listen unix"
		}
	}
	return ""
}

// policy says whether source must send a header.
func (s sources) policy(source net.Addr) proxy.HeaderPolicy {
	tcp, ok := source.(*net.TCPAddr)
	if !ok {
		return proxy.HeaderRequired // it came by a Unix socket, whose clients are all named
	}
	// A prefix has neither zones nor IPv4 within IPv6.
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, prefix := range s {
		if prefix.Contains(addr) {
			return proxy.HeaderRequired
		}
	}
	return proxy.HeaderNone
}
