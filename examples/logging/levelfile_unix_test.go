//go:build unix

package logging_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// When nobody can tell whether the file exists, the level returns: too few records are better
// than a disk that is full of them. Each time that this begins it is told of once. It is not
// forgotten how long the file has been there.
func TestLevelFileInAnUnreadableFolder(t *testing.T) {
	b := newBench(t)
	b.touch("level.debug")
	b.Longest = time.Hour
	moved := b.dir + ".moved"
	unreadable, told := slog.LevelInfo, 3
	if os.Geteuid() == 0 {
		unreadable, told = slog.LevelDebug, 2 // root reads it all the same
	}
	b.run(func() {
		began := time.Now()
		b.ok(os.Chmod(b.dir, 0))
		b.want("nobody may look into the folder", unreadable)
		b.ok(os.Chmod(b.dir, 0o700))
		b.want("the folder may be looked into", slog.LevelDebug)

		for range 2 {
			b.ok(os.Rename(b.dir, moved))
			b.ok(os.WriteFile(b.dir, nil, 0o600))
			b.want("the folder is a file", slog.LevelInfo)
			b.want("the folder is a file still", slog.LevelInfo)
			b.ok(os.Remove(b.dir))
			b.ok(os.Rename(moved, b.dir))
			b.want("the folder is back", slog.LevelDebug)
		}
		time.Sleep(time.Until(began.Add(b.Longest - 2*time.Second)))
		b.want("the file is young", slog.LevelDebug)
		b.want("the file is old", slog.LevelInfo)
	})
	if n := strings.Count(b.log.String(), "level file cannot"); n != told {
		t.Errorf("it was told %d times, want %d:\n%s", n, told, &b.log)
	}
}
