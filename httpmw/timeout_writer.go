package httpmw

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Header implements http.ResponseWriter.
func (g *guard) Header() http.Header { return g.header }

// WriteHeader implements http.ResponseWriter.
func (g *guard) WriteHeader(status int) {
	if g.send() != nil {
		return
	}
	defer g.mu.RUnlock()
	switch {
	case status < 100 || status > 999:
		g.w.WriteHeader(status) // panics
	case status < 200 && status != http.StatusSwitchingProtocols && !g.begun:
		before := g.lend()
		g.w.WriteHeader(status)
		g.takeBack(before)
	default:
		g.begin()
		g.w.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (g *guard) Write(p []byte) (int, error) {
	if err := g.send(); err != nil {
		return 0, err
	}
	defer g.mu.RUnlock()
	g.begin()
	n, err := g.w.Write(p)
	return n, g.explain(err)
}

// WriteString implements io.StringWriter.
func (g *guard) WriteString(s string) (int, error) {
	if err := g.send(); err != nil {
		return 0, err
	}
	defer g.mu.RUnlock()
	g.begin()
	n, err := io.WriteString(g.w, s)
	return n, g.explain(err)
}

// explain returns the error of a write: one that we interrupted says why.
func (g *guard) explain(err error) error {
	if err != nil && g.over.Load() {
		return http.ErrHandlerTimeout
	}
	return err
}

// ReadFrom implements io.ReaderFrom. Only files are handed on as they are, for the kernel to
// send: any other source could keep the handler waiting while it uses w.
func (g *guard) ReadFrom(src io.Reader) (int64, error) {
	if !isFile(src) {
		buf := copyBuffers.Get().(*[copyBuffer]byte)
		defer copyBuffers.Put(buf)
		return io.CopyBuffer(struct{ io.Writer }{g}, src, buf[:])
	}
	if err := g.send(); err != nil {
		return 0, err
	}
	defer g.mu.RUnlock()
	to, ok := g.w.(io.ReaderFrom)
	if !ok {
		return 0, http.ErrNotSupported
	}
	if g.begun {
		n, err := to.ReadFrom(src)
		return n, g.explain(err)
	}
	before := g.lend()
	g.begun = true
	n, err := to.ReadFrom(src)
	_, failed := errors.AsType[*fs.PathError](err)
	if n == 0 && (err == nil || failed) {
		// A file that is empty or cannot be read does not begin the response.
		g.begun = false
		g.takeBack(before)
	}
	return n, g.explain(err)
}

const copyBuffer = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// isFile reports whether src is a regular file, or a part of one.
func isFile(src io.Reader) bool {
	if part, ok := src.(*io.LimitedReader); ok {
		src = part.R
	}
	f, ok := src.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// FlushError is what http.ResponseController calls.
func (g *guard) FlushError() error {
	if err := g.send(); err != nil {
		return err
	}
	defer g.mu.RUnlock()
	rc := http.NewResponseController(g.w)
	if g.begun {
		return g.explain(rc.Flush())
	}
	before := g.lend()
	g.begun = true
	err := rc.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		g.begun = false
		g.takeBack(before)
	}
	return g.explain(err)
}

// Hijack implements http.Hijacker. Who has the connection has no limit any more.
func (g *guard) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := g.use(); err != nil {
		return nil, nil, err
	}
	defer g.mu.RUnlock()
	if g.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if !g.timer.Stop() {
		return nil, nil, http.ErrHandlerTimeout
	}
	conn, rw, err := http.NewResponseController(g.w).Hijack()
	if err != nil {
		g.timer.Reset(time.Until(g.ctx.deadline))
		return nil, nil, err
	}
	g.hijacked = true
	g.ctx.lift()
	return conn, rw, nil
}

// Push implements http.Pusher.
func (g *guard) Push(target string, opts *http.PushOptions) error {
	if err := g.use(); err != nil {
		return err
	}
	defer g.mu.RUnlock()
	if p, ok := g.w.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// SetReadDeadline is what http.ResponseController calls.
func (g *guard) SetReadDeadline(t time.Time) error {
	if err := g.use(); err != nil {
		return err
	}
	defer g.mu.RUnlock()
	return http.NewResponseController(g.w).SetReadDeadline(t)
}

// SetWriteDeadline is what http.ResponseController calls.
func (g *guard) SetWriteDeadline(t time.Time) error {
	if err := g.use(); err != nil {
		return err
	}
	defer g.mu.RUnlock()
	return http.NewResponseController(g.w).SetWriteDeadline(t)
}

// EnableFullDuplex is what http.ResponseController calls.
func (g *guard) EnableFullDuplex() error {
	if err := g.use(); err != nil {
		return err
	}
	defer g.mu.RUnlock()
	return http.NewResponseController(g.w).EnableFullDuplex()
}
