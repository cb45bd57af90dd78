package housework_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/interop"
)

// A fileTrace is how a child under strace ended.
type fileTrace struct {
	err           error
	output, calls string
}

// count returns how often a system call was made for the files of the list.
func (r fileTrace) count(call string) int { return strings.Count(r.calls, " "+call+"(") }

// fileCalls are the names of system calls where they are not those of 64 bits.
var fileCalls = map[string]map[string]string{
	"386": {"newfstatat": "fstatat64", "fstat": "fstat64", "fchown": "fchown32"},
}

// fileStrace runs a child and meddles with its system calls for the files of the list.
func fileStrace(t *testing.T, path, inject, do string, numbers ...int) fileTrace {
	t.Helper()
	strace := interop.Command(t, "strace", "strace")
	cmd := fileCommand(t, path, housework.JSON, do, numbers...)
	log := filepath.Join(t.TempDir(), "calls")
	args := []string{strace, "-f", "-o", log}
	for _, name := range []string{filepath.Dir(path), path, path + ".tmp", path + ".lock"} {
		args = append(args, "-P", name)
	}
	if inject != "" {
		call, what, _ := strings.Cut(inject, ":")
		args = append(args, "-e", "inject="+cmp.Or(fileCalls[runtime.GOARCH][call], call)+":"+what)
	}
	cmd.Args = append(args, cmd.Path)
	cmd.Path = strace
	out, err := cmd.CombinedOutput()
	calls := strings.ReplaceAll(fileRead(t, log), "|O_LARGEFILE", "")
	for call, name := range fileCalls[runtime.GOARCH] {
		calls = strings.ReplaceAll(calls, " "+name+"(", " "+call+"(")
	}
	return fileTrace{err: err, output: string(out), calls: calls}
}

// fileOld makes a list whose mode and owner a change has to keep.
func fileOld(t *testing.T) (path, old string) {
	t.Helper()
	path = filePath(t)
	fileAdd(t, fileOpen(t, path, nil), "old")
	fileNoError(t, os.Chmod(path, 0o640))
	if os.Geteuid() == 0 {
		fileNoError(t, os.Chown(path, fileOwner, fileOwner))
	}
	return path, fileRead(t, path)
}

// A process is killed at each system call that a change makes: the list is the old
// one or the new one, and the next process adds the chore once.
func TestInteropStraceKill(t *testing.T) {
	for _, call := range []string{"openat", "flock", "newfstatat", "fstat", "write", "fchown", "fchmod", "fsync", "renameat", "close"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			n := 1
			for ; ; n++ {
				path, old := fileOld(t)
				r := fileStrace(t, path, fmt.Sprintf("%s:signal=KILL:when=%d", call, n), "once", 1)
				if r.err == nil {
					break
				}
				if !strings.Contains(r.calls, "killed by SIGKILL") {
					t.Fatalf("call %d: %v: %s\n%s", n, r.err, r.output, r.calls)
				}
				s := fileOpen(t, path, nil)
				if fileRead(t, path) != old {
					fileWant(t, s, "old 0.1")
				}
				_, err := s.Add(t.Context(), "0.1", fileChores("0.1"))
				fileNoError(t, err)
				fileWant(t, s, "old 0.1")
				fileWantMode(t, path, 0o640)
				fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
			}
			if n == 1 && (call != "fchown" || os.Geteuid() == 0) {
				t.Error("this system call is not made")
			}
			t.Logf("killed at %d calls", n-1)
		})
	}
}

// Each system call of a change fails. A change that is reported as failed was not made,
// but for the last step, where the error says what is known, and leaves no temporary file
// behind; and none that failed is acknowledged.
func TestInteropStraceFail(t *testing.T) {
	faults := map[string][]string{
		"openat": {"EIO", "EMFILE"}, "flock": {"EIO", "ENOLCK"}, "write": {"EIO", "ENOSPC", "EDQUOT"},
		"fchown": {"EIO", "EPERM"}, "fchmod": {"EIO"}, "fsync": {"EIO", "ENOSPC", "EDQUOT"}, "renameat": {"EIO", "ENOSPC"},
		"close": {"EIO"}, "newfstatat": {"EIO"}, "fstat": {"EIO"},
	}
	for call, errnos := range faults {
		for _, errno := range errnos {
			t.Run(call+" "+errno, func(t *testing.T) {
				t.Parallel()
				n := 1
				for fileFailAt(t, call, errno, n) {
					n++
				}
				if n == 1 && (call != "fchown" || os.Geteuid() == 0) {
					t.Error("this system call is not made")
				}
				t.Logf("%d calls failed", n-1)
			})
		}
	}
}

