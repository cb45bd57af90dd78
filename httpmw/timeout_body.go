package httpmw

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// A guardedBody is the body that a handler with a limit reads.
type guardedBody struct {
	io.ReadCloser
	over *atomic.Bool
	eof  atomic.Bool

	// Reads and Close hold mu for reading, so that with HTTP/2 Close can end a read, and
	// taking the body from the handler holds mu for writing.
	mu sync.RWMutex
}

// Read implements io.Reader.
func (b *guardedBody) Read(p []byte) (int, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.over.Load() {
		return 0, http.ErrHandlerTimeout
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.eof.Store(true)
	}
	if err != nil && b.over.Load() && !b.eof.Load() {
		err = http.ErrHandlerTimeout
	}
	return n, err
}

// Close implements io.Closer.
func (b *guardedBody) Close() error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.over.Load() {
		return nil // the server closes what is its own
	}
	return b.ReadCloser.Close()
}

// take waits until nothing uses the body any more, which interrupt sees to if it can.
func (b *guardedBody) take(interrupt func() bool) {
	if !b.mu.TryLock() {
		if !interrupt() {
			return // without deadlines the read ends when the client wants it to
		}
		b.mu.Lock()
	} else if !b.eof.Load() {
		// The server reads on to see where the next request begins, and the client
		// may send nothing.
		interrupt()
	}
	b.mu.Unlock()
}
