//go:build linux || darwin || freebsd

package unixauth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/serve"
)

// take binds a socket to path, and removes a dead one that is in the way.
func take(fd int, path string, lock folderLock, own owner) error {
	var err error
	// What is in the way may go away by itself, and another come.
	for range 3 {
		if err = bind(fd, path); !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := clearAway(path, lock, own); err != nil {
			return err
		}
	}
	return err
}

// clearAway removes the dead socket at path. The error says why it cannot, and is nil if
// there is nothing any more.
func clearAway(path string, lock folderLock, own owner) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there: %w", nameOf(info.Mode()), fs.ErrExist)
	}
	// A socket of somebody else, who could make another at any moment, is none of
	// our business, even if root could remove it.
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() && uid != own.uid {
		return fmt.Errorf("a socket of user %d is there: %w", uid, fs.ErrExist)
	}
	err = probe(path)
	if errors.Is(err, fs.ErrPermission) && lock.folder != nil {
		err = probeClosed(path, info)
	}
	if err != nil {
		return err
	}
	if lock.folder == nil {
		return fmt.Errorf("a dead socket is there, and is not replaced without a lock of the folder: %w: %w", fs.ErrExist, lock.err)
	}
	return serve.SocketFile{Path: path, Info: info}.Remove()
}

// probeClosed is probe where not even the owner may connect, as where a Listen was killed
// before it gave the file its mode. For the time of a connect the owner may.
func probeClosed(path string, info fs.FileInfo) (err error) {
	b, err := openBound(path)
	if err != nil {
		return err
	}
	defer b.close()
	now, err := b.stat()
	if err != nil {
		return err
	}
	if !os.SameFile(info, now) {
		return fmt.Errorf("another socket has come: %w", fs.ErrExist)
	}
	if err := b.chmod(now.Mode().Perm() | 0o200); err != nil {
		return fmt.Errorf("a socket is there that may be live: %w: %w", fs.ErrExist, err)
	}
	if err = probe(path); err != nil {
		return errors.Join(err, b.chmod(now.Mode().Perm()))
	}
	return nil
}

// nameOf returns what is no socket.
func nameOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "a regular file"
	case fs.ModeDir:
		return "a folder"
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeNamedPipe:
		return "a named pipe"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return "a device"
	}
	return "something else"
}

// probe returns nil if nobody listens at path.
func probe(path string) error {
	sock, fd, err := newSocket()
	if err != nil {
		return err
	}
	defer sock.Close() // nothing was written
	for {
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
		if err != unix.EINTR {
			break
		}
	}
	switch err {
	case unix.ECONNREFUSED, unix.ENOENT:
		return nil
	case nil, unix.EAGAIN, unix.EINPROGRESS, unix.EPROTOTYPE:
		// It was accepted, its backlog is full, or it is of another kind: a socket that
		// nobody has open any more is of no kind.
		return fmt.Errorf("a live socket is there: %w: %w", fs.ErrExist, unix.EADDRINUSE)
	}
	return fmt.Errorf("a socket is there that may be live: %w: %w", fs.ErrExist, os.NewSyscallError("connect", err))
}
