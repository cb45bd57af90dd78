// Httpserver serves a folder of files, and two pages that are made of them.
//
//	httpserver [flags]
//
//	-listen A    address to listen on (127.0.0.1:8080)
//	-cert FILE   certificate of the server; with it and -key the server speaks HTTPS
//	-key FILE    its key
//	-files DIR   folder with the files (./files)
//
// In the root of the repository:
//
//	go run ./examples/httpserver -files examples/httpserver/files
//
// It serves "/" (index.html) and "/2" (index2.html) of the folder, everything below it
// as "/static/", except for names that begin with a dot, and what was counted as
// "/metrics". With "/" it pushes the style and the picture of the page to clients of HTTP/2
// that take pushes, and hints at both in a 103 response.
//
// Without -cert it speaks HTTP/1.1, and HTTP/2 with clients that know that it does; with it,
// what the client chooses of the two. Files of a certificate may be replaced while it runs.
//
// The first line on the standard output is "listening on http://ADDR", or https, so that
// port 0 can be used. The standard error gets a line of JSON about each request.
//
// SIGINT and SIGTERM let requests end, for ten seconds at most; the second signal does not
// wait. The exit status is 0 then, 1 after a failure, also if requests did not end in time,
// and 2 for wrong usage.
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
	"syscall"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/tlsutil"
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
	listen    string
	cert, key string
	files     string

	grace time.Duration // no flag
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := config{grace: grace}
	switch err := c.parse(args, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := c.serve(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "httpserver: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("httpserver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.listen, "listen", "127.0.0.1:8080", "`address` to listen on")
	flags.StringVar(&c.cert, "cert", "", "`file` with the certificate of the server; with it and -key the server speaks HTTPS")
	flags.StringVar(&c.key, "key", "", "`file` with its key")
	flags.StringVar(&c.files, "files", "./files", "`folder` with the files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wrong := c.misuse(flags)
	if wrong == "" {
		return nil
	}
	fmt.Fprintf(stderr, "httpserver: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// misuse says what is wrong with the flags, or nothing.
func (c *config) misuse(flags *flag.FlagSet) string {
	isSet := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { isSet[f.Name] = true })
	switch {
	case flags.NArg() > 0:
		return fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case isSet["cert"] != isSet["key"]:
		// With one alone a server would speak plain HTTP where TLS was meant.
		return "-cert and -key belong together"
	case isSet["cert"] && (c.cert == "" || c.key == ""):
		return "-cert and -key need the names of files"
	case c.files == "":
		return "-files needs the name of a folder"
	}
	return ""
}

// serve serves until ctx ends.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	root, err := os.OpenRoot(c.files)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %q: name the one with the files by -files", c.files)
	}
	if err != nil {
		return err
	}
	defer root.Close()

	var connections httpmw.ConnGauge
	server := httpmw.NewServer(newHandler(root.FS(), logger, &connections), logger)
	server.ConnState = connections.ConnState
	scheme := "http"
	if c.cert != "" {
		scheme = "https"
		files, err := tlsutil.WatchFiles(tlsutil.Files{Cert: c.cert, Key: c.key, Logger: logger})
		if err != nil {
			return err
		}
		defer files.Close()
		if server.TLSConfig, err = tlsutil.ServerConfig(files, nil); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "listening on %s://%s\n", scheme, l.Addr()); err != nil {
		return errors.Join(err, l.Close()) // nobody would know the port
	}
	return httpmw.Run(ctx, server, l, c.grace)
}
