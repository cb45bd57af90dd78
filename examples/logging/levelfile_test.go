package logging_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/examples/logging"
)

// lines is a writer whose lines a reader waits for.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A file makes a service talkative while it exists. The service starts a watch, ends it by a
// context, and waits for it. Here the records of the watch say when it has seen a change.
func ExampleLevelFile() {
	dir, err := os.MkdirTemp("", "logging")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	var level slog.LevelVar
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: &level, ReplaceAttr: noTime}))
	seen := make(lines, 10)
	file := &logging.LevelFile{
		Path:     filepath.Join(dir, "level.debug"),
		Level:    &level,
		Longest:  time.Hour,
		Interval: 10 * time.Millisecond, // a second is enough where nobody waits
		Logger:   slog.New(onlyKeys(seen, "msg", "level", "reason")),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := file.Run(ctx); !errors.Is(err, context.Canceled) {
			log.Print(err)
		}
	})

	logger.Debug("this is below the threshold")
	if err := os.WriteFile(file.Path, nil, 0o600); err != nil {
		log.Fatal(err)
	}
	fmt.Print(<-seen)
	logger.Debug("the second packet arrives")
	if err := os.Remove(file.Path); err != nil {
		log.Fatal(err)
	}
	fmt.Print(<-seen)
	logger.Debug("this is below the threshold again")
	logger.Info("the connection ends")
	cancel()
	group.Wait()
	// Output:
	// level=INFO msg="level lowered" level=DEBUG
	// level=DEBUG msg="the second packet arrives"
	// level=INFO msg="level returned" level=INFO reason="the file is gone"
	// level=INFO msg="the connection ends"
}

// The file comes and goes, in each way that files do. What tells of changes tells of some of
// these in a way of its own, which is then forgotten: a file that is renamed was not removed.
func TestLevelFileComesAndGoes(t *testing.T) {
	b := newBench(t)
	other := filepath.Join(b.dir, "level.other")
	b.run(func() {
		b.want("before", slog.LevelInfo)
		b.touch("level.debug")
		b.want("created", slog.LevelDebug)
		b.ok(os.WriteFile(b.Path, []byte("text"), 0o600))
		b.want("written", slog.LevelDebug)
		b.ok(os.Remove(b.Path))
		b.want("removed", slog.LevelInfo)

		b.touch("level.debug~")
		b.want("another file", slog.LevelInfo)
		b.touch("level.other")
		b.ok(os.Rename(other, b.Path))
		b.want("renamed to it", slog.LevelDebug)
		b.ok(os.Rename(b.Path, other))
		b.want("renamed away", slog.LevelInfo)

		b.ok(os.Mkdir(b.Path, 0o700))
		b.want("a folder of the name", slog.LevelDebug)
		b.ok(os.RemoveAll(b.dir))
		b.want("all of the folder removed", slog.LevelInfo)
		b.ok(os.Mkdir(b.dir, 0o700))
		b.touch("level.debug")
		b.want("in a new folder", slog.LevelDebug)
	})
	if b.level.Level() != slog.LevelInfo {
		t.Errorf("after the end the level is %v", b.level.Level())
	}
	const lowered, gone = "msg=\"level lowered\" level=DEBUG\n", "msg=\"level returned\" level=INFO reason=\"the file is gone\"\n"
	want := strings.Repeat(lowered+gone, 3) + lowered + strings.Replace(gone, "file is gone", "watch has ended", 1)
	if got := strings.ReplaceAll(b.log.String(), "level=INFO msg", "msg"); got != want {
		t.Errorf("the log is\n%s, want\n%s", got, want)
	}
}

// A file that is there already counts at once, not only when it changes.
func TestLevelFileBeforeTheStart(t *testing.T) {
	b := newBench(t)
	b.touch("level.debug")
	b.run(func() {
		if got := b.level.Level(); got != slog.LevelDebug {
			t.Errorf("the level is %v", got)
		}
	})
	if b.level.Level() != slog.LevelInfo {
		t.Errorf("after the end the level is %v", b.level.Level())
	}
}

