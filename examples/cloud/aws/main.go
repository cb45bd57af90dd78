// Aws is a function of AWS Lambda, for the runtime provided.al2023, which starts a program
// that is called bootstrap.
//
//	AWS_LAMBDA_RUNTIME_API=HOST:PORT aws
//
// Lambda sets the variable. The program asks the API behind it for one invocation after
// another, and answers those that ask for a comic: {"previous":true} for the one before
// the latest, {"refresh":true} for a feed that is read anew. XKCD_FEED_URL names another
// feed. The standard error gets a line of JSON about each failure.
//
// Lambda sends SIGTERM to functions with an extension alone, and between invocations, so
// there is nothing to wait for: that and SIGINT end the program at once, with status 0.
// The status is 1 after a failure, such as a variable that is not set, and 2 for wrong
// usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/netparts/netparts/examples/cloud/xkcd"
)

const (
	apiVariable = "AWS_LAMBDA_RUNTIME_API"
	// margin is the part of an invocation's time that is left for its answer: at the
	// deadline Lambda ends the program, and a stale comic is better than that.
	margin = 300 * time.Millisecond
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, _, stderr io.Writer) int {
	flags := flag.NewFlagSet("aws", flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "aws: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if os.Getenv(apiVariable) == "" {
		fmt.Fprintf(stderr, "aws: %s is not set: Lambda sets it\n", apiVariable)
		return 1
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	service, err := xkcd.NewService(os.Getenv(xkcd.FeedVariable), logger)
	if err != nil {
		fmt.Fprintf(stderr, "aws: %v\n", err)
		return 1
	}
	// The library writes by package log, about failures alone, and ends the program itself.
	slog.SetDefault(logger)
	slog.SetLogLoggerLevel(slog.LevelError)
	context.AfterFunc(ctx, func() { os.Exit(0) })
	lambda.Start(inTime(service.Latest))
	return 1
}

// A function is what Lambda calls.
type function func(ctx context.Context, req xkcd.Request) (xkcd.Response, error)

var errTime = errors.New("the time of the invocation is up")

// inTime ends the context of an invocation a margin before Lambda ends the program.
func inTime(f function) function {
	return func(ctx context.Context, req xkcd.Request) (xkcd.Response, error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadlineCause(ctx, deadline.Add(-margin), errTime)
			defer cancel()
		}
		return f(ctx, req)
	}
}
