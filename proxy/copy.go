package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// lastWords is how long one way of a [Copy] gets when the other one has ended, and
// nothing else would end it.
const lastWords = time.Second

// Copy copies from src to dst until src ends, and returns how many bytes that were. If
// both are connections the replies of dst flow back to src at the same time.
//
// A connection is what can be read and written, and has a CloseWrite method or is a
// [net.Conn]. A file or a [bytes.Buffer] is none: what would come back from it is
// what has just been written.
//
// With replies, the end of each way is passed on by CloseWrite, and Copy returns when
// both ways have ended. If the end cannot be passed on, or after an error, the other
// way has one second left, after which it is cut off by deadlines, which are cleared
// before Copy returns; what has no deadlines is waited for. The error combines those of
// both ways, but for that of being cut off.
//
// Copy closes neither src nor dst, and knows no other limit of time. [Relay] does,
// and costs less between connections.
func Copy(dst io.Writer, src io.Reader) (int64, error) {
	replies, readable := dst.(io.Reader)
	back, writable := src.(io.Writer)
	if !readable || !writable || !isConnection(dst) || !isConnection(src) {
		return io.Copy(dst, src)
	}
	forth := &way{dst: dst, src: src}
	reply := &way{dst: back, src: replies}
	var replied sync.WaitGroup
	replied.Go(func() { reply.run(forth) })
	n := forth.run(reply)
	replied.Wait()
	forth.unhurry()
	reply.unhurry()
	return n, errors.Join(forth.err, reply.err)
}

// isConnection reports whether what is read from v is something else than what was
// written to it.
func isConnection(v any) bool {
	_, isConn := v.(net.Conn)
	_, halfCloses := v.(interface{ CloseWrite() error })
	return isConn || halfCloses
}

// A way is one of the two of a Copy with replies.
type way struct {
	dst     io.Writer
	src     io.Reader
	hurried atomic.Bool
	err     error
}

// run copies and passes the end on, or else sees to it that the other way ends.
func (w *way) run(other *way) int64 {
	n, err := io.Copy(w.dst, w.src)
	if w.hurried.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // it is the other way that has something to tell
	}
	w.err = err
	if told := endStream(w.dst); err != nil || !told {
		other.hurry()
	}
	return n
}

// endStream ends the stream to w, and reports whether that could be done.
func endStream(w io.Writer) bool {
	half, ok := w.(interface{ CloseWrite() error })
	if !ok {
		return false
	}
	err := half.CloseWrite()
	// An error of the system, as of a connection that was reset, is told by
	// reading too.
	_, told := errors.AsType[syscall.Errno](err)
	return err == nil || told || errors.Is(err, net.ErrClosed)
}

// hurry makes the copying end soon, also if it waits for a reader.
func (w *way) hurry() {
	w.hurried.Store(true)
	w.setDeadlines(time.Now().Add(lastWords))
}

// unhurry takes the deadlines of hurry back.
func (w *way) unhurry() {
	if w.hurried.Load() {
		w.setDeadlines(time.Time{})
	}
}

// setDeadlines fails only if the connection is closed, which ends the copying too, or
// has no deadlines.
func (w *way) setDeadlines(t time.Time) {
	if src, ok := w.src.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = src.SetReadDeadline(t)
	}
	if dst, ok := w.dst.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = dst.SetWriteDeadline(t)
	}
}
