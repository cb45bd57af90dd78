package httpmw

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// unsent is how many bytes of a response net/http holds back at most, and its header with
// them. Before that goes out it reads what is left of the request's body.
const unsent = 2048

// pacedWriter is the writer that the handler gets with a body: by it a pace learns of
// what has an effect on reads.
type pacedWriter pace

// Header implements [http.ResponseWriter].
func (w *pacedWriter) Header() http.Header { return w.w.Header() }

// WriteHeader implements [http.ResponseWriter].
func (w *pacedWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		(*pace)(w).respond(status)
	}
	w.w.WriteHeader(status)
}

// respond is called before the handler begins the response.
func (p *pace) respond(status int) {
	if p.began {
		return
	}
	p.began = true
	if !p.http1 {
		return // there "Connection: close" would end all streams
	}
	p.mu.Lock()
	ended, late := p.done || p.hijacked, p.late
	p.mu.Unlock()
	// With 413 the handler does not want the rest. http.MaxBytesReader says so to the
	// writer of net/http, and does not find it behind another.
	p.closing = late || !ended && status == http.StatusRequestEntityTooLarge
	if p.closing {
		p.w.Header().Set("Connection", "close")
	}
}

// flushing is called before what can send the header of the response.
func (p *pace) flushing() {
	p.respond(http.StatusOK)
	if !p.http1 || p.drained {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done && !p.duplex && !p.taken && p.lent.IsZero() && !p.hijacked && !p.over {
		p.arm(time.Now())
	}
}

// wrote is called after a write of n bytes.
func (p *pace) wrote(n int64) {
	p.written += n
	p.drained = p.drained || p.written > unsent
}

// Write implements [http.ResponseWriter].
func (w *pacedWriter) Write(b []byte) (int, error) {
	p := (*pace)(w)
	p.flushing()
	n, err := p.w.Write(b)
	p.wrote(int64(n))
	return n, err
}

// WriteString implements [io.StringWriter].
func (w *pacedWriter) WriteString(s string) (int, error) {
	p := (*pace)(w)
	p.flushing()
	n, err := io.WriteString(p.w, s)
	p.wrote(int64(n))
	return n, err
}

// ReadFrom passes src itself on, so that a file is still sent by the kernel.
func (w *pacedWriter) ReadFrom(src io.Reader) (int64, error) {
	p := (*pace)(w)
	to, ok := p.w.(io.ReaderFrom)
	if !ok {
		return 0, http.ErrNotSupported
	}
	p.flushing()
	n, err := to.ReadFrom(src)
	p.wrote(n)
	p.drained = p.drained || n > 0 // it may flush after the bytes of a sniff
	return n, err
}

// FlushError is for [http.ResponseController].
func (w *pacedWriter) FlushError() error {
	p := (*pace)(w)
	p.flushing()
	p.drained = true
	return http.NewResponseController(p.w).Flush()
}

// Hijack implements [http.Hijacker]. The deadlines are cleared by net/http.
func (w *pacedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	p := (*pace)(w)
	conn, rw, err := http.NewResponseController(p.w).Hijack()
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hijacked, p.done = true, true
	}
	return conn, rw, err
}

// Push implements [http.Pusher].
func (w *pacedWriter) Push(target string, opts *http.PushOptions) error {
	p, ok := w.w.(http.Pusher)
	if !ok {
		return http.ErrNotSupported
	}
	return p.Push(target, opts)
}

// SetReadDeadline makes the handler the one who decides how long to wait.
func (w *pacedWriter) SetReadDeadline(t time.Time) error {
	p := (*pace)(w)
	p.mu.Lock()
	defer p.mu.Unlock()
	err := http.NewResponseController(p.w).SetReadDeadline(t)
	if err == nil {
		p.taken, p.own, p.lent = true, t, time.Time{}
	}
	return err
}

// lendDeadline sets a deadline for middleware, which does not decide how long the handler
// may wait. The zero time gives it back: to what the handler has set, or the next read.
func (w *pacedWriter) lendDeadline(t time.Time) error {
	p := (*pace)(w)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent, p.deadline = t, time.Time{}
	if p.taken && (t.IsZero() || !p.own.IsZero() && p.own.Before(t)) {
		t = p.own
	}
	return http.NewResponseController(p.w).SetReadDeadline(t)
}

// SetWriteDeadline is for [http.ResponseController].
func (w *pacedWriter) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(w.w).SetWriteDeadline(t)
}

// EnableFullDuplex is for [http.ResponseController].
func (w *pacedWriter) EnableFullDuplex() error {
	p := (*pace)(w)
	err := http.NewResponseController(p.w).EnableFullDuplex()
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.duplex = true
	}
	return err
}
