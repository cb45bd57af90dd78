package httpmw

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A guard stands between a handler with a limit and the server: when the time has come the
// handler is left with nothing that it could disturb the server with.
type guard struct {
	ctx    limitContext
	shell  shell
	body   guardedBody
	w      http.ResponseWriter
	r      *http.Request // the handler's copy
	header http.Header   // the handler's, until begin
	timer  *time.Timer

	first atomic.Bool    // the handler or the timer came first
	ended sync.WaitGroup // waits for what else has to be done then
	late  bool           // it was the timer
	how   end            // of the handler, if it was that

	over    atomic.Bool // the handler has no response any more
	sending atomic.Bool // a use of w may wait for the client

	// Uses of w by the handler hold mu for reading, so that one can end another, and
	// taking the response from it holds mu for writing.
	mu       sync.RWMutex
	begun    bool // the final header is written
	hijacked bool
}

// farewell is how long a client has to take what is left to say when the time is over.
const farewell = 5 * time.Second

// An end is how a handler ended.
type end struct {
	returned bool   // rather than by a panic, or by runtime.Goexit if value is nil
	value    any    // of the panic
	stack    []byte // of the panic
}

// newGuard returns the guard of a request.
func newGuard(w http.ResponseWriter, r *http.Request, d time.Duration) *guard {
	g := &guard{w: w}
	g.ctx.Context, g.ctx.deadline = r.Context(), time.Now().Add(d)
	g.shell = shell{core: g, below: g}
	shareTrailer(r)
	g.r = r.WithContext(&g.ctx)
	if r.Body != nil && r.Body != http.NoBody {
		g.body = guardedBody{ReadCloser: r.Body, over: &g.over}
		g.r.Body = &g.body
	}
	if h := w.Header(); len(h) > 0 {
		g.header = h.Clone()
	} else {
		g.header = make(http.Header)
	}
	if rec := recorderOf(w); rec != nil {
		g.begun = rec.status != 0 // by middleware outside
	}
	return g
}

// use lets the handler use w, if it still may.
func (g *guard) use() error {
	g.mu.RLock()
	if g.over.Load() {
		g.mu.RUnlock()
		return http.ErrHandlerTimeout
	}
	return nil
}

// send is use for what may have to wait for the client.
func (g *guard) send() error {
	if err := g.use(); err != nil || g.sending.Load() {
		return err
	}
	g.sending.Store(true)
	if g.over.Load() { // and expire may have looked before
		g.mu.RUnlock()
		return http.ErrHandlerTimeout
	}
	return nil
}

// expire takes the response from a handler whose time has come. Then w belongs to the
// caller, and the body is not read any more.
func (g *guard) expire() {
	g.over.Store(true)
	g.ctx.end(context.DeadlineExceeded)
	rc := http.NewResponseController(g.w)
	if !g.mu.TryLock() {
		// With HTTP/2 to interrupt writes is to reset the stream, so that there
		// would be no answer either.
		if g.sending.Load() {
			interrupt(rc.SetReadDeadline) // net/http reads the body before it writes
			interrupt(rc.SetWriteDeadline)
		}
		g.mu.Lock()
	}
	defer g.mu.Unlock()
	http1 := g.r.ProtoMajor < 2
	if g.body.ReadCloser != nil {
		g.body.take(func() bool {
			if http1 {
				// Reading can begin with writing, of 100 Continue.
				interrupt(rc.SetWriteDeadline)
			}
			return interrupt(rc.SetReadDeadline)
		})
	}
	if http1 {
		// Also in place of a deadline that the handler set. Without deadlines the
		// client has the time it wants.
		_ = rc.SetWriteDeadline(time.Now().Add(farewell))
	}
}

// interrupt ends what waits for the client, with a deadline that has passed, and reports
// whether it could.
func interrupt(set func(time.Time) error) bool {
	return set(time.Unix(1, 0)) == nil
}

// finish ends what a handler had that ended in time, and hands over what it left in its
// headers.
func (g *guard) finish() {
	g.over.Store(true)
	g.ctx.end(context.Canceled)
	switch {
	case !g.how.returned:
	case !g.begun:
		g.handOver()
	case hasTrailers(g.header):
		maps.Copy(g.w.Header(), g.header)
	}
}

func hasTrailers(h http.Header) bool {
	if h["Trailer"] != nil {
		return true
	}
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// handOver makes the handler's headers those of w.
func (g *guard) handOver() {
	h := g.w.Header()
	clear(h)
	maps.Copy(h, g.header)
}

// lend makes the handler's headers those of w, and returns what w had, for takeBack.
func (g *guard) lend() (before http.Header) {
	before = maps.Clone(g.w.Header())
	g.handOver()
	return before
}

// takeBack restores the headers of w, so that the final response may have others, or be ours.
func (g *guard) takeBack(before http.Header) {
	h := g.w.Header()
	clear(h)
	maps.Copy(h, before)
}

// begin hands the headers over before the response begins.
func (g *guard) begin() {
	if !g.begun {
		g.begun = true
		g.handOver()
	}
}
