// Maid shows and changes the list of chores of a server, which the program rosie
// is.
//
//	maid [flags]                     shows the list
//	maid [flags] add CHORE, ...      adds chores, then shows the list
//	maid [flags] complete NUMBER ... marks chores as done, then shows the list
//
//	-address A     host and port of the server (localhost:34443)
//	-ca-cert FILE  certificates, of authorities or of servers, that the server's must
//	               come from; no others are trusted then
//	-pin P         the pin of the server's key, as rosie prints it
//	-cert FILE     certificate to show, for a server that wants one
//	-key FILE      its key
//	-timeout D     how long a call may take (10s)
//
// With -pin alone the key of the server decides: who signed its certificate, for which
// name and until when does not matter. With -ca-cert as well, both must hold. Without
// either, those are trusted that the system trusts.
//
//	maid -pin sha256:... add Mop floors, Wash dishes
//	maid -ca-cert cert.pem complete 2
//
// What can be said of chores and numbers is as for the program housework. All chores of one
// add go in one call, which a server may limit to 1,000. Showing the list takes one call for
// each page of it.
//
// SIGINT and SIGTERM interrupt the program. The exit status is 0, or 1 after a failure, or
// 2 for wrong usage.
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
	"syscall"
	"time"

	"github.com/netparts/netparts/examples/internal/chores"
	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A config is what the flags say.
type config struct {
	address   string
	caCert    string
	pin       tlsutil.Pin
	pinned    bool
	cert, key string
	timeout   time.Duration
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c config
	command, err := c.parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := c.do(ctx, command, stdout); err != nil {
		chores.Complain(stderr, "maid", err)
		return 1
	}
	return 0
}

// parse reads the flags and the arguments. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) (*chores.Command, error) {
	flags := flag.NewFlagSet("maid", flag.ContinueOnError)
	flags.StringVar(&c.address, "address", "localhost:34443", "host and port of the server, its `address`")
	flags.StringVar(&c.caCert, "ca-cert", "", "`file` with certificates that the server's must come from")
	flags.Func("pin", "the `pin` of the server's key, sha256: and its hash in base 64", func(s string) error {
		c.pinned = true
		return c.pin.UnmarshalText([]byte(s))
	})
	flags.StringVar(&c.cert, "cert", "", "`file` with the certificate to show")
	flags.StringVar(&c.key, "key", "", "`file` with its key")
	flags.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long a call may take")
	return chores.ParseFlags(flags, args, stderr, func() error { return c.check(flags) })
}

// check returns what is wrong with the flags.
func (c *config) check(flags *flag.FlagSet) error {
	isSet := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { isSet[f.Name] = true })
	_, port, err := net.SplitHostPort(c.address)
	switch {
	case err != nil:
		return fmt.Errorf("-address: %w", err)
	case port == "":
		return errors.New("-address needs a port")
	case isSet["ca-cert"] && c.caCert == "":
		// A variable of a script that is empty must not make it trust all others.
		return errors.New("-ca-cert must not be empty")
	case (c.cert == "") != (c.key == ""):
		return errors.New("-cert and -key belong together")
	case c.timeout <= 0:
		return errors.New("-timeout must be positive")
	}
	return nil
}

// do carries out the command with the list of the server.
func (c *config) do(ctx context.Context, command *chores.Command, stdout io.Writer) error {
	config, err := c.tlsConfig()
	if err != nil {
		return err
	}
	client, err := housework.Dial(ctx, c.address, &housework.ClientOptions{TLSConfig: config, Timeout: c.timeout})
	if err != nil {
		return chores.Explain(err)
	}
	err = command.Do(ctx, client, "You have nothing to do!", stdout)
	return errors.Join(err, client.Close())
}
