//go:build unix

package logs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
)

// Of a folder that has gone nothing more is heard: the level is set back, and the owner
// learns that the watch has ended.
func TestLevelFileWhoseFolderGoes(t *testing.T) {
	for what, gone := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"renamed": func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			must(t, os.Mkdir(dir, 0o700))
			name := filepath.Join(dir, "level.debug")
			w := watchLevel(t, name, zapcore.InfoLevel)
			touch(t, name)
			w.want(t, zapcore.DebugLevel)
			must(t, gone(dir))
			select {
			case <-w.Done():
			case <-time.After(20 * time.Second):
				t.Fatal("the watch goes on without its folder")
			}
			if got := w.level.Level(); got != zapcore.InfoLevel {
				t.Errorf("the level is %v", got)
			}
			if w.logs.FilterMessageSnippet("has gone").Len() != 1 {
				t.Errorf("logged %v", w.logs.All())
			}
		})
	}
}

// The folder may be reached by a symbolic link, which is followed once, at the start. The file
// may be one too: its name counts, as with the files that Kubernetes mounts.
func TestLevelFileBySymbolicLinks(t *testing.T) {
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	w := watchLevel(t, filepath.Join(link, "level.debug"), zapcore.InfoLevel)
	name := filepath.Join(dir, "level.debug")
	for _, target := range []string{"missing", dir} {
		must(t, os.Symlink(target, name))
		w.want(t, zapcore.DebugLevel)
		must(t, os.Remove(name))
		w.want(t, zapcore.InfoLevel)
	}
	must(t, os.Remove(link))
	touch(t, name)
	w.want(t, zapcore.DebugLevel)
}
