// Tour takes one file through every part of the library, over real sockets on
// loopback, and shows that it arrived.
//
//	go run ./examples/tour [file]
//
// It prints one line for each part: its name, what it did, how many bytes
// arrived, the SHA-256 of what arrived and whether it is the file's, and how long
// that took. The file is README.md unless another is named. The exit status is 0
// if everything arrived, 1 if not, and 2 for wrong usage.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A file is what goes on the tour.
type file struct {
	path string
	name string // the last element of path
	size int64
	sum  [sha256.Size]byte
}

// An arrival is what a station received.
type arrival struct {
	how  string // what the part did, in a few words
	size int64
	sum  [sha256.Size]byte
}

// stations are the parts of the library in the order of the tour. Each sends
// the file through its part and returns what came out at the other end.
var stations = []struct {
	part string
	pass func(ctx context.Context, f file) (arrival, error)
}{
	{"tlv", passTLV},
	{"tftp", passTFTP},
	{"echo", passEcho},
	{"heartbeat", passHeartbeat},
	{"proxy", passProxy},
	{"httpmw", passHTTPMW},
	{"tlsutil", passTLSUtil},
	{"unixauth", passUnixauth},
	{"housework", passHousework},
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("tour", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: tour [file]\n\nTakes one file, README.md by default, through every part of the library.")
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 1:
		fmt.Fprintln(stderr, "tour: one file at most")
		flags.Usage()
		return 2
	}
	path := "README.md"
	if flags.NArg() == 1 {
		path = flags.Arg(0)
	}
	err := tour(ctx, path, stdout)
	if errors.Is(err, fs.ErrNotExist) && flags.NArg() == 0 {
		err = errors.New("no README.md in this folder: name a file, or run in the root of the repository")
	}
	if err != nil {
		fmt.Fprintln(stderr, "tour:", printable(err.Error()))
		return 1
	}
	return 0
}

// printable escapes what would disturb a terminal or end the line: a file may be
// called anything.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if quoted[1:len(quoted)-1] == strings.ReplaceAll(s, `"`, `\"`) {
		return s
	}
	return quoted
}

func tour(ctx context.Context, path string, stdout io.Writer) error {
	f, err := inspect(ctx, path)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%q: %d bytes, SHA-256 %x\n\n", f.name, f.size, f.sum); err != nil {
		return err
	}
	for _, s := range stations {
		begin := time.Now()
		got, err := s.pass(ctx, f)
		took := time.Since(begin).Round(10 * time.Microsecond)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted at %s", s.part)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.part, err)
		}
		verdict := "equal"
		if got.sum != f.sum {
			verdict = "DIFFERS"
		}
		_, err = fmt.Fprintf(stdout, "%-9s %s, %d bytes, SHA-256 %x %s, %v\n", s.part, got.how, got.size, got.sum, verdict, took)
		if err != nil {
			return err
		}
		if got.sum != f.sum {
			return fmt.Errorf("%s: what arrived differs from the file", s.part)
		}
	}
	return nil
}

// inspect reads the file once, for its checksum. A name that is not a regular
// file is refused before it is opened, since opening a FIFO would block.
func inspect(ctx context.Context, path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return file{}, fmt.Errorf("%s is a directory, not a file", path)
	case !mode.IsRegular():
		return file{}, fmt.Errorf("%s is not a regular file", path)
	}
	r, err := os.Open(path)
	if err != nil {
		return file{}, err
	}
	defer r.Close()
	// A read of a closed file fails: so an interrupt is heard in a long one.
	defer context.AfterFunc(ctx, func() { r.Close() })()
	f := file{path: path, name: filepath.Base(path)}
	f.size, f.sum, err = digest(r)
	if ctx.Err() != nil {
		err = errors.New("interrupted while reading the file")
	}
	return f, err
}

// digest reads r to its end.
func digest(r io.Reader) (size int64, sum [sha256.Size]byte, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	h.Sum(sum[:0])
	return size, sum, err
}
