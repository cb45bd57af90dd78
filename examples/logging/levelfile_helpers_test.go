package logging_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/examples/logging"
)

// A bench is a LevelFile in a bubble of time, where it looks each second.
type bench struct {
	logging.LevelFile

	t     *testing.T
	dir   string
	level slog.LevelVar
	log   bytes.Buffer // what the watch tells; read when that has ended
}

// newBench makes one whose file does not exist.
func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir()}
	b.LevelFile = logging.LevelFile{
		Path:   filepath.Join(b.dir, "level.debug"),
		Level:  &b.level,
		Logger: slog.New(onlyKeys(&b.log, "msg", "level", "reason")),
	}
	return b
}

// run calls f while the watch runs, and then ends it.
func (b *bench) run(f func()) {
	b.t.Helper()
	synctest.Test(b.t, func(t *testing.T) {
		outer := b.t
		b.t = t
		defer func() { b.t = outer }()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		f()
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("Run: %v, want %v", err, context.Canceled)
		}
	})
}

// want waits for the next look, and compares the level.
func (b *bench) want(what string, level slog.Level) {
	b.t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	if got := b.level.Level(); got != level {
		b.t.Errorf("%s: the level is %v, want %v", what, got, level)
	}
}

// ok ends the test if there is an error.
func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// date sets the time at which a file was changed last.
func (b *bench) date(path string, at time.Time) {
	b.t.Helper()
	b.ok(os.Chtimes(path, at, at))
}

// touch makes a file in the folder.
func (b *bench) touch(name string) {
	b.t.Helper()
	b.ok(os.WriteFile(filepath.Join(b.dir, name), nil, 0o600))
}
