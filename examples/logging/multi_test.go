package logging_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/netparts/netparts/proxy"
)

// One logger writes to a terminal and to a file. Neither has to work for the other to get
// every line, which is why this is not io.MultiWriter: below is what that one does.
func Example_terminalAndFile() {
	file, err := os.CreateTemp("", "example-*.log")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	defer file.Close() // before it is removed, for systems that want that

	sinks := stableLines{proxy.MultiWriter(os.Stdout, file)}
	logger := log.New(sinks, "example: ", log.Lshortfile|log.Lmsgprefix)
	fmt.Println("standard output:")
	logger.Print("the link is up")

	contents, err := os.ReadFile(file.Name())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("log file:\n%s", contents)
	// Output:
	// standard output:
	// multi_test.go:LINE: example: the link is up
	// log file:
	// multi_test.go:LINE: example: the link is up
}

// A full disk is an error of each write, which Print does not return. Whoever has to know of
// it calls Output, and gets the errors of all sinks, each with the index of its sink.
func Example_fullDisk() {
	reader, disk := io.Pipe()
	reader.CloseWithError(errors.New("disk full"))

	logger := log.New(proxy.MultiWriter(disk, os.Stdout), "", 0)
	logger.Print("the terminal has this")
	if err := logger.Output(1, "and this"); err != nil {
		fmt.Println("error:", err)
	}
	// Output:
	// the terminal has this
	// and this
	// error: proxy: sink 0: disk full
}

// brokenWriter is a sink that takes nothing.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// io.MultiWriter stops at the first sink that fails, and those behind it starve: a full disk
// takes the line from the terminal too, and nobody is told.
func TestFailingSinkStarvesOthers(t *testing.T) {
	full, gone := errors.New("disk full"), errors.New("collector gone")
	for _, tt := range []struct {
		name  string
		multi func(...io.Writer) io.Writer
		last  string // what the last sink gets
		both  bool   // whether both errors are told
	}{
		{"io", io.MultiWriter, "", false},
		{"proxy", proxy.MultiWriter, "a line\n", true},
	} {
		var first, last bytes.Buffer
		sinks := tt.multi(&first, brokenWriter{full}, brokenWriter{gone}, &last)
		err := log.New(sinks, "", 0).Output(1, "a line")
		if first.String() != "a line\n" || last.String() != tt.last {
			t.Errorf("%s: the sinks got %q and %q, want the last %q", tt.name, &first, &last, tt.last)
		}
		if !errors.Is(err, full) || errors.Is(err, gone) != tt.both {
			t.Errorf("%s: the error is %v", tt.name, err)
		}
	}
}

// A writer may not report more bytes than it was given. One that adds up those of its sinks
// does, and io.Copy takes that for a fault: two sinks that work would end it.
func TestMultiWriterCountsOnce(t *testing.T) {
	var one, two bytes.Buffer
	inner := proxy.MultiWriter(&one, &two)
	sinks := proxy.MultiWriter(inner, io.Discard) // and in each other
	for name, w := range map[string]io.Writer{
		"ReadFrom": sinks,
		"Write":    struct{ io.Writer }{sinks}, // which hides the ReadFrom
	} {
		one.Reset()
		two.Reset()
		n, err := io.Copy(w, strings.NewReader("some text"))
		if n != 9 || err != nil || one.String() != "some text" || two.String() != "some text" {
			t.Errorf("%s: Copy = %d, %v, and the sinks got %q and %q", name, n, err, &one, &two)
		}
	}
}

// exclusive is a sink that must not be written to by two at once, as most are.
type exclusive struct {
	bytes.Buffer

	busy    atomic.Bool
	overlap atomic.Bool
}

func (w *exclusive) Write(p []byte) (int, error) {
	if w.busy.Swap(true) {
		w.overlap.Store(true)
		return 0, errors.New("two write at once")
	}
	defer w.busy.Store(false)
	runtime.Gosched() // gives others the time to do so
	return w.Buffer.Write(p)
}

// Several goroutines log at once. Each line arrives whole and in the same order at all sinks,
// also when two loggers share them: the writer has a lock, while that of a logger is its own.
func TestLinesOfTwoLoggers(t *testing.T) {
	var one, two exclusive
	sinks := proxy.MultiWriter(&one, &two)
	var group sync.WaitGroup
	for _, prefix := range []string{"a: ", "b: "} {
		logger := log.New(sinks, prefix, 0)
		for range 4 {
			group.Go(func() {
				for range 100 {
					logger.Print("a line")
				}
			})
		}
	}
	group.Wait()
	if one.overlap.Load() || two.overlap.Load() {
		t.Error("two wrote to a sink at once")
	}
	if one.String() != two.String() {
		t.Error("the sinks have different lines")
	}
	for _, line := range []string{"a: a line\n", "b: a line\n"} {
		if n := strings.Count(one.String(), line); n != 400 {
			t.Errorf("%d lines are %q, want 400", n, line)
		}
	}
	if got, want := one.Len(), 800*len("a: a line\n"); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
