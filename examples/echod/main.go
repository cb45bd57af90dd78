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
//	-clients FILE  certificates, of authorities or of clients, that the clients'
//	               must come from; without it clients need none
//	-reload D      how often the three files are read (5s)
//	-v             log each connection, and files that have come into use
//
// The first line on the standard output is "listening on NETWORK ADDR", so that
// port 0 can be used. Port 7 needs root, or the capability to bind it.
//
// The files of tls may be replaced while it runs: what they hold counts for the
// connections that begin afterwards. Files that cannot be used are logged, and those
// before stay in use; at the start they are a failure.
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
	"github.com/netparts/netparts/tlsutil"
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
	network, address   string
	cert, key, clients string
	reload             time.Duration
	idle               time.Duration
	maxConns           int
	verbose            bool
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
	flags.StringVar(&c.clients, "clients", "", "`file` with certificates that the clients' must come from")
	flags.DurationVar(&c.reload, "reload", 5*time.Second, "how often the three files are read")
	flags.BoolVar(&c.verbose, "v", false, "log each connection, and files that have come into use")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wrong := c.misuse(flags)
	if wrong == "" {
		return nil
	}
	fmt.Fprintf(stderr, "echod: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// misuse says what is wrong with the flags, or nothing.
func (c *config) misuse(flags *flag.FlagSet) string {
	isSet := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { isSet[f.Name] = true })
	switch secure := c.network == "tls"; {
	case flags.NArg() > 0:
		return fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case !slices.Contains(networks, c.network):
		return fmt.Sprintf("unknown network %q", c.network)
	case strings.HasPrefix(c.network, "unix") && !isSet["address"]:
		return "-network " + c.network + " needs the path of a socket as -address"
	case secure && (c.cert == "" || c.key == ""):
		return "-network tls needs -cert and -key"
	case secure && isSet["clients"] && c.clients == "":
		// A variable of a script that is empty must not let everybody in.
		return "-clients needs the name of a file"
	case !secure && (isSet["cert"] || isSet["key"] || isSet["clients"] || isSet["reload"]):
		return "-cert, -key, -clients and -reload are for -network tls"
	case c.reload <= 0:
		return "-reload must be positive"
	case c.idle < 0:
		return "-idle must not be negative"
	case c.maxConns < 0:
		return "-max-conns must not be negative"
	}
	return ""
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
		files, err := tlsutil.WatchFiles(tlsutil.Files{
			Cert: c.cert, Key: c.key, Roots: c.clients,
			Interval: c.reload,
			Logger:   server.Logger,
		})
		if err != nil {
			return err
		}
		defer files.Close()
		if server.TLSConfig, err = c.tlsConfig(files); err != nil {
			return err
		}
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

// tlsConfig requires certificates of the clients if -clients says so.
func (c *config) tlsConfig(files tlsutil.Source) (*tls.Config, error) {
	options := &tlsutil.Options{NextProtos: []string{}} // it speaks no HTTP
	if c.clients == "" {
		return tlsutil.ServerConfig(files, options)
	}
	return tlsutil.MutualServer(files, options)
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
