package logging

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// A LevelFile lowers a logger's level while a file exists, so that who runs a service sees
// its debug records by "touch level.debug", without stopping it, and without a port that
// changes it. The level returns by itself when the file goes.
//
// It looks for the file now and then. That finds the same on every system, whatever becomes
// of the folder, and misses nothing that matters: a file that came and went between two looks
// was not meant. Only who cannot wait an Interval needs what the system tells of changes.
//
// A LevelFile must not be changed after the call of Run.
type LevelFile struct {
	// Path is of the file. Its content does not matter. Who may create it decides what
	// is logged, so the folder should belong to who runs the service. It should be on a
	// local disk: a look at one that is gone may take forever.
	Path string

	// Level is what is lowered: that of a handler, by slog.HandlerOptions. Others may
	// set it too: what was set while the file existed stays when it goes, but not what
	// is set in that very moment, since a LevelVar has no step that compares and sets.
	Level *slog.LevelVar

	// While is the level as long as the file exists. A level that is lower already is
	// left. If nil, it is slog.LevelDebug.
	While slog.Leveler

	// Longest is how long a file counts, so that one that was forgotten does not fill
	// a disk. Its time begins when it comes, and anew when it is touched. For one that
	// was there before Run it began when it was changed last, so that a new start of the
	// service does not prolong it. If zero or less, a file counts as long as it exists.
	Longest time.Duration

	// Interval is the time between two looks. If zero or less, it is a second.
	Interval time.Duration

	// Logger gets a record when the level was lowered, when it has returned, and when
	// nobody can tell whether the file exists, which counts as that it does not. If
	// nil, it is silent.
	Logger *slog.Logger
}

// Run looks for the file until ctx ends. Then it has returned the level, and returns the cause
// of ctx's end.
func (f *LevelFile) Run(ctx context.Context) error {
	if f.Path == "" || f.Level == nil {
		return errors.New("logging: a LevelFile needs a Path and a Level")
	}
	w := watch{LevelFile: f}
	ticker := time.NewTicker(f.interval())
	defer ticker.Stop()
	for {
		w.look(time.Now())
		select {
		case <-ctx.Done():
			w.raise("the watch has ended")
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

func (f *LevelFile) interval() time.Duration {
	if f.Interval <= 0 {
		return time.Second
	}
	return f.Interval
}

func (f *LevelFile) logger() *slog.Logger {
	if f.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Logger
}

// A watch is what a Run knows.
type watch struct {
	*LevelFile

	lowered  bool
	from, to slog.Level // if lowered

	began   bool      // some look has told whether the file exists
	exists  bool      // by the last look that could tell
	changed time.Time // when the file was, if it exists
	since   time.Time // its time counts

	failed bool // the last look
}

// look sets the level by what is there.
func (w *watch) look(now time.Time) {
	info, err := os.Stat(w.Path)
	failed := err != nil && !errors.Is(err, fs.ErrNotExist)
	if failed && !w.failed { // once, rather than each second
		w.logger().Error("level file cannot be looked for", "error", err)
	}
	w.failed = failed
	if failed {
		w.raise("the file cannot be looked for")
		return
	}
	if err != nil {
		w.began, w.exists = true, false
		w.raise("the file is gone")
		return
	}
	if !w.exists || !info.ModTime().Equal(w.changed) {
		w.exists, w.changed, w.since = true, info.ModTime(), now
		if !w.began && w.changed.Before(now) { // not if it lies ahead
			w.since = w.changed
		}
	}
	w.began = true
	if w.Longest > 0 && now.Sub(w.since) >= w.Longest {
		w.raise("the file is too old")
		return
	}
	w.lower()
}

// lower does nothing if it has done so already.
func (w *watch) lower() {
	if w.lowered {
		return
	}
	w.from, w.to = w.Level.Level(), slog.LevelDebug
	if w.While != nil {
		w.to = w.While.Level()
	}
	w.to = min(w.from, w.to)
	w.lowered = true
	w.Level.Set(w.to)
	w.logger().Info("level lowered", "level", w.to, "file", w.Path)
}

// raise undoes lower.
func (w *watch) raise(why string) {
	if !w.lowered {
		return
	}
	w.lowered = false
	if w.Level.Level() == w.to { // or it is somebody else's by now
		w.Level.Set(w.from)
	}
	w.logger().Info("level returned", "level", w.Level.Level(), "reason", why)
}
