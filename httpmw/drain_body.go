package httpmw

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// An unreadBody is a request's body that knows what was read of it. To close it is for
// [draining] alone: net/http's Close may first read 256 KiB, without a limit in time, even
// if the client waits for leave to send.
type unreadBody struct {
	body     io.ReadCloser
	declared int64 // -1 if unknown
	asks     bool  // the client need not send anything before the body is read

	// Handlers may hand the body to another goroutine.
	read                  atomic.Int64
	ended, failed, closed atomic.Bool
}

func (b *unreadBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.body.Read(p)
	b.read.Add(int64(n))
	switch {
	case err == io.EOF:
		b.ended.Store(true)
	case err != nil && !errors.Is(err, http.ErrBodyReadAfterClose):
		b.failed.Store(true)
	}
	return n, err
}

// Close ends what the handler can read.
func (b *unreadBody) Close() error {
	b.closed.Store(true)
	return nil
}

const (
	// headerBuffer is how much of a response net/http holds back before its header
	// goes out.
	headerBuffer = 2048

	// sniffed is how much of a source net/http reads before the header goes out.
	sniffed = 512
)

// before sets the deadline for a call that writes n bytes, if they make the header go out:
// then net/http reads the body first. It reports whether it did, for after.
func (d *draining) before(n int) bool {
	b := &d.body
	if d.out || d.fullDuplex || d.hijacked || d.bytes+int64(n) <= headerBuffer || b.asks || b.ended.Load() {
		return false
	}
	d.out = true
	d.until = time.Now().Add(d.maxTime)
	return d.setDeadline(d.until) == nil
}

// after lifts the deadline, for handlers that go on to read. If net/http met it, the
// connection is lost, and the context ended; then it stays, since reading on would be to
// wait for the rest once more.
func (d *draining) after(limited bool) {
	if !limited {
		return
	}
	if d.passed.Context().Err() == nil {
		d.lift()
		return
	}
	d.body.failed.Store(true)
	if time.Now().Before(d.until) {
		d.lift()
	}
}

// Write gives what net/http may read first its time, as do the three that follow.
func (d *draining) Write(p []byte) (int, error) {
	limited := d.before(len(p))
	n, err := d.recording.Write(p)
	d.after(limited)
	return n, err
}

// WriteString is Write for strings.
func (d *draining) WriteString(s string) (int, error) {
	limited := d.before(len(s))
	n, err := d.recording.WriteString(s)
	d.after(limited)
	return n, err
}

// FlushError sends the header in any case.
func (d *draining) FlushError() error {
	limited := d.before(headerBuffer + 1)
	err := d.recording.FlushError()
	d.after(limited)
	return err
}

// ReadFrom does first what net/http would: the source may take its time until its first
// bytes come, and is the one that knows whether there is more than they.
func (d *draining) ReadFrom(src io.Reader) (int64, error) {
	if d.out || d.fullDuplex || d.hijacked || d.body.asks || d.body.ended.Load() {
		return d.recording.ReadFrom(src)
	}
	first, err := io.CopyN(struct{ io.Writer }{d}, src, sniffed)
	if err == io.EOF {
		return first, nil
	}
	if err == nil {
		err = d.FlushError()
	}
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return first, err
	}
	n, err := d.recording.ReadFrom(src)
	return first + n, err
}

// EnableFullDuplex keeps net/http from reading before the header.
func (d *draining) EnableFullDuplex() error {
	err := d.recording.EnableFullDuplex()
	d.fullDuplex = d.fullDuplex || err == nil
	return err
}

// SetReadDeadline notes what the handler sets, for lift.
func (d *draining) SetReadDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.recording.SetReadDeadline(t)
	if err == nil {
		d.own = t
	}
	return err
}

// setDeadline sets a deadline for d itself, unless that of the handler comes first.
func (d *draining) setDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.own.IsZero() && d.own.Before(t) {
		t = d.own
	}
	return lendDeadline(d.w, t)
}

// lift gives the deadline back to the handler. A writer that cannot has set none.
func (d *draining) lift() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.own.IsZero() {
		_ = lendDeadline(d.w, time.Time{})
		return
	}
	_ = d.recording.SetReadDeadline(d.own)
}

// lendDeadline sets a read deadline as http.ResponseController does. The server of NewServer
// does not take it for the handler's, which would be the end of its own limit.
func lendDeadline(w http.ResponseWriter, t time.Time) error {
	for {
		switch s := w.(type) {
		case interface{ lendDeadline(time.Time) error }:
			return s.lendDeadline(t)
		case interface{ SetReadDeadline(time.Time) error }:
			return s.SetReadDeadline(t)
		case interface{ Unwrap() http.ResponseWriter }:
			w = s.Unwrap()
		default:
			return http.ErrNotSupported
		}
	}
}

// lendDeadline asks the core, if it has to know.
func (s *shell) lendDeadline(t time.Time) error {
	if c, ok := s.core.(interface{ lendDeadline(time.Time) error }); ok {
		return c.lendDeadline(t)
	}
	return lendDeadline(s.below, t)
}

// lendDeadline is for a handler that has time left.
func (g *guard) lendDeadline(t time.Time) error {
	if err := g.use(); err != nil {
		return err
	}
	defer g.mu.RUnlock()
	return lendDeadline(g.w, t)
}
