package logging_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/netparts/netparts/proxy"
)

// Package log has no levels, but a logger for each is enough for two of them. What has to
// alarm somebody goes to a file too. Both loggers write to the terminal, each with a lock of
// its own, so that what they share needs one: a proxy.MultiWriter has it, also one of a
// single sink.
func Example_levels() {
	var file strings.Builder
	terminal := proxy.MultiWriter(stableLines{os.Stdout})
	debug := log.New(terminal, "DEBUG: ", log.Lshortfile)
	alarm := log.New(proxy.MultiWriter(&file, terminal), "ERROR: ", 0)

	fmt.Println("standard output:")
	alarm.Print("cannot reach the upstream")
	debug.Print("dialing took three tries")

	fmt.Print("log file:\n", file.String())
	// Output:
	// standard output:
	// ERROR: cannot reach the upstream
	// DEBUG: levels_test.go:LINE: dialing took three tries
	// log file:
	// ERROR: cannot reach the upstream
}

// A debug logger is switched on and off by its writer, and no call of it needs an if. A
// Logger knows io.Discard, and does not even format what would go there.
func Example_debugSwitch() {
	debug := log.New(io.Discard, "DEBUG: ", 0)
	debug.Print("nobody sees this")

	debug.SetOutput(os.Stdout) // safe while others log
	debug.Print("everybody sees this")
	// Output:
	// DEBUG: everybody sees this
}

// A report counts how often it was made into text.
type report struct{ made int }

func (r *report) String() string {
	r.made++
	return strings.Repeat("much text ", 100)
}

// LogValue is what slog asks instead of String.
func (r *report) LogValue() slog.Value { return slog.StringValue(r.String()) }

// A logger that is off costs some nanoseconds a call, no allocation, and calls no String.
// That is so for io.Discard alone: around it, or below a writer of several sinks, a Logger
// does not see it, and formats for nobody.
func TestDebugLoggerThatIsOff(t *testing.T) {
	for _, tt := range []struct {
		name string
		w    io.Writer
		made bool
	}{
		{"io.Discard", io.Discard, false},
		{"around io.Discard", struct{ io.Writer }{io.Discard}, true},
		{"sinks", proxy.MultiWriter(io.Discard), true},
	} {
		var r report
		debug := log.New(tt.w, "DEBUG: ", log.LstdFlags|log.Lshortfile)
		allocs := testing.AllocsPerRun(100, func() { debug.Printf("state: %v", &r) })
		if (r.made > 0) != tt.made || (allocs > 0) != tt.made {
			t.Errorf("%s: %v allocations a call, %d texts made; want some: %v", tt.name, allocs, r.made, tt.made)
		}
	}
}

// With slog a level that is off is off for every handler, and a LogValuer puts off what is
// expensive until it is known that somebody wants it. Three ways to be silent cost no
// allocation; DiscardHandler says no to every level, also to errors.
func TestSlogThatIsOff(t *testing.T) {
	for name, h := range map[string]slog.Handler{
		"level":          slog.NewJSONHandler(io.Discard, nil), // info and above
		"DiscardHandler": slog.DiscardHandler,
		"both":           slog.NewMultiHandler(slog.DiscardHandler, slog.NewTextHandler(io.Discard, nil)),
	} {
		var r report
		logger := slog.New(h)
		allocs := testing.AllocsPerRun(100, func() {
			logger.LogAttrs(context.Background(), slog.LevelDebug, "state", slog.Any("report", &r))
		})
		if r.made != 0 || allocs != 0 {
			t.Errorf("%s: %v allocations a call, %d texts made, want none", name, allocs, r.made)
		}
		logger.Error("state", "report", &r)
		if want := name != "DiscardHandler"; (r.made == 1) != want {
			t.Errorf("%s: %d texts made of an error", name, r.made)
		}
	}
}

// The arguments of a call are evaluated before the logger is asked. Where making one is the
// expensive part, and there is no type to put it off in, Enabled is asked first.
func Example_enabled() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTime}))
	dump := func() string {
		fmt.Println("making a dump")
		return "00 01 02"
	}
	ctx := context.Background()

	logger.Debug("a packet", "bytes", dump()) // in vain
	if logger.Enabled(ctx, slog.LevelDebug) {
		logger.DebugContext(ctx, "a packet", "bytes", dump())
	}
	// Output:
	// making a dump
}

// What was written for package log goes on working: its lines become records of slog. A
// server of net/http logs what it cannot tell anybody else by such a Logger, its ErrorLog.
func TestLogIntoSlog(t *testing.T) {
	var b bytes.Buffer
	h := slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime})
	old := slog.NewLogLogger(h, slog.LevelWarn)
	old.Print("a line\nand \x1b[31mwhat a client sent") // is quoted, and stays one record
	const want = `{"level":"WARN","msg":"a line\nand \u001b[31mwhat a client sent"}` + "\n"
	if b.String() != want {
		t.Errorf("the record is %s, want %s", &b, want)
	}
}
