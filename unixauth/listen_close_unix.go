//go:build linux || darwin || freebsd

package unixauth

import (
	"errors"
	"net"
	"sync"

	"github.com/netparts/netparts/internal/serve"
)

// A socketListener is a listener that removes its file.
type socketListener struct {
	*net.UnixListener
	file serve.SocketFile

	mu     sync.Mutex
	closed bool
	keep   bool
}

// SetUnlinkOnClose says whether Close removes the file. It does, unless told otherwise.
func (l *socketListener) SetUnlinkOnClose(unlink bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = !unlink
}

// Close removes the file first, so that nobody connects to what is closed.
func (l *socketListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.keep {
		l.closed = true
		return l.UnixListener.Close() // a second one is the error that it should be
	}
	l.closed = true
	// A server that cannot have the lock, as somebody holds it or it has given its rights
	// up, goes without: as long as this socket is open, nobody replaces it who asks first.
	lock := tryLockFolder(folderOf(l.file.Path))
	defer lock.close()
	return errors.Join(l.file.Remove(), l.UnixListener.Close())
}
