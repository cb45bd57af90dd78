// Proxyhttp is a front: on one port it serves a folder of files, and passes on to a backend
// what is the backend's.
//
//	proxyhttp [flags]
//
//	-listen A    address to listen on (localhost:2020)
//	-backend A   address of the backend, which speaks HTTP (localhost:8080)
//	-files DIR   folder with the files (./files)
//
// In the root of the repository, each in a terminal of its own:
//
//	go run ./examples/backend
//	go run ./examples/proxyhttp -files examples/proxyhttp/files
//
// "/backend", and everything below it, goes to the backend, with the path unchanged. The
// backend is told by X-Forwarded-For who asks, by X-Forwarded-Host for which host, and by
// X-Forwarded-Proto how; what clients claim there themselves is removed. WebSockets
// pass, and no other upgrade. All else is a file below the folder, and index.html for the folders;
// folders without one are missing, and so are names that begin with a dot. Below
// "/backend" such names are the backend's, which may have other ideas about them. A path with
// ".." is refused.
//
// The first line on the standard output is "listening on http://ADDR", so that port 0 can be
// used. The standard error gets a line of JSON about each request. A client gets 502 if the
// backend cannot be reached or understood and 504 if it does not answer in time, and why is in the log.
//
// SIGINT and SIGTERM let requests end, for ten seconds at most, except for upgraded
// connections, which end with the program; the second signal does not wait. The exit status
// is 0 then, 1 after a failure, also if requests did not end in time, and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// grace is how long requests may go on after a signal.
const grace = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A config is what the flags say.
type config struct {
	listen, backend, files string
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
		fmt.Fprintf(stderr, "proxyhttp: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("proxyhttp", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.listen, "listen", "localhost:2020", "`address` to listen on")
	flags.StringVar(&c.backend, "backend", "localhost:8080", "`address` of the backend, which speaks HTTP")
	flags.StringVar(&c.files, "files", "./files", "`folder` with the files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wrong := c.misuse(flags)
	if wrong == "" {
		return nil
	}
	fmt.Fprintf(stderr, "proxyhttp: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// misuse says what is wrong with the flags, or nothing.
func (c *config) misuse(flags *flag.FlagSet) string {
	// Found out now, rather than by each request. A URL has numbers for ports, and so the
	// names of services are none.
	host, port, err := net.SplitHostPort(c.backend)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	switch {
	case flags.NArg() > 0:
		return fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case c.listen == "":
		return "-listen needs an address"
	case err != nil || notNumber != nil || number == 0 || host == "" || strings.ContainsAny(host, "/@?# "):
		return fmt.Sprintf("-backend needs an address such as localhost:8080, not %q", c.backend)
	case c.files == "":
		return "-files needs the name of a folder"
	}
	return ""
}

// serve serves until ctx ends.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	root, err := os.OpenRoot(c.files) // which no link leads out of
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %q: name the one with the files by -files", c.files)
	}
	if err != nil {
		return err
	}
	defer root.Close()

	transport := newTransport()
	defer transport.CloseIdleConnections()
	server := httpmw.NewServer(front(logger, []route{
		{"/backend", passTo(c.backend, transport, logger)},
		{"", static(root.FS())}, // matches everything, so it comes last
	}), logger)
	l, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close()) // nobody would know the port
	}
	return httpmw.Run(ctx, server, l, grace)
}
