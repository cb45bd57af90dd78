package unixauth

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	firstPassed = 3    // the first descriptor that is passed
	maxPassed   = 4096 // how many may be passed
	maxFDName   = 255  // the length of a name, as with systemd

	// unnamed is what systemd calls a socket without a name.
	unnamed = "unknown"

	// pidfsMagic is the type of the file system whose inodes stand for processes
	// (PID_FS_MAGIC). Before Linux 6.9 all pidfds have the same inode.
	pidfsMagic = 0x50494446
)

// An environment is the variables of socket activation.
type environment struct{ fds, pid, pidfdID, names string }

// takeEnvironment removes the variables, so that no process that is started later takes
// them for its own.
func takeEnvironment() (environment, error) {
	var e environment
	var errs error
	for name, value := range map[string]*string{
		"LISTEN_FDS": &e.fds, "LISTEN_PID": &e.pid, "LISTEN_PIDFDID": &e.pidfdID, "LISTEN_FDNAMES": &e.names,
	} {
		*value = os.Getenv(name)
		errs = errors.Join(errs, os.Unsetenv(name))
	}
	return e, errs
}

// parse returns how many descriptors are passed to the process of this pid, and their
// names. The process's pidfd has inode id, or 0 if the kernel does not tell. There may be
// a number with an error: so many are to be closed.
func (e environment) parse(pid int, id uint64) (n int, names []string, err error) {
	if e.fds == "" || e.pid == "" {
		return 0, nil, nil
	}
	forPID, err := strconv.ParseUint(e.pid, 10, 31)
	if err != nil || forPID == 0 {
		return 0, nil, fmt.Errorf("LISTEN_PID is %.50q", e.pid)
	}
	if forPID != uint64(pid) {
		return 0, nil, nil
	}
	if e.pidfdID != "" {
		forID, err := strconv.ParseUint(e.pidfdID, 10, 64)
		if err != nil {
			return 0, nil, fmt.Errorf("LISTEN_PIDFDID is %.50q", e.pidfdID)
		}
		if id != 0 && forID != id {
			return 0, nil, nil // a process that had our pid before
		}
	}
	count, err := strconv.ParseUint(e.fds, 10, 31)
	if err != nil || count == 0 || count > maxPassed {
		return 0, nil, fmt.Errorf("LISTEN_FDS is %.50q, want 1 to %d", e.fds, maxPassed)
	}
	n = int(count)
	names, err = parseNames(e.names, n)
	return n, names, err
}

// parseNames returns n names.
func parseNames(s string, n int) ([]string, error) {
	if s == "" {
		return slices.Repeat([]string{unnamed}, n), nil
	}
	if got := strings.Count(s, ":") + 1; got != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES has %d names of %d descriptors", got, n)
	}
	names := strings.Split(s, ":")
	for _, name := range names {
		if len(name) > maxFDName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("LISTEN_FDNAMES has the name %.300q", name)
		}
	}
	return names, nil
}

func activate() ([]Activated, error) {
	all, err := takeActivated()
	if err != nil {
		return nil, fmt.Errorf("unixauth: socket activation: %w", err)
	}
	return all, nil
}

// takeActivated returns the listeners. The descriptors themselves are closed.
func takeActivated() (all []Activated, err error) {
	e, err := takeEnvironment()
	if err != nil {
		return nil, err
	}
	n, names, err := e.parse(os.Getpid(), ownID())
	files, passErr := passedFiles(n)
	defer func() {
		for _, f := range files {
			f.Close() // the listeners have duplicates
		}
	}()
	if err = errors.Join(err, passErr); err != nil {
		return nil, err
	}
	for i, f := range files {
		l, err := listenerOf(f, firstPassed+i)
		if err != nil {
			for _, a := range all {
				a.Listener.Close() // that error is the one to tell
			}
			return nil, fmt.Errorf("descriptor %d: %w", firstPassed+i, err)
		}
		all = append(all, Activated{names[i], l})
	}
	return all, nil
}

// ownID returns the inode of this process's pidfd, or 0 if the kernel has none.
func ownID() uint64 {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd) // nothing was written
	var fs unix.Statfs_t
	var stat unix.Stat_t
	if unix.Fstatfs(fd, &fs) != nil || int64(fs.Type) != pidfsMagic || unix.Fstat(fd, &stat) != nil {
		return 0
	}
	return stat.Ino
}

// passedFiles returns n files that were passed, or with the first error those that were.
func passedFiles(n int) (files []*os.File, firstErr error) {
	for fd := firstPassed; fd < firstPassed+n; fd++ {
		f, err := passedFile(fd)
		if err != nil {
			firstErr = cmp.Or(firstErr, err)
			continue
		}
		files = append(files, f)
	}
	return files, firstErr
}

// passedFile returns descriptor fd if this process was started with it. One that closes on
// exec cannot have been passed: it is something else that the program has open, and not ours
// to close.
func passedFile(fd int) (*os.File, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, os.NewSyscallError("fcntl", err))
	}
	if flags&unix.FD_CLOEXEC != 0 {
		return nil, fmt.Errorf("descriptor %d was not passed to this process", fd)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "activated socket"), nil
}

// listenerOf returns the listener of a passed file.
func listenerOf(f *os.File, fd int) (net.Listener, error) {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	switch {
	case !slices.Contains([]int{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}, family):
		return nil, fmt.Errorf("a socket of address family %d", family)
	case typ != unix.SOCK_STREAM:
		return nil, errors.New("no stream socket")
	case listens == 0:
		return nil, errors.New("a socket that does not listen")
	}
	return net.FileListener(f)
}
