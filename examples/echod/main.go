// Echod answers with what it receives (RFC 862).
//
//	echod [flags]
//
//	-network N     tcp, tls, unix, unixpacket, udp or unixgram (tcp)
//	-address A     address to listen on, or path of the socket (127.0.0.1:7)
//	-idle D        close connections that are idle for so long; 0 is never (1h)
//	-max-conns N   how many connections are served at once; 0 is any number (0)
//	-cert FILE     certificate of the server, for tls
//	-key FILE      its key
//	-v             log each connection
//
// The first line on the standard output is "listening on NETWORK ADDR", so that
// port 0 can be used. Port 7 needs root, or the capability to bind it.
//
// SIGINT and SIGTERM let what has arrived be echoed, for ten seconds at most, and
// remove the file of a Unix socket; the second signal does not wait. The exit
// status is 0 then, 1 after a failure and 2 for wrong usage.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/echo"
)

// grace is how long connections may go on after a signal.
const grace = 10 * time.Second

var networks = []string{"tcp", "tls", "unix", "unixpacket", "udp", "unixgram"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A config is what the flags say.
type config struct {
	network, address string
	cert, key        string
	idle             time.Duration
	maxConns         int
	verbose          bool
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
		fmt.Fprintf(stderr, "echod: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("echod", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.network, "network", "tcp", strings.Join(networks, ", "))
	flags.StringVar(&c.address, "address", "127.0.0.1:7", "`address` to listen on, or path of the socket")
	flags.DurationVar(&c.idle, "idle", time.Hour, "close connections that are idle for so long; 0 is never")
	flags.IntVar(&c.maxConns, "max-conns", 0, "how many connections are served at once; 0 is any `number`")
	flags.StringVar(&c.cert, "cert", "", "`file` with the certificate of the server, for tls")
	flags.StringVar(&c.key, "key", "", "`file` with its key")
	flags.BoolVar(&c.verbose, "v", false, "log each connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	addressIsSet := false
	flags.Visit(func(f *flag.Flag) { addressIsSet = addressIsSet || f.Name == "address" })
	wrong := ""
	switch secure := c.network == "tls"; {
	case flags.NArg() > 0:
		wrong = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case !slices.Contains(networks, c.network):
		wrong = fmt.Sprintf("unknown network %q", c.network)
	case strings.HasPrefix(c.network, "unix") && !addressIsSet:
		wrong = "-network " + c.network + " needs the path of a socket as -address"
	case secure && (c.cert == "" || c.key == ""):
		wrong = "-network tls needs -cert and -key"
	case !secure && (c.cert != "" || c.key != ""):
		wrong = "-cert and -key are for -network tls"
	case c.idle < 0:
		wrong = "-idle must not be negative"
	case c.maxConns < 0:
		wrong = "-max-conns must not be negative"
	default:
		return nil
	}
	fmt.Fprintf(stderr, "echod: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// serve serves until ctx ends.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelInfo
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := &echo.Server{
		IdleTimeout: c.idle,
		MaxConns:    c.maxConns,
		Logger:      slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
		Listening: func(a net.Addr) {
			if _, err := fmt.Fprintf(stdout, "listening on %s %s\n", c.network, a); err != nil {
				cancel(err) // nobody would know the port
			}
		},
	}
	if c.idle == 0 {
		server.IdleTimeout = -1 // where 0 is the default
	}
	if c.network == "tls" {
		certificate, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe(c.network, c.address) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return errors.Join(stop(server, served), failure(ctx))
}

// stop ends the server, in time if it can.
func stop(server *echo.Server, served <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if end := <-served; !errors.Is(end, echo.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// failure returns why ctx ended, if that was not a signal.
func failure(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
