// Tftpd serves files by TFTP.
//
//	tftpd [-listen ADDR] [-dir DIR | -payload FILE] [-write [-overwrite]] [flags]
//
//	-listen ADDR     address to listen on (127.0.0.1:69)
//	-dir DIR         folder to serve (.)
//	-payload FILE    serve this file under every name, instead of a folder
//	-write           take uploads into the folder
//	-overwrite       let uploads replace files
//	-single-port     use one port for everything, for NAT and containers
//	-timeout D       longest wait before sending again (6s)
//	-retries N       how often to send again; 0 is never (10)
//	-max-block N     largest block size in bytes, 8 to 65464 (65464)
//	-max-window N    largest window in blocks, 1 to 65535 (64)
//	-v               log each transfer
//
// The first line on the standard output is "listening on udp ADDR", so that port 0
// can be used. Port 69 needs root, or the capability to bind it. Failed transfers
// are logged on the standard error, with -v all of them.
//
// SIGINT and SIGTERM let the transfers end that run, for ten seconds at most; the
// second signal does not wait. The exit status is 0 then, 1 after a failure and 2
// for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/netparts/netparts/tftp"
)

// grace is how long transfers may go on after a signal.
const grace = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A config is what the flags say.
type config struct {
	listen, dir, payload string
	write, overwrite     bool
	verbose              bool
	server               tftp.Server
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
	if err := serve(ctx, &c, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "tftpd: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("tftpd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.listen, "listen", "127.0.0.1:69", "`address` to listen on")
	flags.StringVar(&c.dir, "dir", ".", "`folder` to serve")
	flags.StringVar(&c.payload, "payload", "", "serve this `file` under every name")
	flags.BoolVar(&c.write, "write", false, "take uploads into the folder")
	flags.BoolVar(&c.overwrite, "overwrite", false, "let uploads replace files")
	flags.BoolVar(&c.server.SinglePort, "single-port", false, "use one port for everything")
	flags.DurationVar(&c.server.Timeout, "timeout", 6*time.Second, "longest wait before sending again")
	flags.IntVar(&c.server.Retries, "retries", 10, "how often to send again; 0 is never")
	flags.IntVar(&c.server.MaxBlockSize, "max-block", 65464, "largest block size in `bytes`")
	flags.IntVar(&c.server.MaxWindow, "max-window", 64, "largest window in `blocks`")
	flags.BoolVar(&c.verbose, "v", false, "log each transfer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dirIsSet := false
	flags.Visit(func(f *flag.Flag) { dirIsSet = dirIsSet || f.Name == "dir" })
	wrong := ""
	switch s := &c.server; {
	case flags.NArg() > 0:
		wrong = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case c.payload != "" && (c.write || dirIsSet):
		wrong = "-payload excludes -dir and -write"
	case c.overwrite && !c.write:
		wrong = "-overwrite needs -write"
	case s.Timeout <= 0:
		wrong = "-timeout must be positive"
	case s.Retries < 0:
		wrong = "-retries must not be negative"
	case s.MaxBlockSize < 8 || s.MaxBlockSize > 65464:
		wrong = "-max-block must be from 8 to 65464"
	case s.MaxWindow < 1 || s.MaxWindow > 65535:
		wrong = "-max-window must be from 1 to 65535"
	default:
		return nil
	}
	fmt.Fprintf(stderr, "tftpd: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// serve serves until ctx ends.
func serve(ctx context.Context, c *config, stdout, stderr io.Writer) error {
	s := &c.server
	if s.Retries == 0 {
		s.Retries = -1 // where 0 is the default
	}
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelInfo
	}
	s.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	if c.payload != "" {
		payload, err := os.ReadFile(c.payload)
		if err != nil {
			return err
		}
		s.Open = tftp.Payload(payload)
	} else {
		root, err := os.OpenRoot(c.dir)
		if err != nil {
			return err
		}
		defer root.Close()
		folder := tftp.Dir(root)
		folder.Overwrite = c.overwrite
		s.Open = folder.Open
		if c.write {
			s.Create = folder.Create
		}
	}

	conn, err := net.ListenPacket("udp", c.listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "listening on udp %s\n", conn.LocalAddr()); err != nil {
		return errors.Join(err, conn.Close())
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(conn) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := s.Shutdown(wait); err != nil {
		return errors.Join(fmt.Errorf("transfers did not end within %v", grace), s.Close())
	}
	if err := <-served; !errors.Is(err, tftp.ErrServerClosed) {
		return err
	}
	return nil
}
