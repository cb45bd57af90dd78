// Package service is the program backend without its main, so that the tests of proxies can
// run it in their process.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// grace is how long requests may go on after ctx has ended.
const grace = 10 * time.Second

// Run is the program: it returns the exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	listen, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := serve(ctx, listen, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "backend: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func parse(args []string, stderr io.Writer) (listen string, err error) {
	flags := flag.NewFlagSet("backend", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&listen, "listen", "localhost:8080", "`address` to listen on")
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	} else if listen == "" {
		err = errors.New("-listen needs an address") // where empty is any, with any port
	}
	if err != nil {
		fmt.Fprintf(stderr, "backend: %v\n", err)
		flags.Usage()
	}
	return listen, err
}

// serve serves until ctx ends.
func serve(ctx context.Context, listen string, stdout, stderr io.Writer) error {
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close()) // nobody would know the port
	}
	return httpmw.Run(ctx, httpmw.NewServer(NewHandler(logger), logger), l, grace)
}
