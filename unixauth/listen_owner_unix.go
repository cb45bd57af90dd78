//go:build linux || darwin || freebsd

package unixauth

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// An owner is whom a socket file is given to; -1 is whom the system gives it to.
type owner struct{ uid, gid int }

// owner looks User and Group up.
func (o Options) owner() (owner, error) {
	uid, err := idOf(o.User, lookupUser)
	if err != nil {
		return owner{}, err
	}
	gid, err := idOf(o.Group, lookupGroup)
	if err != nil {
		return owner{}, err
	}
	return owner{uid, gid}, nil
}

func idOf(name string, lookup func(string) (uint32, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	id, err := lookup(name)
	if err != nil {
		return -1, err
	}
	if id == math.MaxUint32 { // chown would take it for -1
		return -1, fmt.Errorf("%q means nobody", name)
	}
	return int(id), nil
}

// adorn gives the file at path, where a socket was just bound, its mode and its owner. It
// returns what the file is, also with an error if it is ours to remove.
//
// Whoever may write the folder can have put another file there. That one is not
// touched, and neither is a second name of another socket of ours or, on Linux, another
// socket of ours that was moved there.
func adorn(path string, mode fs.FileMode, own owner) (fs.FileInfo, error) {
	b, err := openBound(path)
	if err != nil {
		return nil, err
	}
	defer b.close()
	info, err := b.stat()
	if err != nil {
		return nil, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	if info.Mode().Type() != fs.ModeSocket || int(stat.Uid) != os.Geteuid() || stat.Nlink != 1 || !justBound(info.Mode()) {
		return nil, errors.New("what was made there has been replaced by something else")
	}
	if err := b.dropACL(path); err != nil {
		return info, err
	}
	// The owner comes before the mode: the old one is not to have what the new one shall have.
	if own.uid != -1 || own.gid != -1 {
		if err := b.chown(own.uid, own.gid); err != nil {
			return info, err
		}
	}
	if err := b.chmod(mode); err != nil {
		return info, err
	}
	// There are file systems that keep neither, and say nothing.
	now, err := b.stat()
	if err != nil {
		return info, err
	}
	stat = now.Sys().(*syscall.Stat_t)
	if !os.SameFile(info, now) || now.Mode().Perm() != mode ||
		own.uid != -1 && int(stat.Uid) != own.uid || own.gid != -1 && int(stat.Gid) != own.gid {
		return info, fmt.Errorf("the file is %v of user %d and group %d, whatever is asked for", now.Mode(), stat.Uid, stat.Gid)
	}
	return info, nil
}
