package httpmw

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// A core is a writer that has every ability, in name: those that the writer below it
// lacks return [http.ErrNotSupported].
type core interface {
	http.ResponseWriter
	io.StringWriter
	io.ReaderFrom
	http.Hijacker
	http.Pusher
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

// A shell is what the views of one core share.
type shell struct {
	core  core
	below http.ResponseWriter // what Unwrap returns
	rec   *Recorder           // nil if the core does not record
}

// The methods that every view has.

// Header implements http.ResponseWriter.
func (s *shell) Header() http.Header { return s.core.Header() }

// WriteHeader implements http.ResponseWriter.
func (s *shell) WriteHeader(status int) { s.core.WriteHeader(status) }

// Write implements http.ResponseWriter.
func (s *shell) Write(p []byte) (int, error) { return s.core.Write(p) }

// WriteString implements io.StringWriter.
func (s *shell) WriteString(p string) (int, error) { return s.core.WriteString(p) }

// SetReadDeadline is what http.ResponseController asks for.
func (s *shell) SetReadDeadline(t time.Time) error { return s.core.SetReadDeadline(t) }

// SetWriteDeadline is what http.ResponseController asks for.
func (s *shell) SetWriteDeadline(t time.Time) error { return s.core.SetWriteDeadline(t) }

// EnableFullDuplex is what http.ResponseController asks for.
func (s *shell) EnableFullDuplex() error { return s.core.EnableFullDuplex() }

func (s *shell) recorder() *Recorder { return s.rec }

// FlushError makes no http.Flusher. Every view has it, as an http.ResponseController would
// otherwise go past the core to what is below.
func (s *shell) FlushError() error { return s.core.FlushError() }

// Unwrap returns what is below, as far as that does not go past the core.
func (s *shell) Unwrap() http.ResponseWriter {
	if _, ok := s.below.(http.Hijacker); ok {
		return s.below // then so is the view, and an http.ResponseController stops at it
	}
	return passage{s}
}

// A passage stands between a view and a writer that does not hijack itself, although it may
// unwrap one that does. Only an http.ResponseController looks there, and the core has to
// know of what it takes.
type passage struct{ *shell }

// Hijack implements http.Hijacker.
func (p passage) Hijack() (net.Conn, *bufio.ReadWriter, error) { return p.core.Hijack() }

// Unwrap is what http.ResponseController asks for.
func (p passage) Unwrap() http.ResponseWriter { return p.below }

// expose returns the view of a core that has exactly the abilities that w has.
//
// The idea: a view is a struct of one pointer, nested once for each ability, so that
// making an interface of it allocates nothing, and each method is written once for each
// type that adds it. An http.ResponseWriter with an ability that it only pretends to
// have would break handlers that look for another way when it is missing.
func expose(s *shell, w http.ResponseWriter) http.ResponseWriter {
	var has int
	if _, ok := w.(http.Flusher); ok {
		has |= 1
	}
	if _, ok := w.(http.Hijacker); ok {
		has |= 2
	}
	if _, ok := w.(http.Pusher); ok {
		has |= 4
	}
	if _, ok := w.(io.ReaderFrom); ok {
		has |= 8
	}
	v := view{s}
	switch has {
	case 1:
		return viewF{v}
	case 2:
		return viewH{v}
	case 1 | 2:
		return viewFH{viewF{v}}
	case 4:
		return viewP{v}
	case 1 | 4:
		return viewFP{viewF{v}}
	case 2 | 4:
		return viewHP{viewH{v}}
	case 1 | 2 | 4:
		return viewFHP{viewFH{viewF{v}}}
	case 8:
		return viewR{v}
	case 1 | 8:
		return viewFR{viewF{v}}
	case 2 | 8:
		return viewHR{viewH{v}}
	case 1 | 2 | 8:
		return viewFHR{viewFH{viewF{v}}}
	case 4 | 8:
		return viewPR{viewP{v}}
	case 1 | 4 | 8:
		return viewFPR{viewFP{viewF{v}}}
	case 2 | 4 | 8:
		return viewHPR{viewHP{viewH{v}}}
	case 1 | 2 | 4 | 8:
		return viewFHPR{viewFHP{viewFH{viewF{v}}}}
	}
	return v
}

// The views: F flushes, H hijacks, P pushes, R reads from.
type (
	view     struct{ *shell }
	viewF    struct{ view }
	viewH    struct{ view }
	viewFH   struct{ viewF }
	viewP    struct{ view }
	viewFP   struct{ viewF }
	viewHP   struct{ viewH }
	viewFHP  struct{ viewFH }
	viewR    struct{ view }
	viewFR   struct{ viewF }
	viewHR   struct{ viewH }
	viewFHR  struct{ viewFH }
	viewPR   struct{ viewP }
	viewFPR  struct{ viewFP }
	viewHPR  struct{ viewHP }
	viewFHPR struct{ viewFHP }
)

// Flush has no result to put an error in.
func (v viewF) Flush() { _ = v.core.FlushError() }

// Hijack implements http.Hijacker.
func (v viewH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return v.core.Hijack() }

// Hijack implements http.Hijacker.
func (v viewFH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return v.core.Hijack() }

// Push implements http.Pusher.
func (v viewP) Push(t string, o *http.PushOptions) error { return v.core.Push(t, o) }

// Push implements http.Pusher.
func (v viewFP) Push(t string, o *http.PushOptions) error { return v.core.Push(t, o) }

// Push implements http.Pusher.
func (v viewHP) Push(t string, o *http.PushOptions) error { return v.core.Push(t, o) }

// Push implements http.Pusher.
func (v viewFHP) Push(t string, o *http.PushOptions) error { return v.core.Push(t, o) }

// ReadFrom implements io.ReaderFrom.
func (v viewR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// ReadFrom implements io.ReaderFrom.
func (v viewFR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// ReadFrom implements io.ReaderFrom.
func (v viewHR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// ReadFrom implements io.ReaderFrom.
func (v viewFHR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// ReadFrom implements io.ReaderFrom.
func (v viewPR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// ReadFrom implements io.ReaderFrom.
func (v viewFPR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// ReadFrom implements io.ReaderFrom.
func (v viewHPR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// ReadFrom implements io.ReaderFrom.
func (v viewFHPR) ReadFrom(r io.Reader) (int64, error) { return v.core.ReadFrom(r) }

// carry brings back to r what the handlers behind have left in the copy that they were
// given: the pattern that an http.ServeMux found, for the middleware outside, and the form,
// whose temporary files net/http removes when it is done with r. A middleware that passes
// a copy on defers it, so that it happens after a panic too.
func carry(r, passed *http.Request) {
	r.Pattern = passed.Pattern
	r.MultipartForm = passed.MultipartForm
}

// shareTrailer is for a middleware that is about to pass a copy of r on. Trailers that were
// not announced net/http puts into its own request, where handlers behind do not see them,
// unless there is a map for them already.
func shareTrailer(r *http.Request) {
	if r.Trailer == nil && r.ProtoMajor == 1 && r.ContentLength < 0 && hasBody(r) {
		r.Trailer = make(http.Header)
	}
}
