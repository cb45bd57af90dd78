package logging_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// The file is read by machines and has JSON from Info on. The console is read by who looks
// for a fault and has text of everything. The logger of the service is not changed by that:
// another one is made, of its handler and the console's.
func Example_jsonAndConsole() {
	var file strings.Builder
	logger := slog.New(slog.NewJSONHandler(&file, &slog.HandlerOptions{ReplaceAttr: noTime}))
	logger.Debug("this is below the file's threshold")
	logger.Error("accepting fails")

	console := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime})
	both := slog.New(slog.NewMultiHandler(logger.Handler(), console))
	fmt.Println("standard output:")
	both.Debug("this is only on the console")
	both.Info("this is on the console and in the file")
	logger.Info("this is in the file, as before")

	fmt.Print("log file:\n", file.String())
	// Output:
	// standard output:
	// level=DEBUG msg="this is only on the console"
	// level=INFO msg="this is on the console and in the file"
	// log file:
	// {"level":"ERROR","msg":"accepting fails"}
	// {"level":"INFO","msg":"this is on the console and in the file"}
	// {"level":"INFO","msg":"this is in the file, as before"}
}

// Attributes and groups that a logger has got belong to its handlers, and go along. What is
// added later goes to both.
func TestTeeKeepsAttributes(t *testing.T) {
	var file, console bytes.Buffer
	options := &slog.HandlerOptions{ReplaceAttr: noTime}
	logger := slog.New(slog.NewJSONHandler(&file, options)).With("service", "chores")
	both := slog.New(slog.NewMultiHandler(logger.Handler(), slog.NewTextHandler(&console, options)))
	both.With("request", 7).WithGroup("store").Info("saved", "size", 10)

	const inFile = `{"level":"INFO","msg":"saved","service":"chores","request":7,"store":{"size":10}}` + "\n"
	const onConsole = "level=INFO msg=saved request=7 store.size=10\n"
	if file.String() != inFile || console.String() != onConsole {
		t.Errorf("the file has %q, and the console %q", &file, &console)
	}
}

// A handler that fails keeps nothing from the one behind it, whichever comes first. The errors
// come back from Handle, joined; a Logger, as that of package log, does not return them.
func TestFailingHandlerStarvesNoOther(t *testing.T) {
	full, gone := errors.New("disk full"), errors.New("collector gone")
	var first, last bytes.Buffer
	h := slog.NewMultiHandler(
		slog.NewTextHandler(&first, &slog.HandlerOptions{ReplaceAttr: noTime}),
		slog.NewJSONHandler(brokenWriter{full}, nil),
		slog.NewJSONHandler(brokenWriter{gone}, nil),
		slog.NewTextHandler(&last, &slog.HandlerOptions{ReplaceAttr: noTime}))

	slog.New(h).Info("a line")
	for i, b := range []*bytes.Buffer{&first, &last} {
		if want := "level=INFO msg=\"a line\"\n"; b.String() != want {
			t.Errorf("working handler %d has %q, want %q", i, b, want)
		}
	}
	err := h.Handle(t.Context(), slog.NewRecord(time.Time{}, slog.LevelInfo, "a line", 0))
	if !errors.Is(err, full) || !errors.Is(err, gone) || err.Error() != "disk full\ncollector gone" {
		t.Errorf("Handle: %v, want both errors", err)
	}
	// Below a handler's level nothing is written, so that nothing fails either.
	if err := h.Handle(t.Context(), slog.NewRecord(time.Time{}, slog.LevelDebug, "a line", 0)); err != nil {
		t.Errorf("Handle of a debug record: %v", err)
	}
}

// A fallback tells a second handler of what the first one could not write. It is for the
// service that must notice that its log is gone, since a Logger has nobody to tell.
type fallback struct {
	slog.Handler // which has Enabled

	other slog.Handler
}

func (h fallback) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r.Clone())
	if err == nil {
		return nil
	}
	r = r.Clone() // another handler may hold what it shares with it
	r.AddAttrs(slog.Any("log_error", err))
	return h.other.Handle(ctx, r)
}

func (h fallback) WithAttrs(attrs []slog.Attr) slog.Handler {
	return fallback{h.Handler.WithAttrs(attrs), h.other.WithAttrs(attrs)}
}

func (h fallback) WithGroup(name string) slog.Handler {
	return fallback{h.Handler.WithGroup(name), h.other.WithGroup(name)}
}

// A log that cannot be written is noticed where it still can: here on the console.
func Example_fallback() {
	console := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTime})
	file := slog.NewJSONHandler(brokenWriter{errors.New("disk full")}, nil)
	logger := slog.New(fallback{file, console})
	logger.Info("saved", "chores", 3)
	// Output:
	// level=INFO msg=saved chores=3 log_error="disk full"
}
