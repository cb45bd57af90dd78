package housework

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// noFollow has nothing to add to what opens a file.
const noFollow = 0

// lockFile locks a file until it is closed, also by the end of the process, and reports
// whether that was possible.
func lockFile(f *os.File) (bool, error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return false, os.NewSyscallError("LockFileEx", err)
}

// keepOwner does nothing: access is inherited from the folder.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// rename renames a file. It tries again for a while, because a file that somebody reads
// cannot be replaced.
func rename(from, to string) error {
	const tries, pause = 100, 10 * time.Millisecond
	for n := 0; ; n++ {
		err := os.Rename(from, to)
		busy := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
		if !busy || n == tries {
			return err
		}
		time.Sleep(pause)
	}
}