// A file that is forgotten counts for Longest, and anew when it is touched, or comes again,
// however old it says that it is.
func TestLevelFileIsForgotten(t *testing.T) {
	b := newBench(t)
	b.Longest = time.Hour
	away := filepath.Join(b.dir, "away")
	b.run(func() {
		b.want("before", slog.LevelInfo)
		b.touch("away")
		b.date(away, time.Now().Add(-24*time.Hour))
		b.ok(os.Rename(away, b.Path))
		b.want("moved to the path", slog.LevelDebug)
		time.Sleep(time.Hour - 2*time.Second)
		b.want("young", slog.LevelDebug)
		b.want("old", slog.LevelInfo)
		b.want("still there", slog.LevelInfo)

		b.date(b.Path, time.Now())
		b.want("touched", slog.LevelDebug)
		time.Sleep(time.Hour - 3*time.Second)
		b.want("young", slog.LevelDebug)
		b.date(b.Path, time.Now())
		b.want("touched in time", slog.LevelDebug)
		time.Sleep(time.Hour - 2*time.Second)
		b.want("young", slog.LevelDebug)
		b.want("old", slog.LevelInfo)

		b.ok(os.Rename(b.Path, away))
		b.want("moved away", slog.LevelInfo)
		b.ok(os.Rename(away, b.Path))
		b.want("moved back", slog.LevelDebug)
		time.Sleep(time.Hour)
		b.want("old", slog.LevelInfo)
	})
	for text, want := range map[string]int{"level lowered": 3, "the file is too old": 3, "ended": 0} {
		if n := strings.Count(b.log.String(), text); n != want {
			t.Errorf("%q was told %d times, want %d:\n%s", text, n, want, &b.log)
		}
	}
}

// A file that is there at the start is as old as it says, so that a service that starts
// again and again does not prolong what was forgotten. One of the future ages all the same.
func TestLevelFileForgottenBeforeTheStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		age  time.Duration // at the start
		ends time.Duration // how long it counts
	}{
		{"old", 2 * time.Hour, 0},
		{"old enough", time.Hour, 0},
		{"half as old", 30 * time.Minute, 30 * time.Minute},
		{"of the future", -24 * time.Hour, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.Longest = time.Hour
			b.touch("level.debug")
			bubble := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when its time begins
			b.date(b.Path, bubble.Add(-tt.age))
			b.run(func() {
				if tt.ends > 0 {
					time.Sleep(tt.ends - 2*time.Second)
					b.want("young", slog.LevelDebug)
				} else if got := b.level.Level(); got != slog.LevelInfo {
					t.Errorf("at once the level is %v", got)
				}
				b.want("old", slog.LevelInfo)

				b.touch("other")
				other := filepath.Join(b.dir, "other")
				b.date(other, bubble.Add(-48*time.Hour))
				b.ok(os.Rename(other, b.Path))
				b.want("in the place of another one", slog.LevelDebug)
			})
		})
	}
}

// What somebody else sets in the meantime is newer than what was before the file, and stays.
// A level that is below that of the file already is not raised.
func TestLevelFileLeavesWhatOthersSet(t *testing.T) {
	b := newBench(t)
	b.While = slog.LevelInfo
	b.level.Set(slog.LevelError)
	b.run(func() {
		b.touch("level.debug")
		b.want("created", slog.LevelInfo)
		b.level.Set(slog.LevelWarn)
		b.want("set by somebody", slog.LevelWarn)
		b.ok(os.Remove(b.Path))
		b.want("removed", slog.LevelWarn)

		b.level.Set(slog.LevelDebug)
		b.touch("level.debug")
		b.want("created", slog.LevelDebug)
		b.ok(os.Remove(b.Path))
		b.want("removed", slog.LevelDebug)
	})
}

// A watch that cannot know what it watches ends at once.
func TestLevelFileMisuse(t *testing.T) {
	for name, f := range map[string]*logging.LevelFile{
		"no path":  {Level: new(slog.LevelVar)},
		"no level": {Path: "level.debug"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // so that it would end
		if err := f.Run(ctx); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: Run: %v", name, err)
		}
	}
}

// A path that no file can have is no file, and is told of once. The cause of the end of a
// context is what Run returns, and without a Logger it is silent.
func TestLevelFileThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		level := new(slog.LevelVar)
		file := &logging.LevelFile{Path: "a\x00b", Level: level, Logger: slog.New(onlyKeys(&b, "msg"))}
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		if err := file.Run(ctx); err != cause {
			t.Errorf("Run: %v, want %v", err, cause)
		}
		if want := "msg=\"level file cannot be looked for\"\n"; b.String() != want || level.Level() != slog.LevelInfo {
			t.Errorf("the log is %q, want %q, and the level %v", &b, want, level)
		}
		file.Logger = nil
		if err := file.Run(ctx); err != cause { // which looks once
			t.Errorf("Run: %v, want %v", err, cause)
		}
	})
}
