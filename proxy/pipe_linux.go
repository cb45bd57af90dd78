//go:build !portable

package proxy

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pipeSize  = 1 << 20     // bytes that a pipe should hold
	sparePipe = time.Second // how long a pipe is kept that nobody takes
	maxSpare  = 16          // pipes
)

// A pipe is what spliced bytes pass through.
type pipe struct{ r, w, size int }

func newPipe() *pipe {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil
	}
	p := &pipe{fds[0], fds[1], 0}
	// It fails for users who have many pipes; then a smaller one may do, or the
	// size is the usual one, and for those with more still a page or two.
	for size := pipeSize; size >= pipeSize/4; size /= 2 {
		if _, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, size); err == nil {
			p.size = size
			return p
		}
	}
	size, err := unix.FcntlInt(uintptr(p.w), unix.F_GETPIPE_SZ, 0)
	if err != nil || size < chunk {
		p.close() // copying does as well
		return nil
	}
	p.size = size
	return p
}

// close closes the pipe.
func (p *pipe) close() {
	// The kernel has no error to tell of a pipe.
	_ = syscall.Close(p.r)
	_ = syscall.Close(p.w)
}

// pipes are the pipes of the process that are empty. They are few, since a flow has
// one only while bytes are in it.
var pipes spares

type spares struct {
	mu     sync.Mutex
	list   []*pipe
	timer  *time.Timer
	lowest int // number of spares since the timer was set
}

// take returns an empty pipe, or nil if there is none to be had.
func (s *spares) take() *pipe {
	s.mu.Lock()
	if n := len(s.list); n > 0 {
		p := s.list[n-1]
		s.list = s.list[:n-1]
		s.lowest = min(s.lowest, n-1)
		s.mu.Unlock()
		return p
	}
	s.mu.Unlock()
	return newPipe()
}

// put keeps an empty pipe for the next one who wants it, for a while.
func (s *spares) put(p *pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == maxSpare {
		p.close()
		return
	}
	s.list = append(s.list, p)
	if s.timer == nil {
		s.timer = time.AfterFunc(sparePipe, s.trim)
		s.lowest = len(s.list)
	}
}

// trim closes the pipes that nobody took since the timer was set.
func (s *spares) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.list[:s.lowest] {
		p.close()
	}
	s.list = append(s.list[:0], s.list[s.lowest:]...)
	if s.lowest = len(s.list); s.lowest == 0 {
		s.timer = nil
		return
	}
	s.timer.Reset(sparePipe)
}
