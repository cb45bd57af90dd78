// Housework-etcd keeps a list of chores on several machines: it serves Rosie, as the
// program rosie does, with the list in a cluster of etcd.
//
//	housework-etcd [flags] -endpoints LIST
//	housework-etcd [flags] -self-contained
//
// With -endpoints it joins a cluster that is there. Any number of it may serve the
// same list:
//
//	-endpoints LIST   addresses of the members, with commas between: host:port, or
//	                  https://host:port for TLS
//	-etcd-ca FILE     certificates that those of the members must come from; without
//	                  it those count that the system trusts
//	-etcd-cert FILE   certificate that is shown to the members
//	-etcd-key FILE    its key
//	-prefix TEXT      what the keys in etcd begin with (housework/)
//	-address A        host and port to listen on (localhost:34443)
//	-cert FILE        certificate of the server (cert.pem)
//	-key FILE         its key (key.pem)
//	-client-ca FILE   certificates that the clients' must come from; without it
//	                  clients need none
//	-insecure         serve without TLS, at an address of this machine alone
//	-v                log each call
//
// The first line on the standard output is "listening on tcp ADDR". SIGINT and SIGTERM
// let the calls be answered that are open, for ten seconds at most; the second signal
// does not wait.
//
// With -self-contained it shows what becomes of a list when members fail. It starts a cluster
// of three members as processes of its own, with their data and sockets in a folder that
// nobody else may enter; serves Rosie over the cluster on a socket there; adds chores by many
// clients at once; kills the member that leads, with SIGKILL, while they do; starts it
// again, and waits until it has caught up. In the end it compares the list with what was
// acknowledged. The processes and the folder are gone then, also after a signal, and the
// processes even if this one was killed.
//
//	-for D            how long chores are added, at least (10s)
//	-writers N        by how many clients at once (16)
//	-kill LIST        which members are killed, one after another: leader or follower,
//	                  with commas between (leader)
//	-dir DIR          the folder that the folder is made in (that for temporary files)
//
// The exit status is 0 if no chore was lost that was acknowledged, and none was added
// twice; 1 otherwise, after a failure, and if a signal came before the end; 2 for
// wrong usage.
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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/examples/internal/chores"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == memberCommand {
		os.Exit(runMember(os.Args[2:], os.Stdin, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A config is what the flags say.
type config struct {
	endpoints                 []string
	etcdCA, etcdCert, etcdKey string
	prefix                    string
	address                   string
	cert, key, clientCA       string
	insecure, verbose         bool

	selfContained bool
	duration      time.Duration
	writers       int
	kill          []string
	dir           string
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
	do := c.serve
	if c.selfContained {
		do = c.drill
	}
	if err := do(ctx, stdout, stderr); err != nil {
		chores.Complain(stderr, "housework-etcd", err)
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("housework-etcd", flag.ContinueOnError)
	endpoints := flags.String("endpoints", "", "`list` of addresses of the members, with commas between")
	flags.StringVar(&c.etcdCA, "etcd-ca", "", "`file` with certificates that those of the members must come from")
	flags.StringVar(&c.etcdCert, "etcd-cert", "", "`file` with the certificate that is shown to the members")
	flags.StringVar(&c.etcdKey, "etcd-key", "", "`file` with its key")
	flags.StringVar(&c.prefix, "prefix", "housework/", "what the keys in etcd begin with, a `text`")
	flags.StringVar(&c.address, "address", "localhost:34443", "host and port to listen on, the `address`")
	flags.StringVar(&c.cert, "cert", "cert.pem", "`file` with the certificate of the server")
	flags.StringVar(&c.key, "key", "key.pem", "`file` with its key")
	flags.StringVar(&c.clientCA, "client-ca", "", "`file` with certificates that the clients' must come from")
	flags.BoolVar(&c.insecure, "insecure", false, "serve without TLS, at an address of this machine alone")
	flags.BoolVar(&c.verbose, "v", false, "log each call")
	flags.BoolVar(&c.selfContained, "self-contained", false, "show what becomes of a list when members fail")
	flags.DurationVar(&c.duration, "for", 10*time.Second, "how long chores are added, at least")
	flags.IntVar(&c.writers, "writers", 16, "by how many clients at once, a `number`")
	kill := flags.String("kill", "leader", "`list` of members to be killed, one after another: leader or follower")
	flags.StringVar(&c.dir, "dir", os.TempDir(), "`folder` that the folder with the data is made in")
	flags.SetOutput(io.Discard) // what the flags say of an argument is told below
	err := flags.Parse(args)
	if err == nil {
		c.endpoints, c.kill = split(*endpoints), split(*kill)
		err = c.check(flags)
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, flag.ErrHelp) {
		chores.Complain(stderr, "housework-etcd", err)
	}
	fmt.Fprintln(stderr, "Usage: housework-etcd [flags] -endpoints LIST, or -self-contained")
	flags.SetOutput(stderr)
	flags.PrintDefaults()
	return err
}

// split returns the elements of a list.
func split(list string) (elements []string) {
	for e := range strings.SplitSeq(list, ",") {
		elements = append(elements, strings.TrimSpace(e))
	}
	return elements
}

// drillFlags are for -self-contained, the others for -endpoints.
var drillFlags = []string{"self-contained", "for", "writers", "kill", "dir"}

// check returns what is wrong with the flags.
func (c *config) check(flags *flag.FlagSet) error {
	isSet := make(map[string]bool)
	empty, foreign := "", ""
	flags.Visit(func(f *flag.Flag) {
		isSet[f.Name] = true
		if f.Value.String() == "" {
			empty = f.Name // of a variable of a script, say, that must not let everybody in
		}
		if slices.Contains(drillFlags, f.Name) != c.selfContained {
			foreign = f.Name
		}
	})
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case empty != "":
		return fmt.Errorf("-%s must not be empty", empty)
	case !c.selfContained && !isSet["endpoints"]:
		return errors.New("one of -endpoints and -self-contained must be there")
	case foreign != "" && c.selfContained:
		return fmt.Errorf("-%s is not for -self-contained", foreign)
	case foreign != "":
		return fmt.Errorf("-%s is for -self-contained", foreign)
	case c.selfContained:
		return c.checkDrill()
	}
	return c.checkServe(isSet)
}

func (c *config) checkServe(isSet map[string]bool) error {
	host, _, err := net.SplitHostPort(c.address)
	switch {
	case err != nil:
		return fmt.Errorf("-address: %w", err)
	case slices.Contains(c.endpoints, ""):
		return errors.New("-endpoints has an address that is empty")
	case isSet["etcd-cert"] != isSet["etcd-key"]:
		return errors.New("-etcd-cert and -etcd-key belong together")
	case c.insecure && (isSet["cert"] || isSet["key"] || isSet["client-ca"]):
		return errors.New("-insecure uses no certificates")
	case c.insecure && !isLocal(host):
		return fmt.Errorf("-insecure serves this machine alone: -address cannot be %s", c.address)
	}
	for _, e := range c.endpoints {
		// Otherwise somebody believes that a connection is encrypted that is not.
		if c.etcdTLS() && !strings.HasPrefix(e, "https://") {
			return fmt.Errorf("-etcd-ca, -etcd-cert and -etcd-key are for endpoints with https://, unlike %s", e)
		}
	}
	return nil
}

func (c *config) checkDrill() error {
	switch {
	case c.duration <= 0:
		return errors.New("-for must be positive")
	case c.writers <= 0 || c.writers > 1000:
		return errors.New("-writers must be from 1 to 1000")
	}
	for _, who := range c.kill {
		if who != "leader" && who != "follower" {
			return fmt.Errorf("-kill: there is no %q", who)
		}
	}
	return nil
}

// isLocal reports whether an address can be reached from this machine alone.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
