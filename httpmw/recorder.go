package httpmw

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// A Recorder knows what a handler has sent. Like the writer that it belongs to, it is for
// one goroutine at a time.
type Recorder struct {
	shell    shell
	w        http.ResponseWriter
	status   int // 0 until the final header
	bytes    int64
	err      error
	source   source
	hijacked bool
	stack    []byte // of a panic on another goroutine
	panicked string // the type of what Recover has ended
}

// Record returns a writer for middleware of one's own to pass on in place of w, and what
// records the response that goes through it. The writer implements [http.Flusher],
// [http.Hijacker], [http.Pusher] and [io.ReaderFrom] exactly if w does, and Unwrap for
// [http.ResponseController].
//
// All middleware of a chain shares one Recorder: if w already has one, Record returns that,
// with what it has recorded so far, and w itself. Behind [Timeout], or a writer of another
// package, a new one begins.
func Record(w http.ResponseWriter) (*Recorder, http.ResponseWriter) {
	if rec := recorderOf(w); rec != nil {
		return rec, w
	}
	rec := new(Recorder)
	return rec, rec.over(w)
}

// recorderOf returns the recorder that w belongs to, or nil.
func recorderOf(w http.ResponseWriter) *Recorder {
	if v, ok := w.(interface{ recorder() *Recorder }); ok {
		return v.recorder()
	}
	return nil
}

// over makes r, which must be zero, the recorder over w, and returns its view.
func (r *Recorder) over(w http.ResponseWriter) http.ResponseWriter {
	r.w = w
	r.shell = shell{core: (*recording)(r), below: w, rec: r}
	return expose(&r.shell, w)
}

// Status returns the status of the final response, and 0 as long as there is none. To a
// handler that returns without one net/http answers 200, unless it has hijacked the
// connection. 101 Switching Protocols counts as final, other informational ones do not.
func (r *Recorder) Status() int { return r.status }

// Bytes returns how many bytes of the body the handler has written. What it writes for a
// HEAD request counts, although it is not sent.
func (r *Recorder) Bytes() int64 { return r.bytes }

// Err returns the first error that a write or a flush returned. Three are none of the
// response: [http.ErrBodyNotAllowed], as when there is a body to a 304 that goes out without
// it; [http.ErrNotSupported], from a flush; and those that ReadFrom got from its source.
func (r *Recorder) Err() error { return r.err }

// Hijacked reports whether the handler has taken the connection.
func (r *Recorder) Hijacked() bool { return r.hijacked }

// recording is the writer of a Recorder, apart from it so that a Recorder has no methods
// that write.
type recording Recorder

// Header implements http.ResponseWriter.
func (r *recording) Header() http.Header { return r.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (r *recording) WriteHeader(status int) {
	// It comes first, as it panics with what is no status. One after the final status
	// it reports itself.
	r.w.WriteHeader(status)
	if status >= 200 || status == http.StatusSwitchingProtocols {
		r.begin(status)
	}
}

// begin notes the final status, if it is the first.
func (r *recording) begin(status int) {
	if r.status == 0 && !r.hijacked {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *recording) Write(p []byte) (int, error) {
	r.begin(http.StatusOK)
	n, err := r.w.Write(p)
	return n, r.wrote(int64(n), err)
}

// WriteString implements io.StringWriter.
func (r *recording) WriteString(s string) (int, error) {
	r.begin(http.StatusOK)
	n, err := io.WriteString(r.w, s)
	return n, r.wrote(int64(n), err)
}

// wrote counts what was written, and returns err.
func (r *recording) wrote(n int64, err error) error {
	r.bytes += n
	if err != nil && r.err == nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		r.err = err
	}
	return err
}

// A source is what ReadFrom reads, and knows its error.
type source struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// isKernels reports whether package net may have the kernel copy from src.
func isKernels(src io.Reader) bool {
	if l, ok := src.(*io.LimitedReader); ok {
		src = l.R
	}
	_, ok := src.(syscall.Conn)
	return ok
}

// ReadFrom passes a file on as it is, so that the kernel still sends it. Every other source
// is watched, to tell its errors from those of the response.
func (r *recording) ReadFrom(src io.Reader) (int64, error) {
	to, ok := r.w.(io.ReaderFrom)
	if !ok {
		return 0, http.ErrNotSupported
	}
	var n int64
	var err error
	var failed bool // src
	if isKernels(src) {
		n, err = to.ReadFrom(src)
		_, failed = errors.AsType[*fs.PathError](err) // those of files are
	} else {
		r.source = source{Reader: src}
		n, err = to.ReadFrom(&r.source)
		failed = r.source.err != nil && errors.Is(err, r.source.err)
		r.source = source{}
	}
	if n > 0 || err != nil && !failed { // an empty source does not begin the response
		r.begin(http.StatusOK)
	}
	if failed {
		r.bytes += n
		return n, err
	}
	return n, r.wrote(n, err)
}

// FlushError is what http.ResponseController asks for.
func (r *recording) FlushError() error {
	err := http.NewResponseController(r.w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return err
	}
	r.begin(http.StatusOK) // one that fails was begun all the same
	return r.wrote(0, err)
}

// Hijack implements http.Hijacker.
func (r *recording) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(r.w).Hijack()
	r.hijacked = r.hijacked || err == nil
	return conn, rw, err
}

// Push implements http.Pusher.
func (r *recording) Push(target string, opts *http.PushOptions) error {
	p, ok := r.w.(http.Pusher)
	if !ok {
		return http.ErrNotSupported
	}
	return p.Push(target, opts)
}

// SetReadDeadline is what http.ResponseController asks for.
func (r *recording) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(r.w).SetReadDeadline(t)
}

// SetWriteDeadline is what http.ResponseController asks for.
func (r *recording) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(r.w).SetWriteDeadline(t)
}

// EnableFullDuplex is what http.ResponseController asks for.
func (r *recording) EnableFullDuplex() error {
	return http.NewResponseController(r.w).EnableFullDuplex()
}
