package tlv

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

const (
	// bufferSize is how much a Buffered Writer gathers, and the largest buffer
	// that a Writer keeps between calls: a value of 64 KiB with its header.
	bufferSize = 64<<10 + HeaderSize

	// vectorSize is the length from which a value is handed to the kernel from
	// where it is, by writev, rather than copied behind its header first.
	vectorSize = 16 << 10

	// copySize is the least buffer through which a value is streamed where the
	// kernel does not move it.
	copySize = 16 << 10
)

// A Writer writes records to a stream. It is safe for concurrent use: records
// never mix, and the records of one call stay together.
//
// After an error of the underlying writer every call returns that error, since
// part of a record may have gone out. A Writer must be made by [NewWriter].
type Writer struct {
	// Limit is the length in bytes of the largest value that Write and Stream
	// accept; what the peer accepts is up to the peer. If zero, it is
	// DefaultLimit. If negative, it is the format's 4 GiB - 1. It must not be
	// changed after the first call.
	Limit int64

	// Buffered makes the Writer gather records, up to 64 KiB, until Flush is
	// called or the buffer is full. A value of 16 KiB or more is not copied
	// into it but goes out at once, behind what was gathered. If false, a
	// record is on its way when the call returns. It must not be changed
	// after the first call.
	Buffered bool

	mu     sync.Mutex
	w      io.Writer
	vector bool   // w takes net.Buffers in one system call
	buf    []byte // what is to be written next
	err    error  // the first error of w
}

// NewWriter returns a Writer that writes to w. It needs no bufio.Writer around
// w, and would lose by one: see the field Buffered.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, vector: canVector(w)}
}

// Write writes records, in order and with nothing of other calls between them.
// Unless the Writer is Buffered they go out in one Write call of the underlying
// writer; if that is a TCP or Unix connection, values of 16 KiB or more go out by
// writev instead, without being copied. The values may be reused when Write
// returns.
//
// If a record is too large ([ErrTooLarge]) or has the type 0
// ([ErrInvalidType]), none is written and the Writer has not failed.
func (w *Writer) Write(records ...Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	limit := limitOf(w.Limit)
	for i := range records {
		if err := check(records[i].Type, uint64(len(records[i].Value)), limit); err != nil {
			return err
		}
	}
	for i := range records {
		rec := &records[i]
		if n := len(rec.Value); n < vectorSize && HeaderSize+n <= cap(w.buf)-len(w.buf) {
			w.buf = appendRecord(w.buf, *rec)
		} else if err := w.add(*rec); err != nil {
			return err
		}
	}
	if w.Buffered {
		return nil
	}
	return w.flush()
}

// Stream writes one record whose value is the next size bytes of value, for
// values that need not be in memory whole. Other calls wait until it is done.
//
// A value of up to 64 KiB is read whole before anything is written: if its source
// ends early or fails, the record is not written and the Writer has not failed.
// Past that the header has gone out by then, and the record cannot be completed:
// the Writer has failed. Either way the error wraps [io.ErrUnexpectedEOF] or the
// cause.
//
// A larger value goes from a file to a TCP connection without passing through
// this process, where the system can do that.
func (w *Writer) Stream(t Type, size int64, value io.Reader) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if size < 0 {
		return fmt.Errorf("tlv: stream of %d bytes", size)
	}
	if err := check(t, uint64(size), limitOf(w.Limit)); err != nil {
		return err
	}
	if HeaderSize+size > bufferSize {
		return w.streamLarge(t, size, value)
	}
	if len(w.buf)+HeaderSize+int(size) > bufferSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	b := appendHeader(w.grow(HeaderSize+int(size)), t, uint32(size))
	n := len(b)
	b = b[:n+int(size)]
	src := &source{r: value}
	if got, err := src.full(b[n:]); err != nil {
		return streamError(int64(got), size, err)
	}
	w.buf = b
	if w.Buffered {
		return nil
	}
	return w.flush()
}

// Flush writes what a Buffered Writer has gathered.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	return w.flush()
}

