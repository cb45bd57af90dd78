package httpmw

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// TimeoutOptions are the options of [Timeout].
type TimeoutOptions struct {
	// Status answers a request whose handler took too long and has sent nothing. If
	// zero, it is 503 Service Unavailable, as with [http.TimeoutHandler]; a gateway
	// wants 504.
	Status int

	// Body is the text of that answer. If empty, it is the text of the status.
	Body string

	// Skip passes requests on without a limit, such as those for WebSockets, which are
	// best told by their path: a header is the client's to send. If nil, there are none.
	Skip func(*http.Request) bool
}

// Timeout returns a middleware that ends requests after d, however the handler behaves.
//
// The request's context ends then with [context.DeadlineExceeded]. If nothing of the
// response has been written, the client gets opts.Status at once, although the handler still
// runs. If the response has begun, it is cut: the client sees that it is incomplete, and
// never takes it for whole, unless what has been written is all of it, as a status without a
// body. With HTTP/1.0 only the reset of a TCP connection can tell.
//
// Either way reads of the body and writes fail from then on with [http.ErrHandlerTimeout], and
// the headers that the handler goes on to set go nowhere. That is so before the context ends, so
// a handler that returns because of it is answered for, too.
//
// Unlike with [http.TimeoutHandler] nothing is buffered: a handler that flushes streams,
// informational responses and files go out as they are written, and memory stays constant.
// The writer can what the one below can. It has to flush and to set deadlines, as net/http's
// does: through middleware outside that hides these the answer waits for the handler, or for
// the client.
//
// A handler that heeds neither its context nor errors goes on until it returns by itself, and
// costs its goroutine until then. With HTTP/1 middleware outside of Timeout waits for it, and
// reports it when it is over; the client does not, and its connection ends. With HTTP/2 the
// handler runs on a goroutine of its own, nobody waits, and the connection goes on; middleware
// outside does not learn of its pattern then, and must not look at headers of the request or
// a URL that the handler changes in place. What a handler panics with after its time, nobody
// hears of. One that hijacks the connection in time has no limit any more, nor has its context.
//
// If d is zero or negative, the handler does not run. Timeout panics if Status is not that of
// an error, 400 to 599.
func Timeout(d time.Duration, opts *TimeoutOptions) Middleware {
	var o TimeoutOptions
	if opts != nil {
		o = *opts
	}
	if o.Status == 0 {
		o.Status = http.StatusServiceUnavailable
	}
	if o.Status < 400 || o.Status > 599 {
		panic(fmt.Sprintf("httpmw: Timeout with status %d, which is not that of an error", o.Status))
	}
	if o.Body == "" {
		o.Body = http.StatusText(o.Status)
	}
	return func(next http.Handler) http.Handler {
		return &timeLimit{next: next, d: d, opts: o}
	}
}

// timeLimit is the handler that Timeout makes.
type timeLimit struct {
	next http.Handler
	d    time.Duration
	opts TimeoutOptions
}

// ServeHTTP implements http.Handler.
func (t *timeLimit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case t.opts.Skip != nil && t.opts.Skip(r):
		t.next.ServeHTTP(w, r)
	case t.d <= 0:
		t.answer(w)
	case r.ProtoMajor < 2:
		t.stay(newGuard(w, r, t.d), r)
	default:
		t.part(newGuard(w, r, t.d), r)
	}
}

// stay runs the handler here, and leaves the answer to the timer's goroutine.
//
// The idea: with HTTP/1 a response can be complete before its handler has returned, since the
// length says so, and the goroutine that net/http reads requests with has a stack that has
// grown already. A goroutine for each handler would cost more than all else here.
func (t *timeLimit) stay(g *guard, r *http.Request) {
	g.ended.Add(1)
	g.timer = time.AfterFunc(t.d, func() {
		if g.first.CompareAndSwap(false, true) {
			defer g.ended.Done()
			// A writer that panics must not end the program.
			defer func() { g.how.value = recover() }()
			t.take(g)
		}
	})
	defer func() {
		g.timer.Stop()
		carry(r, g.r)
		if g.first.CompareAndSwap(false, true) {
			g.finish()
			return
		}
		g.ended.Wait()
		switch {
		case g.how.value != nil:
			panic(g.how.value)
		case g.begun:
			panic(http.ErrAbortHandler)
		case !g.how.returned:
			recover() // the client has its answer
		}
	}()
	t.next.ServeHTTP(expose(&g.shell, g.w), g.r)
	g.how.returned = true
}

// take answers for a handler that still runs here.
func (t *timeLimit) take(g *guard) {
	g.expire()
	if g.begun {
		cut(g.w, g.r)
		return
	}
	// The next request would have to wait for the handler.
	g.w.Header().Set("Connection", "close")
	t.answer(g.w)
	// Without Flush it goes out when the handler returns.
	_ = http.NewResponseController(g.w).Flush()
}

// cut ends the connection of a response that has begun, so that the client does not wait for
// the rest. If that cannot be, it ends when the handler returns.
func cut(w http.ResponseWriter, r *http.Request) {
	// Hijacking is how net/http gives a connection out of its hands. It is no business
	// of a Recorder.
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	untilClosed := !r.ProtoAtLeast(1, 1) || w.Header().Get("Transfer-Encoding") == "identity"
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if untilClosed {
		reset(conn)
	}
	_ = conn.Close() // nobody has a use for its error
}

// reset ends a connection whose end is that of the response, if it is not a reset. TLS does
// not hear of it, since it would say that everything was sent.
func reset(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // fails if the connection has ended already
	}
	_ = conn.Close() // likewise
}

// part runs the handler on a goroutine of its own. With HTTP/2 a response ends no sooner than
// the server's goroutine returns.
func (t *timeLimit) part(g *guard, r *http.Request) {
	g.ended.Add(1)
	g.timer = time.AfterFunc(t.d, func() {
		if g.first.CompareAndSwap(false, true) {
			g.late = true
			g.ended.Done()
		}
	})
	go g.run(t.next)
	g.ended.Wait()
	if g.late {
		g.expire()
		if g.begun {
			panic(http.ErrAbortHandler)
		}
		t.answer(g.w)
		return
	}
	g.timer.Stop()
	carry(r, g.r)
	g.finish()
	switch {
	case g.how.value != nil:
		if rec := recorderOf(g.w); rec != nil {
			rec.stack = g.how.stack // that of this goroutine says nothing
		}
		panic(g.how.value)
	case !g.how.returned:
		runtime.Goexit() // as the handler did
	}
}

// run is the goroutine of a handler.
func (g *guard) run(next http.Handler) {
	var how end
	defer func() {
		if !how.returned {
			if how.value = recover(); how.value != nil && how.value != http.ErrAbortHandler {
				how.stack = debug.Stack()
			}
		}
		if g.first.CompareAndSwap(false, true) {
			g.how = how
			g.ended.Done()
			return
		}
		if form := g.r.MultipartForm; form != nil {
			_ = form.RemoveAll() // the server does not know of it, and nobody waits
		}
	}()
	next.ServeHTTP(expose(&g.shell, g.w), g.r)
	how.returned = true
}

// answer is what the client gets in place of the handler's response.
func (t *timeLimit) answer(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(t.opts.Body)))
	w.WriteHeader(t.opts.Status)
	// The client may be gone, and nobody waits for the error.
	_, _ = io.WriteString(w, t.opts.Body)
}
