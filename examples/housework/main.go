// Housework keeps a list of chores in a file.
//
//	housework [flags]                     shows the list
//	housework [flags] add CHORE, ...      adds chores, then shows the list
//	housework [flags] complete NUMBER ... marks chores as done, then shows the list
//
//	-file FILE  the file (housework.db)
//	-format F   json, gob or protobuf, for a file that is not there yet (json);
//	            what is there tells its format, and another is a failure
//
// Commas separate the chores; blanks around them are dropped, and a chore that has
// nothing else. If that leaves none, nothing is added. A chore that begins with a double
// quote goes on to the closing one, commas included, and in it two quotes stand for
// one. A shell takes the quotes that it sees, so give it others around them:
//
//	housework add Mop floors, Clean dishes
//	housework add 'Mop floors, "Dust, all rooms"'
//	housework complete 2 3
//
// Each number must be that of a chore, or none is marked. Characters of a description that
// a terminal would obey are shown as escapes, such as \x1b.
//
// Several processes may use one file at the same time. SIGINT and SIGTERM interrupt the
// program: a change is then made as a whole or not at all. The exit status is 0, or 1
// after a failure, or 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/netparts/netparts/examples/internal/chores"
	"github.com/netparts/netparts/housework"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("housework", flag.ContinueOnError)
	file := flags.String("file", "housework.db", "the `file` of the list")
	var format wanted
	flags.Var(&format, "format", "json, gob or protobuf: the `format` of a file that is not there yet (default json)")
	command, err := chores.ParseFlags(flags, args, stderr, func() error {
		if *file == "" {
			return errors.New("-file must not be empty")
		}
		return nil
	})
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := do(ctx, command, *file, format, stdout); err != nil {
		chores.Complain(stderr, "housework", err)
		return 1
	}
	return 0
}

// do carries out the command with the list in the file.
func do(ctx context.Context, command *chores.Command, file string, format wanted, stdout io.Writer) error {
	store, err := format.open(file)
	if err != nil {
		return err
	}
	return errors.Join(command.Do(ctx, store, "You're all caught up!", stdout), store.Close())
}

// wanted is the format that -format says, if it does.
type wanted struct {
	housework.Format
	isSet bool
}

// String implements flag.Value.
func (w *wanted) String() string {
	if !w.isSet {
		return ""
	}
	return w.Format.String()
}

// Set implements flag.Value.
func (w *wanted) Set(name string) (err error) {
	w.isSet = true
	if w.Format, err = housework.ParseFormat(name); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "housework: ")) // which is written before it
	}
	return nil
}

// open opens the list in the file.
func (w *wanted) open(file string) (*housework.FileStore, error) {
	if !w.isSet {
		return housework.OpenFile(file, nil)
	}
	store, err := housework.OpenFile(file, &housework.FileOptions{Codec: w.Format})
	if _, ok := errors.AsType[*housework.FormatError](err); ok {
		if other, ok := detect(file); ok && other != w.Format {
			return nil, fmt.Errorf("%s is a list in %v, and -format says %v", file, other, w.Format)
		}
	}
	return store, err
}

// detect tells the format of a file that could be read before.
func detect(file string) (housework.Format, bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	b := make([]byte, 16) // which is what Detect asks for
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, false
	}
	return housework.Detect(b[:n])
}