// add puts a record into the buffer, or sends it with what is there.
func (w *Writer) add(rec Record) error {
	switch size := len(rec.Value); {
	case size >= vectorSize && (w.vector || w.Buffered):
		w.buf = appendHeader(w.buf, rec.Type, uint32(size))
		return w.flushWith(rec.Value)
	case w.Buffered && len(w.buf)+HeaderSize+size > bufferSize:
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.buf = appendRecord(w.grow(HeaderSize+len(rec.Value)), rec)
	return nil
}

// grow returns the buffer with room for n more bytes. Its capacity doubles, and
// passes bufferSize only where it must.
func (w *Writer) grow(n int) []byte {
	need, twice := len(w.buf)+n, 2*cap(w.buf)
	switch {
	case need <= cap(w.buf):
		return w.buf
	case need <= bufferSize:
		twice = min(twice, bufferSize)
	}
	return append(make([]byte, 0, max(need, twice)), w.buf...)
}

// flush writes the buffer and empties it.
func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := writeAll(w.w, w.buf)
	return w.written(err)
}

// flushWith writes the buffer and then value, in one call where w.w can.
func (w *Writer) flushWith(value []byte) error {
	if w.vector {
		_, err := writeVector(w.w, w.buf, value)
		return w.written(err)
	}
	if err := w.flush(); err != nil {
		return err
	}
	_, err := writeAll(w.w, value)
	return w.written(err)
}

// streamLarge sends a record whose value is too long for the buffer.
func (w *Writer) streamLarge(t Type, size int64, value io.Reader) error {
	w.buf = appendHeader(w.buf, t, uint32(size))
	if err := w.flush(); err != nil {
		return err
	}
	// From here on the peer waits for the rest: also if value panics.
	w.err = errors.New("tlv: a streamed value was not completed")
	var n int64
	var err error
	if _, isFile := value.(*os.File); isFile && w.vector {
		n, err = io.CopyN(w.w, value, size)
	} else {
		n, err = w.copyThrough(size, value)
	}
	w.err = nil
	if err != nil {
		w.err = streamError(n, size, err)
	}
	return w.err
}

// copyThrough copies size bytes of value through the buffer, which is empty.
func (w *Writer) copyThrough(size int64, value io.Reader) (n int64, err error) {
	w.buf = w.grow(copySize)
	buf := w.buf[:cap(w.buf)]
	for src := (&source{r: value}); n < size; {
		m, err := src.read(buf[:min(int64(len(buf)), size-n)])
		if err != nil {
			return n, err
		}
		done, err := writeOnce(w.w, buf[:m])
		n += int64(done)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// streamError reports why a streamed value was not completed.
func streamError(done, size int64, err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("tlv: streaming a value, %d of %d bytes done: %w", done, size, err)
}

// written empties the buffer and keeps the first error of the writer.
func (w *Writer) written(err error) error {
	w.err = err
	w.buf = w.buf[:0]
	if cap(w.buf) > bufferSize {
		w.buf = nil
	}
	return err
}

// writeAll writes p in one call.
func writeAll(w io.Writer, p []byte) (int64, error) {
	n, err := writeOnce(w, p)
	if err != nil {
		err = fmt.Errorf("tlv: writing %d bytes, %d done: %w", len(p), n, err)
	}
	return int64(n), err
}

// writeOnce makes one Write call. A writer that takes less without saying why
// gets io.ErrShortWrite.
func writeOnce(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	if n < 0 || n > len(p) {
		return 0, errors.New("writer returned an impossible count from Write")
	}
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// writeVector writes head and value in one system call where the socket has
// room for both.
func writeVector(w io.Writer, head, value []byte) (int64, error) {
	vector := net.Buffers{head, value}
	n, err := vector.WriteTo(w)
	if err != nil {
		err = fmt.Errorf("tlv: writing %d bytes, %d done: %w", len(head)+len(value), n, err)
	}
	return n, err
}

// canVector reports whether net.Buffers are one system call for w. A wrapper
// around such a connection is not one: its own Write must see the bytes.
func canVector(w io.Writer) bool {
	switch w.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}
