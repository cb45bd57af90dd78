package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A config is what the flags and the arguments say.
type config struct {
	socket  string
	mode    fs.FileMode
	idle    time.Duration
	perUser int
	verbose bool
	groups  []string
}

// parse reads the flags. What is wrong with them it has told on stderr.
func (c *config) parse(args []string, stderr io.Writer) error {
	c.mode = 0o660
	flags := flag.NewFlagSet("creds", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Usage of creds: creds [flags] GROUP...")
		flags.PrintDefaults()
	}
	flags.StringVar(&c.socket, "socket", filepath.Join(os.TempDir(), "creds.sock"), "`path` of the socket")
	flags.Func("mode", "`permissions` of the socket file, in octal (default 0660)", c.setMode)
	flags.DurationVar(&c.idle, "idle", 5*time.Minute, "close connections that are idle for so long; 0 is never")
	flags.IntVar(&c.perUser, "per-user", 100, "how many connections one user may have; 0 is any `number`")
	flags.BoolVar(&c.verbose, "v", false, "log each connection, not only those that are denied")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c.groups = flags.Args()
	wrong := ""
	switch {
	case len(c.groups) == 0:
		wrong = "name the groups that are welcome"
	case c.socket == "":
		wrong = "-socket needs a path"
	case c.idle < 0:
		wrong = "-idle must not be negative"
	case c.perUser < 0:
		wrong = "-per-user must not be negative"
	default:
		return nil
	}
	fmt.Fprintf(stderr, "creds: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// setMode parses -mode.
func (c *config) setMode(s string) error {
	mode, err := strconv.ParseUint(s, 8, 32)
	switch {
	case err != nil || mode > 0o777:
		return errors.New("permissions are octal, 0777 at most")
	case mode&0o222 == 0:
		return errors.New("to connect takes the right to write, which nobody would have")
	}
	c.mode = fs.FileMode(mode)
	return nil
}
