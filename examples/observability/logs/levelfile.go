package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A LevelFile lowers a level to debug as long as a file exists, whatever is in it, and sets
// it back to what it was before when the file has gone. An operator who can reach the machine
// so gets the debug log of a program that runs, with "touch" and "rm".
//
// The name is what counts: a symbolic link is a file too, also one that leads nowhere. What
// has set the level while the file existed, such as a request by HTTP, is forgotten when
// it has gone.
type LevelFile struct {
	watcher   *fsnotify.Watcher
	dir, name string
	level     zap.AtomicLevel
	logger    *zap.Logger

	// lowered and before belong to the goroutine that watches.
	lowered bool
	before  zapcore.Level

	changed, done chan struct{}
}

// WatchLevel watches the folder of a file, because a file that does not exist yet cannot be
// watched. The file may exist already: the level is low then when WatchLevel returns. The
// folder must exist; if it is reached by a symbolic link, the link is followed once. Logger
// gets what goes wrong later; nil means silent. The caller must call Close.
func WatchLevel(name string, level zap.AtomicLevel, logger *zap.Logger) (*LevelFile, error) {
	if logger == nil {
		logger = zap.NewNop()
	}
	name, err := filepath.Abs(name) // the working directory may be another one later
	if err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("logs: folder of the level file: %w", err)
	}
	// Otherwise a file in its place would be watched.
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("logs: folder of the level file: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("logs: folder of the level file: %q is no folder", dir)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	if err := watcher.Add(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("logs: watching %q: %w", dir, err), watcher.Close())
	}
	f := &LevelFile{
		watcher: watcher,
		dir:     dir,
		name:    filepath.Join(dir, filepath.Base(name)),
		level:   level,
		logger:  logger,
		changed: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	// Only now, so that a file that is made in between is not missed.
	f.look()
	go f.watch()
	return f, nil
}

// Changed returns a channel that receives after the level was changed. Several changes may
// be told as one. Nobody needs to receive.
func (f *LevelFile) Changed() <-chan struct{} { return f.changed }

// Done returns a channel that is closed when the watch has ended: after Close, and
// when the folder was removed or renamed. In both cases the level is what it was before. A
// file system that is unmounted tells Linux's watchers, but fsnotify does not pass it on: then
// the watch sees nothing any more, and the level stays as it is until Close.
func (f *LevelFile) Done() <-chan struct{} { return f.done }

// Close ends the watch, and waits for that. The level is then what it was before the file
// was there, since nobody would set it back later.
func (f *LevelFile) Close() error {
	err := f.watcher.Close()
	<-f.done
	return err
}

// watch follows the file until the watcher is closed or has nothing left to watch.
func (f *LevelFile) watch() {
	defer close(f.done)
	defer f.restore()
	for {
		select {
		case event, ok := <-f.watcher.Events:
			if !ok {
				return
			}
			// What happened, and to which file, is only the occasion to look: names of
			// events are spelled as systems like, and a file may be moved both away
			// and in.
			if event.Has(fsnotify.Create | fsnotify.Remove | fsnotify.Rename) {
				f.look()
			}
			if event.Name == f.dir && event.Has(fsnotify.Remove|fsnotify.Rename) {
				f.logger.Error("the folder of the level file has gone, which is watched no more",
					zap.String("folder", f.dir), zap.NamedError("close", f.watcher.Close()))
				return
			}
		case err, ok := <-f.watcher.Errors:
			if !ok {
				return
			}
			f.logger.Error("watching the level file", zap.String("file", f.name), zap.Error(err))
			f.look() // events may have been lost
		}
	}
}

// look sets the level by whether the file exists.
func (f *LevelFile) look() {
	_, err := os.Lstat(f.name)
	switch {
	case err == nil:
		f.lower()
	case errors.Is(err, fs.ErrNotExist):
		f.restore()
	default: // it is not known, so nothing changes
		f.logger.Error("looking for the level file", zap.String("file", f.name), zap.Error(err))
	}
}

func (f *LevelFile) lower() {
	if !f.lowered {
		f.lowered, f.before = true, f.level.Level()
		f.set(zapcore.DebugLevel)
	}
}

func (f *LevelFile) restore() {
	if f.lowered {
		f.lowered = false
		f.set(f.before)
	}
}

// set sets the level, and tells so without waiting for a receiver.
func (f *LevelFile) set(level zapcore.Level) {
	f.level.SetLevel(level)
	select {
	case f.changed <- struct{}{}:
	default:
	}
}
