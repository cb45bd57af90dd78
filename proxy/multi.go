package proxy

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"go.uber.org/multierr"
)

// MultiWriter returns a writer that writes to all sinks, also when some of them fail:
// each one gets every write. Calls of Write may come from several goroutines; the
// sinks get them one after the other, whole, and in the same order.
//
// The count of a Write is that of the sink that took least. Its error combines those
// of the sinks by go.uber.org/multierr, each with the index of its sink; a sink that
// takes less without an error has [io.ErrShortWrite], and one that panics has an error
// that says so. Without sinks all is taken.
//
// An error ends most loops that write, and with it what the other sinks get. It does
// not end [io.Copy], since the writer is an [io.ReaderFrom]: each sink gets what an
// io.Copy to it alone would have brought, up to its own first error, and io.Copy
// returns the errors at the end, or when all sinks have failed. What it reads at once
// is one write, between which others may come. Its count is of bytes that were read.
// A source whose own WriteTo makes several writes, as that of a [bufio.Reader] and of
// an [io.MultiReader], ends at an error nevertheless; struct{ io.Reader }{source} hides
// that method.
func MultiWriter(sinks ...io.Writer) io.Writer {
	return &multiWriter{sinks: slices.Clone(sinks)}
}

// errBadCount is the error of a sink that has broken the rules of io.Writer.
var errBadCount = errors.New("invalid count of written bytes")

type multiWriter struct {
	mu    sync.Mutex
	sinks []io.Writer
}

// Write implements io.Writer.
func (w *multiWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	least, errs := len(b), error(nil)
	for i := range w.sinks {
		n, err := w.writeTo(i, b)
		least, errs = min(least, n), multierr.Append(errs, err)
	}
	return least, errs
}

// ReadFrom implements io.ReaderFrom.
func (w *multiWriter) ReadFrom(r io.Reader) (int64, error) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	var total int64
	var errs error
	failed := make([]bool, len(w.sinks))
	for {
		n, err := r.Read(b[:])
		total += int64(n)
		if n > 0 {
			errs = multierr.Append(errs, w.writeToRest(b[:n], failed))
		}
		if err == io.EOF {
			return total, errs
		}
		if err != nil {
			return total, multierr.Append(errs, err)
		}
		if len(failed) > 0 && !slices.Contains(failed, false) {
			return total, errs
		}
	}
}

// writeToRest writes to the sinks that have not failed, and notes those that do.
func (w *multiWriter) writeToRest(b []byte, failed []bool) (errs error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.sinks {
		if failed[i] {
			continue // what follows a gap is of no use
		}
		_, err := w.writeTo(i, b)
		failed[i] = err != nil
		errs = multierr.Append(errs, err)
	}
	return errs
}

// writeTo writes to one sink. Its count is from 0 to len(b), and less than that only
// with an error.
func (w *multiWriter) writeTo(i int, b []byte) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			n, err = 0, newPanicError("Write", cause)
		}
		if err != nil {
			err = fmt.Errorf("proxy: sink %d: %w", i, err)
		}
	}()
	n, err = w.sinks[i].Write(b)
	switch {
	case n < 0 || n > len(b):
		return 0, errors.Join(errBadCount, err)
	case n < len(b) && err == nil:
		err = io.ErrShortWrite
	}
	return n, err
}
