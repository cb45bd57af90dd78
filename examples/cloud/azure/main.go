// Azure is a custom handler of Azure Functions: the host of the functions starts it, and
// passes requests on to it.
//
//	FUNCTIONS_CUSTOMHANDLER_PORT=8080 azure
//
// It serves POST requests to "/api/LatestXKCDFunction" at 127.0.0.1, where the host looks
// for it. XKCD_FEED_URL names another feed.
//
// The first line on the standard output is "listening on http://ADDR", so that port 0 can
// be used. The standard error gets a line of JSON about each request of the function, and none
// about other paths.
//
// SIGINT and SIGTERM let requests end, for ten seconds at most; the second signal does not
// wait. The exit status is 0 then, 1 after a failure, such as a variable that is not set,
// and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/examples/cloud/xkcd"
	"github.com/netparts/netparts/httpmw"
)

const (
	// portVariable is what the host says the port by.
	portVariable = "FUNCTIONS_CUSTOMHANDLER_PORT"
	// functionPath is where the host sends requests of the function: it is made of the name of
	// the folder that function.json is in.
	functionPath = "/api/LatestXKCDFunction"
	// grace is how long requests may go on after a signal.
	grace = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("azure", flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "azure: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if err := serve(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "azure: %v\n", err)
		return 1
	}
	return 0
}

// serve serves until ctx ends.
func serve(ctx context.Context, stdout, stderr io.Writer) error {
	port, err := customHandlerPort()
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	service, err := xkcd.NewService(os.Getenv(xkcd.FeedVariable), logger)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close()) // nobody would know the port
	}
	return httpmw.Run(ctx, httpmw.NewServer(routes(service.Handler()), logger), l, grace)
}

// customHandlerPort returns the port that the host wants. Without one the program is not
// where it belongs, and a port of its own would leave the host waiting.
func customHandlerPort() (string, error) {
	port := os.Getenv(portVariable)
	if port == "" {
		return "", errors.New(portVariable + " is not set: the host of Azure Functions sets it")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%s is %q, and no port", portVariable, port)
	}
	return port, nil
}

// routes leaves everything but the function unanswered, the host's look whether the
// program is up included: that wants an answer, and does not care which. The path is
// compared as the host compares it, and passed on as the client wrote it.
func routes(function http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.URL.Path, functionPath) {
			http.NotFound(w, r)
			return
		}
		function.ServeHTTP(w, r)
	})
}
