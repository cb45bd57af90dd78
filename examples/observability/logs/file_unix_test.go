//go:build unix

package logs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/netparts/netparts/examples/observability/logs"
)

// A file that somebody moves away, as logrotate does, is written on where it is now, and made
// again by the next rotation: a program calls Rotate on SIGHUP for that. No line is lost.
func TestFileThatIsMovedAway(t *testing.T) {
	dir := t.TempDir()
	name, moved := filepath.Join(dir, "debug.log"), filepath.Join(dir, "moved")
	file := logs.NewFile(name)
	defer file.Close()
	for _, step := range []struct {
		do   func() error
		line string
	}{
		{func() error { return nil }, "one"},
		{func() error { return os.Rename(name, moved) }, "two"},
		{file.Rotate, "three"},
	} {
		must(t, step.do())
		_, err := fmt.Fprintln(file, step.line)
		must(t, err)
	}
	for name, want := range map[string]string{moved: "one\ntwo\n", name: "three\n"} {
		if got := string(read(t, name)); got != want {
			t.Errorf("%s has %q, want %q", filepath.Base(name), got, want)
		}
	}
}

// Nobody else may read the log, whatever the umask says.
func TestFileMode(t *testing.T) {
	name := filepath.Join(t.TempDir(), "debug.log")
	file := logs.NewFile(name)
	defer file.Close()
	for range 2 {
		_, err := fmt.Fprintln(file, "line")
		must(t, err)
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("the mode is %v", info.Mode())
		}
		must(t, file.Rotate())
	}
}

// The number of backups holds although rotations follow each other closely, and their names
// sort by time: both need a time with more than milliseconds.
func TestBackupsAreLimited(t *testing.T) {
	dir := t.TempDir()
	file := logs.NewFile(filepath.Join(dir, "debug.log"))
	file.Compression = "none"
	for i := range 100 {
		_, err := fmt.Fprintln(file, i)
		must(t, err)
		must(t, file.Rotate())
	}
	must(t, file.Close())
	entries, err := os.ReadDir(dir) // sorted by name, "debug-..." before "debug.log"
	must(t, err)
	var got []byte
	for _, e := range entries {
		got = append(got, read(t, filepath.Join(dir, e.Name()))...)
	}
	if want := "95\n96\n97\n98\n99\n"; string(got) != want {
		t.Errorf("of 100 files there are left %q, want %q", got, want)
	}
}
