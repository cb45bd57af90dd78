// Cmd runs the function of Google Cloud on this machine, by the same framework.
//
//	FUNCTION_TARGET=LatestXKCD PORT=8080 cmd
//
// It serves the function as "/" at 127.0.0.1; without FUNCTION_TARGET it serves each
// function by its name, "/LatestXKCD". PORT is 8080 if it is not set. XKCD_FEED_URL names
// another feed.
//
// The framework listens by itself and says nothing about it, so there is no port 0 here,
// and no graceful stop: SIGINT and SIGTERM end the program at once, with status 0. The
// status is 1 after a failure, such as a function that does not exist or a port that is
// taken, and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	// The function registers itself.
	_ "github.com/netparts/netparts/examples/cloud"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, _, stderr io.Writer) int {
	flags := flag.NewFlagSet("cmd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "cmd: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	port := "8080"
	if s := os.Getenv("PORT"); s != "" {
		port = s
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		fmt.Fprintf(stderr, "cmd: PORT is %q, and no port\n", port)
		return 1
	}
	failed := make(chan error, 1)
	go func() { failed <- funcframework.StartHostPort("127.0.0.1", port) }()
	select {
	case err := <-failed:
		fmt.Fprintf(stderr, "cmd: %v\n", err)
		return 1
	case <-ctx.Done():
		return 0 // the goroutine ends with the program
	}
}
