//go:build linux || darwin || freebsd

package unixauth

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/serve"
)

// maxPath is the longest path that a socket can be bound to, in bytes: a zero follows it in
// the address. A name in the abstract namespace has no such zero at its end, but
// one in the place of the @.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// backlog is how many connections may wait to be accepted. The kernel lowers it to
// what the administrator allows.
const backlog = 1<<16 - 1

func listen(path string, o Options) (net.Listener, error) {
	if err := o.check(path); err != nil {
		return nil, err
	}
	if o.Abstract {
		return listenAbstract(path)
	}
	owner, err := o.owner()
	if err != nil {
		return nil, err
	}
	absolute, err := absolute(path)
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(folderOf(path))
	if err != nil {
		return nil, err
	}
	defer lock.close()

	sock, fd, err := newSocket()
	if err != nil {
		return nil, err
	}
	defer sock.Close() // the listener has a duplicate
	if err := closeToAll(fd); err != nil {
		return nil, err
	}
	if err := take(fd, path, lock, owner); err != nil {
		return nil, err
	}
	info, err := adorn(path, cmp.Or(o.Mode, 0o600), owner)
	file := serve.SocketFile{Path: absolute, Info: info}
	if err != nil {
		return nil, errors.Join(err, file.Remove())
	}
	l, err := start(sock, fd)
	if err != nil {
		return nil, errors.Join(err, file.Remove())
	}
	return &socketListener{UnixListener: l, file: file}, nil
}

// check looks at what needs no system call.
func (o Options) check(path string) error {
	switch {
	case path == "" || path == "@" && o.Abstract:
		return errors.New("the path is empty")
	case strings.IndexByte(path, 0) >= 0:
		return errors.New("the path contains a zero byte")
	case o.Abstract && path[0] != '@':
		return errors.New("the name of an abstract socket begins with @")
	case !o.Abstract && path[0] == '@':
		return fmt.Errorf("a path that begins with @: set Abstract, or write %q for a file", "./"+path)
	case !o.Abstract && len(path) > maxPath:
		return fmt.Errorf("the path has %d bytes, which exceeds the limit of %d: %w", len(path), maxPath, unix.ENAMETOOLONG)
	case len(path) > maxPath+1:
		return fmt.Errorf("the name has %d bytes, which exceeds the limit of %d: %w", len(path), maxPath+1, unix.ENAMETOOLONG)
	case o.Abstract && (o.Mode != 0 || o.User != "" || o.Group != ""):
		return errors.New("an abstract socket has no mode, user or group")
	case o.Abstract && runtime.GOOS != "linux":
		return fmt.Errorf("abstract sockets: %w", errors.ErrUnsupported)
	case o.Mode&^0o777 != 0:
		return fmt.Errorf("the mode %v is more than permissions", o.Mode)
	}
	return nil
}

func listenAbstract(name string) (net.Listener, error) {
	sock, fd, err := newSocket()
	if err != nil {
		return nil, err
	}
	defer sock.Close() // the listener has a duplicate
	if err := bind(fd, name); err != nil {
		return nil, err
	}
	l, err := start(sock, fd)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// newSocket returns a socket that does not block, and its descriptor, which is valid
// until the file is closed.
func newSocket() (*os.File, int, error) {
	fd, err := socket()
	if err != nil {
		return nil, -1, os.NewSyscallError("socket", err)
	}
	return os.NewFile(uintptr(fd), "unix socket"), fd, nil
}

// bind returns an error that wraps fs.ErrExist if the path is taken.
func bind(fd int, path string) error {
	err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
	if err == unix.EADDRINUSE {
		return fmt.Errorf("%w: %w", fs.ErrExist, os.NewSyscallError("bind", err))
	}
	return os.NewSyscallError("bind", err)
}

// start makes a bound socket a listener, by a duplicate of its descriptor.
func start(sock *os.File, fd int) (*net.UnixListener, error) {
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	l, err := net.FileListener(sock)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}
