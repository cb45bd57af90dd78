package unixauth

import (
	"fmt"
	"io/fs"
	"net"
)

// Options is how [Listen] makes a socket. The zero value makes one that only the user
// of this process can connect to.
type Options struct {
	// Mode is the permissions of the socket file: who may write may connect. If zero,
	// 0600. The umask has no say in it and, on Linux, neither has a default ACL of the
	// folder.
	Mode fs.FileMode

	// User and Group own the socket file; each is a name or a decimal number. If empty,
	// it is what the system gives a new file. To give it to another user takes the
	// rights of root, to give it to a group membership or the same.
	User, Group string

	// Abstract makes the path, which then begins with @, a name in Linux's abstract
	// namespace. That has no file and so no permissions: whoever is in the network
	// namespace can connect. Mode, User and Group must not be set with it.
	Abstract bool
}

// Listen listens on the Unix stream socket at path. No moment passes in which somebody can
// connect whom the options keep out, and the umask of the process is not touched. If it
// fails it leaves nothing behind. The listener has the methods of a *[net.UnixListener].
//
// That is so on Linux and FreeBSD. On macOS a new file has what the umask leaves until it is
// given its mode, and a connect that begins just then may end when somebody listens;
// a folder that others cannot enter helps.
//
// A socket that is at path already is replaced if it is dead, which is to say that nobody
// listens there, and belongs to this process's user or that of the options. To find out, it
// is connected to. Anything else there is an error that wraps [fs.ErrExist] and says
// what it is; that of a live socket is also syscall.EADDRINUSE.
//
// Of several servers that call Listen for one path, one gets it. They take turns by a
// lock on the folder (flock), which is tried for some seconds. If the process may not
// read the folder, or another keeps it locked, there is no lock, and a dead socket is not
// replaced.
//
// Closing the listener removes the file, unless another has taken its place. After
// SetUnlinkOnClose(false) it stays, for a process that goes on with the descriptor.
//
// Whoever may write the folder of path may replace the socket. Put it where only those
// may write who are trusted, such as a folder of its own in /run. In a folder with the
// sticky bit, such as /tmp, others can take the name before this process does, so that
// Listen fails, and no more. Whoever may read the folder can keep it locked: one of mode
// 0711 lets others connect, and not that.
func Listen(path string, o Options) (net.Listener, error) {
	l, err := listen(path, o)
	if err != nil {
		return nil, fmt.Errorf("unixauth: listen on %q: %w", path, err)
	}
	return l, nil
}
