package proxy

import (
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// chunk is how much is copied at once, in bytes. More gains nothing that can be
// measured.
const chunk = 16 << 10

// maxEmpty is how many reads in a row may return nothing.
const maxEmpty = 100

// A buffer is what is copied at once. A flow holds one only while bytes are in it.
type buffer [chunk]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// A flow is one direction of a pair.
type flow struct {
	pair      *pair
	direction Direction
	src, dst  *end
	delivered int64
	stuck     atomic.Bool // waits for the reader of dst
	lost      bool        // bytes that were read have not been delivered
}

// run copies until the end of the stream, an error, or a stop.
func (f *flow) run() {
	defer f.pair.recover()
	if !f.deliver(f.src.head) {
		return
	}
	f.src.head = nil
	if f.src.kernel != nil {
		f.runKernel()
	} else {
		f.copy()
	}
}

// count notes that n bytes were delivered.
func (f *flow) count(n int) {
	if n <= 0 {
		return
	}
	f.delivered += int64(n)
	if c := f.pair.options.Counters; c != nil {
		c.of(f.direction).Add(int64(n))
	}
	f.pair.touch()
}

// tap shows b to the tap.
func (f *flow) tap(b []byte) {
	if f.pair.options.Tap == nil || f.pair.untapped.Load() {
		return
	}
	defer func() {
		// The other direction may be in the tap, and panic, at the same time.
		if cause := recover(); cause != nil && !f.pair.untapped.Swap(true) {
			f.pair.options.logger().Error("panic in tap", "direction", f.direction.String(),
				"panic", cause, "stack", string(debug.Stack()))
		}
	}()
	f.pair.options.Tap(f.direction, b)
}

// deliver writes b by the methods of the connection. If that fails it ends the flow
// and reports false.
func (f *flow) deliver(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	f.tap(b)
	f.stuck.Store(true)
	n, err := f.dst.conn.Write(b)
	f.stuck.Store(false)
	f.count(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		f.lost = true
		f.pair.ended(f, nil, err)
	}
	return err == nil
}

// copy copies by the methods of the connections. It waits with a small buffer, and
// takes a large one while much is coming.
func (f *flow) copy() {
	small := make([]byte, 512)
	var large *buffer
	defer func() {
		if large != nil {
			buffers.Put(large)
		}
	}()
	b := small
	for empty := 0; ; {
		n, err := f.src.conn.Read(b)
		if empty++; n > 0 {
			empty = 0
		}
		if empty == maxEmpty && err == nil {
			err = io.ErrNoProgress
		}
		if !f.deliver(b[:n]) {
			return
		}
		switch {
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			f.pair.ended(f, nil, nil)
			return
		case err != nil:
			f.pair.ended(f, err, nil)
			return
		case n == len(b) && large == nil:
			large = buffers.Get().(*buffer)
			b = large[:]
		case n < len(b) && large != nil:
			buffers.Put(large)
			b, large = small, nil
		}
	}
}