// fileFailAt makes the nth such call fail, and reports whether there was one.
func fileFailAt(t *testing.T, call, errno string, n int) bool {
	t.Helper()
	path, old := fileOld(t)
	inject := fmt.Sprintf("%s:error=%s:when=%d", call, errno, n)
	r := fileStrace(t, path, inject, "once", 1)
	if !strings.Contains(r.calls, "(INJECTED)") {
		return false
	}
	changed := fileRead(t, path) != old
	inDoubt := strings.Contains(r.output, "the change was made, but it may not be on disk")
	unlocked := strings.Contains(r.output, "the change was made, but another may have replaced it") // it cannot tell
	if inDoubt && (call != "fsync" || n != 2) || unlocked && call != "fstat" && call != "newfstatat" {
		t.Errorf("%s: %s", inject, r.output)
	}
	if acknowledged := r.err == nil; changed != (acknowledged || inDoubt || unlocked) || !acknowledged && !strings.HasPrefix(r.output, "housework: ") {
		t.Errorf("%s: changed: %v, %v: %s", inject, changed, r.err, r.output)
	}
	if acknowledged := r.err == nil; acknowledged && call != "close" && call != "newfstatat" {
		t.Errorf("%s: acknowledged all the same", inject)
	}
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
	s := fileOpen(t, path, nil)
	_, err := s.Add(t.Context(), "0.1", fileChores("0.1"))
	fileNoError(t, err)
	fileWant(t, s, "old 0.1")
	return true
}

// The temporary file of a change that fails cannot be removed either: the next one does
// that.
func TestInteropStraceUnlink(t *testing.T) {
	path, old := fileOld(t)
	fileWrite(t, path+".tmp", "[")
	r := fileStrace(t, path, "unlinkat:error=EIO", "once", 1)
	if r.err == nil || fileRead(t, path) != old {
		t.Errorf("the leftover cannot be removed: %v, %s", r.err, r.output)
	}
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock", "list.tmp")
	fileAdd(t, fileOpen(t, path, nil), "new")
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
}

// After the folder could not be put on disk the list is what the file is, and a request
// that is tried again is not acknowledged before the list was written again, with success.
func TestInteropStraceDoubt(t *testing.T) {
	tests := []struct {
		name, inject   string
		ok             bool
		renames, syncs int
	}{
		{"the second time works", "fsync:error=EIO:when=2", true, 2, 4},
		{"the file fails again", "fsync:error=EIO:when=2..3", false, 1, 3},
		{"the folder fails again", "fsync:error=EIO:when=2+2", false, 2, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, _ := fileOld(t)
			r := fileStrace(t, path, tt.inject, "twice", 1)
			if !strings.HasPrefix(r.output, "housework: the change was made, but it may not be on disk") || (r.err == nil) != tt.ok {
				t.Errorf("%v: %s", r.err, r.output)
			}
			if renames, syncs := r.count("renameat"), r.count("fsync"); renames != tt.renames || syncs != tt.syncs {
				t.Errorf("%d renames and %d syncs, want %d and %d:\n%s", renames, syncs, tt.renames, tt.syncs, r.calls)
			}
			fileWant(t, fileOpen(t, path, nil), "old 0.1")
		})
	}
}

// What another process has written may not be on disk yet: before it is the reason of an
// acknowledgement, it is put there, once.
func TestInteropStraceSettle(t *testing.T) {
	tests := []struct {
		name, inject   string
		ok             bool
		renames, syncs int
	}{
		{"works", "", true, 0, 2},
		// A second sync of what has failed would prove nothing.
		{"the file fails", "fsync:error=EIO:when=1", true, 1, 3},
		{"the folder fails", "fsync:error=EIO:when=2", true, 1, 4},
		{"all fails", "fsync:error=EIO", false, 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filePath(t)
			s := fileOpen(t, path, nil)
			_, err := s.Add(t.Context(), "0.1", fileChores("0.1"))
			fileNoError(t, err)
			r := fileStrace(t, path, tt.inject, "twice", 1)
			if (r.err == nil) != tt.ok || (tt.inject != "") != strings.Contains(r.output, "it may not be on disk") {
				t.Errorf("%v: %s", r.err, r.output)
			}
			if renames, syncs := r.count("renameat"), r.count("fsync"); renames != tt.renames || syncs != tt.syncs {
				t.Errorf("%d renames and %d syncs, want %d and %d:\n%s", renames, syncs, tt.renames, tt.syncs, r.calls)
			}
			fileWant(t, s, "0.1")
		})
	}
}

// Nobody can read the new list before it has the mode of the old one.
func TestInteropStraceModes(t *testing.T) {
	path, _ := fileOld(t)
	r := fileStrace(t, path, "", "once", 1)
	if r.err != nil || !strings.Contains(r.calls, `list.tmp", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600)`) {
		t.Errorf("%v: %s\n%s", r.err, r.output, r.calls)
	}
	// The owner comes before the mode, and both before the file is put on disk.
	at := -1
	for _, call := range []string{"write", "fchown", "fchmod", "fsync", "renameat"} {
		i := strings.Index(r.calls, " "+call+"(")
		if i <= at && (call != "fchown" || os.Geteuid() == 0) {
			t.Errorf("%s comes too early:\n%s", call, r.calls)
		}
		at = i
	}
}
