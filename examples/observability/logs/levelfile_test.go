package logs_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/netparts/netparts/examples/observability/logs"
)

// A program that runs logs more as long as a file exists. It is the way for an operator who has
// a shell on the machine, where a level over HTTP is for one who has not: see Example_levelHTTP.
func ExampleWatchLevel() {
	dir, err := os.MkdirTemp("", "level")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "level.debug")

	level := zap.NewAtomicLevel() // info
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoderConfig), terminal(), level))
	watch, err := logs.WatchLevel(name, level, logger)
	if err != nil {
		log.Fatal(err)
	}

	logger.Debug("the first packet arrives")
	if err := os.WriteFile(name, nil, 0o600); err != nil { // as "touch" does
		log.Fatal(err)
	}
	<-watch.Changed()
	logger.Debug("the second packet arrives")
	if err := os.Remove(name); err != nil {
		log.Fatal(err)
	}
	<-watch.Changed()
	logger.Debug("the third packet arrives")
	logger.Info("the connection ends")

	if err := watch.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("after the end:", level)
	// Output:
	// {"level":"debug","msg":"the second packet arrives"}
	// {"level":"info","msg":"the connection ends"}
	// after the end: info
}

// A watched is a LevelFile with what a test looks at.
type watched struct {
	*logs.LevelFile
	level zap.AtomicLevel
	logs  *observer.ObservedLogs
}

func watchLevel(t *testing.T, name string, before zapcore.Level) watched {
	t.Helper()
	core, entries := observer.New(zapcore.DebugLevel)
	w := watched{level: zap.NewAtomicLevelAt(before), logs: entries}
	f, err := logs.WatchLevel(name, w.level, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	w.LevelFile = f
	return w
}

// want waits until the level is the one that is wanted.
func (w watched) want(t *testing.T, want zapcore.Level) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for w.level.Level() != want {
		select {
		case <-w.Changed():
		case <-limit:
			t.Fatalf("the level is %v, want %v; logged: %v", w.level, want, w.logs.All())
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, name string) {
	t.Helper()
	must(t, os.WriteFile(name, nil, 0o600))
}

// The level comes back to what it was, whatever that was, and however the file goes.
func TestLevelFile(t *testing.T) {
	for what, gone := range map[string]func(name string) error{
		"removed": os.Remove,
		"renamed": func(name string) error { return os.Rename(name, name+".old") },
		"moved away": func(name string) error { // to a folder that is not watched
			return os.Rename(name, filepath.Join(filepath.Dir(name), "old", "level.debug"))
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Mkdir(filepath.Join(dir, "old"), 0o700))
			name := filepath.Join(dir, "level.debug")
			w := watchLevel(t, name, zapcore.WarnLevel)
			for range 3 {
				touch(t, name)
				w.want(t, zapcore.DebugLevel)
				must(t, gone(name))
				w.want(t, zapcore.WarnLevel)
			}
			must(t, os.WriteFile(name+".new", nil, 0o600))
			must(t, os.Rename(name+".new", name)) // moved in
			w.want(t, zapcore.DebugLevel)
			if w.logs.Len() > 0 {
				t.Errorf("logged %v", w.logs.All())
			}
		})
	}
}

// What is not the level file changes nothing, not even for a moment: a moment would be told.
func TestLevelFileAmongOthers(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "level.debug")
	w := watchLevel(t, name, zapcore.InfoLevel)
	for _, other := range []string{"level", "level.debug.swp", "xlevel.debug"} {
		touch(t, filepath.Join(dir, other))
		must(t, os.Remove(filepath.Join(dir, other)))
	}
	touch(t, name) // events are in order, so those before were seen when this is
	<-w.Changed()
	if got := w.level.Level(); got != zapcore.DebugLevel {
		t.Errorf("the level is %v after the first change", got)
	}
	select {
	case <-w.Changed():
		t.Error("the level changed twice")
	default:
	}
}

// A file that is there at the start counts at once, and the level from the start comes back.
func TestLevelFileThatIsThere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "level.debug")
	touch(t, name)
	w := watchLevel(t, name, zapcore.ErrorLevel)
	if got := w.level.Level(); got != zapcore.DebugLevel {
		t.Errorf("the level is %v at the start", got)
	}
	must(t, os.Remove(name))
	w.want(t, zapcore.ErrorLevel)
}

// A program may be given a relative name, and change its working directory later.
func TestLevelFileWithRelativeName(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	w := watchLevel(t, filepath.Join(".", "level.debug"), zapcore.InfoLevel)
	t.Chdir(os.TempDir())
	touch(t, filepath.Join(dir, "level.debug"))
	w.want(t, zapcore.DebugLevel)
}

// Nobody has to receive from Changed: changes go on.
func TestLevelFileWithoutReceiver(t *testing.T) {
	name := filepath.Join(t.TempDir(), "level.debug")
	w := watchLevel(t, name, zapcore.InfoLevel)
	for range 100 {
		touch(t, name)
		must(t, os.Remove(name))
	}
	touch(t, name)
	w.want(t, zapcore.DebugLevel)
	must(t, os.Remove(name))
	w.want(t, zapcore.InfoLevel)
}

// After Close nobody would set the level back, so Close does.
func TestLevelFileClose(t *testing.T) {
	name := filepath.Join(t.TempDir(), "level.debug")
	touch(t, name)
	w := watchLevel(t, name, zapcore.WarnLevel)
	for range 2 { // the second does nothing
		must(t, w.Close())
	}
	select {
	case <-w.Done():
	default:
		t.Error("the watch goes on after Close")
	}
	if got := w.level.Level(); got != zapcore.WarnLevel {
		t.Errorf("the level is %v after Close", got)
	}
	if w.logs.Len() > 0 {
		t.Errorf("logged %v", w.logs.All())
	}
}

// A folder that is not there, or none, is an error at the start rather than a watch of nothing.
func TestLevelFileWithoutFolder(t *testing.T) {
	dir := t.TempDir()
	touch(t, filepath.Join(dir, "file"))
	for _, name := range []string{
		filepath.Join(dir, "missing", "level.debug"),
		filepath.Join(dir, "file", "level.debug"),
	} {
		if f, err := logs.WatchLevel(name, zap.NewAtomicLevel(), nil); err == nil {
			t.Errorf("no error for %s", name)
			must(t, f.Close())
		}
	}
}
