// Rosie keeps a list of chores for others, over gRPC and TLS 1.3.
//
//	rosie [flags]
//
//	-address A        host and port to listen on (localhost:34443)
//	-cert FILE        certificate of the server (cert.pem)
//	-key FILE         its key (key.pem)
//	-self-signed DIR  use cert.pem and key.pem of this folder instead, which are made
//	                  if neither is there
//	-client-ca FILE   certificates, of authorities or of clients, that the clients'
//	                  must come from; without it clients need none
//	-reload D         how often these files are read (5s)
//	-file FILE        keep the list in this file; without it, it is gone at the end
//	-reflection       tell clients that ask how the services are defined
//	-v                log each call, and files that have come into use
//
// The first line on the standard output is "listening on tcp ADDR", so that port 0 can
// be used. The second is the pin of the certificate's key, for the -pin of maid:
//
//	rosie -self-signed identity -file chores.db
//	maid -pin sha256:... add Mop floors, Clean dishes
//
// A certificate that is made is valid for a year, for the host of -address, localhost,
// 127.0.0.1 and ::1. Nothing is overwritten: what is there is used if it fits, and is a
// failure otherwise.
//
// The files of TLS may be replaced while it runs: what they hold counts for the
// connections that begin afterwards. Files that cannot be used are logged, and those
// before stay in use; at the start they are a failure. The file of -file may be used by the
// program housework at the same time, which can also make it in another format
// than JSON.
//
// SIGINT and SIGTERM let the calls be answered that are open, for ten seconds at most; the
// second signal does not wait. The exit status is 0 then, 1 after a failure and 2 for
// wrong usage.
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
	"path/filepath"
	"syscall"
	"time"

	"github.com/netparts/netparts/examples/internal/chores"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A config is what the flags say.
type config struct {
	address             string
	cert, key, clientCA string
	selfSigned          string
	reload              time.Duration
	file                string
	reflection, verbose bool
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
	if err := c.serve(ctx, stdout, stderr); err != nil {
		chores.Complain(stderr, "rosie", err)
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("rosie", flag.ContinueOnError)
	flags.StringVar(&c.address, "address", "localhost:34443", "host and port to listen on, the `address`")
	flags.StringVar(&c.cert, "cert", "cert.pem", "`file` with the certificate of the server")
	flags.StringVar(&c.key, "key", "key.pem", "`file` with its key")
	flags.StringVar(&c.selfSigned, "self-signed", "", "`folder` of cert.pem and key.pem, which are made if neither is there")
	flags.StringVar(&c.clientCA, "client-ca", "", "`file` with certificates that the clients' must come from")
	flags.DurationVar(&c.reload, "reload", 5*time.Second, "how often these files are read")
	flags.StringVar(&c.file, "file", "", "keep the list in this `file`; without it, it is gone at the end")
	flags.BoolVar(&c.reflection, "reflection", false, "tell clients that ask how the services are defined")
	flags.BoolVar(&c.verbose, "v", false, "log each call, and files that have come into use")
	flags.SetOutput(io.Discard) // what the flags say of an argument is told below
	err := flags.Parse(args)
	if err == nil {
		err = c.check(flags)
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, flag.ErrHelp) {
		chores.Complain(stderr, "rosie", err)
	}
	fmt.Fprintln(stderr, "Usage: rosie [flags]")
	flags.SetOutput(stderr)
	flags.PrintDefaults()
	return err
}

// check completes the flags, and returns what is wrong with them.
func (c *config) check(flags *flag.FlagSet) error {
	isSet := make(map[string]bool)
	empty := "" // so that an empty variable of a script does not let everybody in, say
	flags.Visit(func(f *flag.Flag) {
		isSet[f.Name] = true
		if f.Value.String() == "" {
			empty = f.Name
		}
	})
	_, _, err := net.SplitHostPort(c.address)
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case empty != "":
		return fmt.Errorf("-%s must not be empty", empty)
	case err != nil:
		return fmt.Errorf("-address: %w", err)
	case c.selfSigned != "" && (isSet["cert"] || isSet["key"]):
		return errors.New("-self-signed names the files that -cert and -key would name")
	case c.reload <= 0:
		return errors.New("-reload must be positive")
	}
	if c.selfSigned != "" {
		c.cert = filepath.Join(c.selfSigned, "cert.pem")
		c.key = filepath.Join(c.selfSigned, "key.pem")
	}
	return nil
}
