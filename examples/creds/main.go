// Creds greets the processes that have one of the groups, and echoes what they send. Others
// are told that they may not, and closed.
//
//	creds [flags] GROUP...
//
//	-socket PATH   path of the socket (creds.sock in the folder for temporary files)
//	-mode M        permissions of the socket file, in octal (0660)
//	-idle D        close connections that are idle for so long; 0 is never (5m)
//	-per-user N    how many connections one user may have; 0 is any number (100)
//	-v             log each connection, not only those that are denied
//
// A GROUP is a name or a number. The groups that count are those of the process that
// connects, as the kernel recorded them, and not those that the user database lists
// for its user: "sg GROUP" gives a shell one, and so does "sudo -g GROUP".
//
// With -mode 0660 the system lets only the owner and one group connect at all. The
// first GROUP becomes that group, for which this process must be a member of it or root;
// a member of another GROUP cannot connect then. With -mode 0666 everyone can, the file
// keeps the group that the system gives it, and the GROUPs alone decide.
//
// The first line on the standard output is "listening on PATH". Peers that are denied are
// logged on the standard error. What is at PATH already is replaced if it is the dead
// socket of an earlier run, and is a failure otherwise.
//
// SIGINT and SIGTERM remove the socket and let what has arrived be echoed, for ten seconds
// at most; the second signal does not wait. The exit status is 0 then, 1 after a
// failure, such as a group that does not exist or a system that has no peer
// credentials, and 2 for wrong usage.
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
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/unixauth"
)

// grace is how long connections may go on after a signal.
const grace = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
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
		// An error of several groups has a line for each.
		fmt.Fprintf(stderr, "creds: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

// serve serves until ctx ends.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	if _, err := unixauth.PeerCred(nil); errors.Is(err, errors.ErrUnsupported) {
		return errors.New("this system has no peer credentials")
	}
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	l, err := c.listen(log)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "listening on %s\n", c.socket); err != nil {
		return errors.Join(err, l.Close()) // nobody would know the socket
	}
	server := &echo.Server{IdleTimeout: c.idle, Logger: log}
	if c.idle == 0 {
		server.IdleTimeout = -1 // where 0 is the default
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(&hall{Listener: l, perUser: c.perUser, log: log}) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return stop(server, served)
	}
}

// listen makes the socket, to which the policy belongs.
func (c *config) listen(log *slog.Logger) (net.Listener, error) {
	policy, err := unixauth.NewPolicy(unixauth.Groups(c.groups...))
	if err != nil {
		return nil, err
	}
	options := unixauth.Options{Mode: c.mode}
	if onlyGroup(c.mode) {
		options.Group = c.groups[0]
	}
	l, err := unixauth.Listen(c.socket, options)
	if err != nil {
		return nil, err
	}
	return &unixauth.Listener{
		Listener: l,
		Policy:   policy,
		Message:  "Access denied\n",
		Logger:   log,
	}, nil
}

// onlyGroup reports whether the group of a file decides who else than its owner
// may connect, which takes the right to write.
func onlyGroup(mode fs.FileMode) bool { return mode&0o020 != 0 && mode&0o002 == 0 }

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
