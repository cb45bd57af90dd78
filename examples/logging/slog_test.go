package logging_test

import (
	"bytes"
	"errors"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// noTime leaves the time out, so that the output of an Example is the same each time. A
// service keeps it.
func noTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{} // handlers leave out what has neither key nor value
	}
	return a
}

// ownKeys is what a service sets once for all of its handlers: names and forms of what stands
// in every record. Here the level is in lower case, the source is called caller and has no
// folders, and its line, which changes with every edit, is left out as the time is.
func ownKeys(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a // of the service, whatever its key is
	}
	switch v := a.Value.Any().(type) {
	case slog.Level:
		if a.Key == slog.LevelKey {
			return slog.String("level", strings.ToLower(v.String()))
		}
	case *slog.Source:
		return slog.String("caller", filepath.Base(v.File))
	}
	return noTime(groups, a)
}

// For machines, records are lines of JSON. What all records of a logger have is given once, by
// With. Slog has no names of loggers: one is an attribute like others.
func Example_jsonRecords() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{
		Level:       slog.LevelDebug, // and above; if it is not said, Info
		AddSource:   true,
		ReplaceAttr: ownKeys,
	})).With("name", "example", "version", "v1.2.3")

	logger.Debug("the handshake begins")
	logger.Info("the handshake is done", "rounds", 3)
	// Output:
	// {"level":"debug","caller":"slog_test.go","msg":"the handshake begins","name":"example","version":"v1.2.3"}
	// {"level":"info","caller":"slog_test.go","msg":"the handshake is done","name":"example","version":"v1.2.3","rounds":3}
}

// For people, records are text that can be searched by "key=value". The level is a threshold:
// what is below it is dropped.
func Example_consoleText() {
	console := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level:       slog.LevelInfo,
		ReplaceAttr: ownKeys,
	})).With("name", "console")

	console.Info("a connection is accepted")
	console.Debug("this is below the threshold, and dropped")
	console.Error("accepting fails", "error", errors.New("no space left"))
	// Output:
	// level=info msg="a connection is accepted" name=console
	// level=error msg="accepting fails" name=console error="no space left"
}

// A part of a service that names its attributes as it likes gets a group, and cannot collide
// with others: both have an "id" here.
func Example_group() {
	options := &slog.HandlerOptions{ReplaceAttr: noTime}
	for _, h := range []slog.Handler{slog.NewJSONHandler(os.Stdout, options), slog.NewTextHandler(os.Stdout, options)} {
		logger := slog.New(h).With("id", 7)
		store := logger.WithGroup("store")
		store.Info("saved", "id", "chores.json", slog.Group("size", "before", 10, "after", 12))
	}
	// Output:
	// {"level":"INFO","msg":"saved","id":7,"store":{"id":"chores.json","size":{"before":10,"after":12}}}
	// level=INFO msg=saved id=7 store.id=chores.json store.size.before=10 store.size.after=12
}

// A message that says what a client sent is in the hands of that client: a line break in it
// would be a record of its own, and an escape sequence would move the reader's cursor. Both
// handlers quote what they write, keys included. Package log does not: with it, %q is needed.
func TestClientsCannotForgeRecords(t *testing.T) {
	const sent = "x\nlevel=ERROR msg=\"all is lost\"\r\n\x1b[2J"
	for name, newHandler := range map[string]func(*bytes.Buffer) slog.Handler{
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(newHandler(&b)).Info("name is "+sent, "name", sent, sent, "as a key")
		if line := strings.TrimSuffix(b.String(), "\n"); strings.ContainsAny(line, "\n\r\x1b") {
			t.Errorf("%s: the record is %q", name, &b)
		}
	}
	var b bytes.Buffer
	log.New(&b, "", 0).Print("name is " + sent)
	if want := "name is " + sent + "\n"; b.String() != want { // as a line of its own
		t.Errorf("package log has written %q, want %q", &b, want)
	}
}

// The source of a record is a value that ReplaceAttr sees as it is, file, line and function.
func TestSourceOfARecord(t *testing.T) {
	var got *slog.Source
	logger := slog.New(slog.NewJSONHandler(new(bytes.Buffer), &slog.HandlerOptions{
		AddSource: true,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if source, ok := a.Value.Any().(*slog.Source); ok {
				got = source
			}
			return a
		},
	}))
	_, file, line, _ := runtime.Caller(0)
	logger.Info("here") // one line below Caller
	if got == nil || got.File != file || got.Line != line+1 || !strings.HasSuffix(got.Function, ".TestSourceOfARecord") {
		t.Errorf("the source is %+v, want %s:%d", got, file, line+1)
	}
}

// What is wrong with the pairs of a call shows as the key "!BADKEY", and go vet finds it
// where it is written. LogAttrs, which takes attributes alone, does not compile with it.
func TestKeyWithoutValue(t *testing.T) {
	var b bytes.Buffer
	pairs := []any{"chores", 3, "left"} // in a variable, where go vet does not look
	slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime})).Info("list", pairs...)
	if want := "level=INFO msg=list chores=3 !BADKEY=left\n"; b.String() != want {
		t.Errorf("the record is %q, want %q", &b, want)
	}
}
