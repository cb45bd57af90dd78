//go:build linux || darwin || freebsd

package housework_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/interop"
)

// Ten processes that add twenty chores each at the same time lose none.
func TestFileOfTenProcesses(t *testing.T) {
	path := filePath(t)
	var wait sync.WaitGroup
	for n := range 10 {
		cmd := fileCommand(t, path, housework.JSON, "twenty", n)
		wait.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wait.Wait()
	fileWantUnique(t, fileOpen(t, path, nil), 200)
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
}

// A process that adds all the time is killed at any instant: the list is whole, what
// was acknowledged is there, and what the next one tries again is there once.
func TestFileKilled(t *testing.T)        { fileKill(t, 7) }
func TestInteropFileKilled(t *testing.T) { interop.Slow(t); fileKill(t, 100) }

func fileKill(t *testing.T, times int) {
	for _, codec := range fileCodecs {
		t.Run(codec.String(), func(t *testing.T) {
			path := filePath(t)
			from := make([]int, 4)
			leftovers := 0
			for range times {
				fileKillOne(t, fileCommand(t, path, codec, "forever", from...), from)
				if _, err := os.Lstat(path + ".tmp"); err == nil {
					leftovers++
				}
				fileWantAcknowledged(t, path, codec, from)
			}
			t.Logf("%d acknowledged; %d of %d kills left a temporary file", from, leftovers, times)
			fileAdd(t, fileOpen(t, path, nil), "last")
			fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
		})
	}
}

// fileKillOne runs a child until some time after its first acknowledgement, and counts them.
func fileKillOne(t *testing.T, cmd *exec.Cmd, from []int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	fileNoError(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	fileNoError(t, cmd.Start())
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); acknowledged++ {
		if acknowledged == 0 {
			time.AfterFunc(rand.N(15*time.Millisecond), func() { cmd.Process.Kill() })
		}
		var writer, i int
		if _, err := fmt.Sscan(lines.Text(), &writer, &i); err != nil {
			t.Errorf("the child has said %q", lines.Text())
			continue
		}
		if i != from[writer] {
			t.Errorf("writer %d was told of its chore %d, want %d", writer, i, from[writer])
		}
		from[writer] = i + 1
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() || acknowledged == 0 {
		t.Fatalf("the child was not killed, but: %v: %s", err, complaints.String())
	}
}

// fileWantAcknowledged wants the chores before those in from, each once, and after them
// at most that which each writer was about to add.
func fileWantAcknowledged(t *testing.T, path string, codec housework.Codec, from []int) {
	t.Helper()
	s, err := housework.OpenFile(path, &housework.FileOptions{Codec: codec})
	fileNoError(t, err)
	defer s.Close()
	next := make([]int, len(from))
	for c, err := range housework.All(t.Context(), s) {
		fileNoError(t, err)
		var writer, i int
		if _, err := fmt.Sscanf(c.Description, "%d.%d", &writer, &i); err != nil {
			t.Fatalf("there is a chore %q", c.Description)
		}
		if i != next[writer] || c.RequestID != c.Description {
			t.Errorf("chore %d of writer %d is %+v", next[writer], writer, c)
		}
		next[writer] = i + 1
	}
	for writer := range from {
		if lost := from[writer] - next[writer]; lost > 0 || lost < -1 {
			t.Errorf("writer %d has %d chores, and was told of %d", writer, next[writer], from[writer])
		}
	}
}
