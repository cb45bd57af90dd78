// Tftp reads a file from a TFTP server, or writes one to it.
//
//	tftp [flags] get HOST:PORT REMOTE [LOCAL]
//	tftp [flags] put HOST:PORT LOCAL [REMOTE]
//
//	-blksize N      block size in bytes to ask for, 8 to 65464 (1428)
//	-windowsize N   window in blocks to ask for, 1 to 65535 (16)
//	-timeout D      longest wait before sending again (6s)
//	-netascii       transfer text, with this host's ends of lines on this side
//
// The port may be left out, which means 69. The name that is left out is the last
// element of the other. A LOCAL of - is the standard input or output. What is read
// gets its LOCAL name only when it is complete: a transfer that fails leaves
// nothing behind, and a file of that name as it was.
//
// A progress bar is drawn on the standard error if that is a terminal. The totals
// are printed there at the end. The exit status is 0, or 1 after a failure, which
// is told in one line, or 2 for wrong usage. SIGINT and SIGTERM end the transfer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/tftp"
)

// lastAck is how long the program stays for a server that may not have got the last
// acknowledgment.
const lastAck = 200 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A job is what the arguments say.
type job struct {
	client        tftp.Client
	put           bool
	local, remote string
	stdin         io.Reader
	stdout        io.Writer
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	j := job{stdin: stdin, stdout: stdout}
	switch err := j.parse(args, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	var b bar
	if isTerminal(stderr) {
		b.w = stderr
		j.client.Progress = b.draw
	}
	do, verb, name := j.get, "get", j.remote
	if j.put {
		do, verb, name = j.putFile, "put", j.local
	}
	stats, err := do(ctx)
	b.clear()
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(stderr, "tftp: %s %s: %s\n", verb, printable(name), printable(strings.TrimPrefix(err.Error(), "tftp: ")))
		return 1
	}
	fmt.Fprintln(stderr, totals(stats))
	wait, cancel := context.WithTimeout(ctx, lastAck)
	defer cancel()
	_ = j.client.Wait(wait) // which ends by its time, or an impatient user
	return 0
}

// parse reads the arguments. What is wrong with them it has told on stderr.
func (j *job) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("tftp", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&j.client.BlockSize, "blksize", 1428, "block size in `bytes` to ask for")
	flags.IntVar(&j.client.WindowSize, "windowsize", 16, "window in `blocks` to ask for")
	flags.DurationVar(&j.client.Timeout, "timeout", 0, "longest wait before sending again (default 6s)")
	flags.BoolVar(&j.client.Netascii, "netascii", false, "transfer text")
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: tftp [flags] get HOST:PORT REMOTE [LOCAL]\n       tftp [flags] put HOST:PORT LOCAL [REMOTE]\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	wrong := j.names(flags.Args())
	switch c := &j.client; {
	case wrong != "":
	case c.BlockSize < 8 || c.BlockSize > 65464:
		wrong = "-blksize must be from 8 to 65464"
	case c.WindowSize < 1 || c.WindowSize > 65535:
		wrong = "-windowsize must be from 1 to 65535"
	case c.Timeout < 0:
		wrong = "-timeout must be positive"
	default:
		return nil
	}
	fmt.Fprintf(stderr, "tftp: %s\n", wrong)
	flags.Usage()
	return errors.New(wrong)
}

// names takes the arguments behind the flags, and returns what is wrong with
// them.
func (j *job) names(args []string) (wrong string) {
	switch {
	case len(args) < 3:
		return "get or put, an address and a file name are needed"
	case len(args) > 4:
		return fmt.Sprintf("unexpected argument %q", args[4])
	case args[0] != "get" && args[0] != "put":
		return fmt.Sprintf("%q is neither get nor put", args[0])
	case args[1] == "" || args[2] == "" || len(args) == 4 && args[3] == "":
		return "an argument is empty"
	}
	j.put, j.client.Addr = args[0] == "put", args[1]
	if j.put {
		if j.local, j.remote = args[2], filepath.Base(args[2]); len(args) == 4 {
			j.remote = args[3]
		} else if j.local == "-" {
			return "REMOTE is needed for the standard input"
		}
		return ""
	}
	if j.remote, j.local = args[2], path.Base(args[2]); len(args) == 4 {
		j.local = args[3]
	}
	return ""
}

// get reads the remote file.
func (j *job) get(ctx context.Context) (*tftp.Stats, error) {
	if j.local == "-" {
		return j.client.Get(ctx, j.remote, j.stdout)
	}
	info, err := os.Stat(j.local)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", j.local)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	// Its name is new, so that what a name leads to stays as it is until the end.
	part, err := os.OpenFile(partName(j.local), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	stats, err := j.client.Get(ctx, j.remote, part)
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), j.local)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(part.Name()))
	}
	return stats, nil
}

// partName is the name of a file that is not complete, beside where it will be.
func partName(local string) string {
	return filepath.Join(filepath.Dir(local), fmt.Sprintf(".%s.%d.part", filepath.Base(local), os.Getpid()))
}

// putFile writes the local file.
func (j *job) putFile(ctx context.Context) (*tftp.Stats, error) {
	if j.local == "-" {
		return j.client.Put(ctx, j.remote, j.stdin)
	}
	file, err := os.Open(j.local)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	switch info, err := file.Stat(); {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder", j.local)
	}
	return j.client.Put(ctx, j.remote, file)
}

// totals describes a transfer in one line.
func totals(s *tftp.Stats) string {
	line := fmt.Sprintf("%d bytes in %s (%s), %d blocks of %d, window %d",
		s.Bytes, s.Duration.Round(time.Millisecond), rate(s), s.Blocks, s.BlockSize, s.WindowSize)
	if s.Resent > 0 {
		line += fmt.Sprintf(", %d resent", s.Resent)
	}
	return line
}

func rate(s *tftp.Stats) string {
	return fmt.Sprintf("%.1f MB/s", float64(s.Bytes)/1e6/max(s.Duration, time.Microsecond).Seconds())
}

// printable escapes what would disturb a terminal or end the line.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if quoted[1:len(quoted)-1] == strings.ReplaceAll(s, `"`, `\"`) {
		return s
	}
	return quoted
}
