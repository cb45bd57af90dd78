//go:build linux

package lab

import "golang.org/x/sys/unix"

// NeedFiles ends the case where no process may have so many files open, rather than in the
// middle of it.
func (t *T) NeedFiles(n int) {
	var limit unix.Rlimit
	t.Fatal(unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if uint64(n) > limit.Max { // up to which programs of Go raise their own
		t.Fatalf("it takes %d open files in a process, which may have %d: see ulimit -n", n, limit.Max)
	}
}
