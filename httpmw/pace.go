package httpmw

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// bodyGrace is how long handlers wait for a body in any case.
	bodyGrace = 30 * time.Second

	// bodyByte is what each byte that arrives adds to that: a second for a KiB.
	bodyByte = time.Second >> 10

	// bodyEarned is the most that bytes add. It is there so that no sum overflows.
	bodyEarned = 365 * 24 * time.Hour
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A pacer limits how long handlers wait for the bodies of requests.
type pacer struct {
	server *http.Server
	next   http.Handler
}

// ServeHTTP implements [http.Handler].
func (h *pacer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	next := h.next
	if r.Method == http.MethodOptions && r.RequestURI == "*" {
		next = http.HandlerFunc(generalOptions)
	}
	if !mayWait(r) {
		next.ServeHTTP(w, r)
		return
	}
	p := newPace(w, r, h.server.ReadTimeout)
	defer p.leave()
	next.ServeHTTP(expose(&p.shell, w), &p.request)
	p.settle()
}

// generalOptions answers "OPTIONS *" as net/http does, but leaves a body unread.
func generalOptions(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "0")
}

// mayWait reports whether reading the body can mean to wait for it. With HTTP/2 a
// length of zero also stands for one that could not be parsed, and then, as after an
// honest zero, the end of the stream may be missing.
func mayWait(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return false
	}
	return r.ContentLength != 0 || r.ProtoMajor > 1 && r.Header["Content-Length"] != nil
}

// A pace measures how long a handler waits for the body of a request, and ends that
// when it has been too long. The body is that of a copy of the request, since net/http
// looks at the type of the one in its own.
//
// With HTTP/1 the read deadline of the connection is used, set before each read and only
// there: net/http reads ahead for the next request after the end of the body, and a
// deadline that passes then would end the request's context. It clears the deadline
// itself just before. With HTTP/2 a deadline is a message to the loop that serves the
// connection, and breaks the body also while nobody reads: there a timer is used, which
// runs out once or never for most requests, and looks whether a read is waiting.
type pace struct {
	request  http.Request
	original *http.Request
	body     io.ReadCloser
	w        http.ResponseWriter
	shell    shell
	http1    bool

	// Of the goroutine that writes the response.
	written int64 // bytes of the body
	began   bool  // the handler has begun the response
	drained bool  // net/http has looked for the rest of the body
	closing bool  // the response says that the connection ends
	settled bool  // the handler has returned, not panicked

	mu       sync.Mutex
	left     time.Duration // what may still be waited
	earned   time.Duration // what arrived bytes have added to it
	limit    time.Time     // of ReadTimeout, if there is one
	deadline time.Time     // of the connection, if it was set here
	since    time.Time     // up to when the reads under way are counted
	timer    *time.Timer   // with HTTP/2, from the first read on
	running  bool          // the timer is

	done     bool      // the body has ended
	late     bool      // the time was up
	duplex   bool      // net/http does not look for the rest of the body
	hijacked bool      // the connection is the handler's
	over     bool      // the handler has returned
	taken    bool      // the handler has set a deadline of its own,
	own      time.Time // which is this
	lent     time.Time // the deadline that middleware has set for a while
	readers  int       // how many reads are under way
}

func newPace(w http.ResponseWriter, r *http.Request, readTimeout time.Duration) *pace {
	shareTrailer(r)
	p := &pace{request: *r, original: r, body: r.Body, w: w, http1: r.ProtoMajor == 1, left: bodyGrace}
	if readTimeout > 0 && p.http1 {
		p.limit = time.Now().Add(readTimeout)
	}
	p.request.Body = (*pacedBody)(p)
	p.shell = shell{core: (*pacedWriter)(p), below: w}
	return p
}

// setDeadline has no error to report: below other middleware than ours there may be no
// deadlines, and then there is no limit.
func (p *pace) setDeadline(t time.Time) {
	_ = http.NewResponseController(p.w).SetReadDeadline(t)
}

// begin is called before each read.
func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Where two read at once, as when a proxy's copy of the body is not done yet, the
	// time counts once.
	if p.readers++; p.readers == 1 {
		p.since = time.Now()
	}
	switch {
	case p.taken || p.over || p.done || !p.lent.IsZero():
	case p.http1:
		p.arm(time.Now())
	case p.running:
	case p.timer == nil:
		p.timer, p.running = time.AfterFunc(p.left, p.expire), true
	default:
		p.timer.Reset(max(p.left, 0))
		p.running = true
	}
}

// arm sets the deadline of a connection of HTTP/1 to when the time is up, unless it is
// near that already: the more has arrived, the less it matters when exactly a client that
// stops then is cut.
func (p *pace) arm(now time.Time) {
	want := now.Add(p.left)
	slack := p.earned / 8
	if !p.deadline.Before(want) && !p.deadline.After(want.Add(2*slack)) {
		return
	}
	want = want.Add(slack)
	if !p.limit.IsZero() && p.limit.Before(want) {
		want = p.limit
	}
	if !want.Equal(p.deadline) {
		p.deadline = want
		p.setDeadline(want)
	}
}

// expire is what the timer runs.
func (p *pace) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	if p.taken || p.over || p.done || p.since.IsZero() {
		return
	}
	if left := p.left - time.Since(p.since); left > 0 {
		p.timer.Reset(left)
		p.running = true
		return
	}
	p.setDeadline(past) // which with HTTP/2 takes effect at once
}

// end is called after each read with what it returned, and returns the error to report.
func (p *pace) end(n int, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.left -= now.Sub(p.since)
	p.since = now
	if p.readers--; p.readers == 0 {
		p.since = time.Time{}
	}
	if n > 0 {
		add := min(bodyByte*time.Duration(n), bodyEarned-p.earned)
		p.earned += add
		p.left += add
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		p.done = true
		return err
	}
	passed := !p.limit.IsZero() && !now.Before(p.limit)
	if !p.taken && (p.left <= 0 || passed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		// net/http says so of time that is up between the last chunk and the trailers.
		err = fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
	}
	p.late = p.late || errors.Is(err, os.ErrDeadlineExceeded)
	return err
}

// leave ends the measuring when the handler has returned or panicked. What then
// remains of a body net/http reads up to a limit, for which it gets a deadline here.
// net/http itself removes that before it waits for the next request.
func (p *pace) leave() {
	// What the handler's copy was told goes to the request of those outside, and
	// to net/http, which removes the files of a form.
	p.original.Pattern = p.request.Pattern
	p.original.MultipartForm = p.request.MultipartForm

	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
	switch {
	case !p.http1 || p.done || p.hijacked || p.drained && !p.duplex:
		// Once net/http has looked for the rest, either it has found the end and
		// waits for the next request, which must have no deadline, or the one
		// that was set then holds.
	case p.duplex && !p.closing && p.settled:
		// After a deadline passed here net/http would take what follows for the
		// next request.
		p.setDeadline(time.Time{})
	case p.taken && !p.own.IsZero() && p.own.Before(time.Now().Add(p.left)):
		// The handler's own deadline is there, and is the stricter one.
	case !p.lent.IsZero() && p.lent.Before(time.Now().Add(p.left)):
		// Likewise that of middleware.
	default:
		p.deadline = time.Time{}
		p.arm(time.Now())
	}
}

// settle is called when the handler has returned. A connection on which a body came
// too late must not serve another request, as the rest of the body would be taken for it.
// With full duplex net/http does not see to that, nor to the rest of one that is malformed,
// and does not get along with an end of the body that comes after the handler.
func (p *pace) settle() {
	p.settled = true
	p.mu.Lock()
	late, rest, duplex := p.late, !p.done, p.duplex
	p.mu.Unlock()
	switch {
	case !p.http1 || p.closing || p.hijacked:
	case duplex && rest && endConnection(p.w, p.began):
		p.closing = true
	case !p.began && (late || duplex && rest):
		p.w.Header().Set("Connection", "close")
		p.closing = true
	case late && duplex:
		// What is buffered may go out; the error does not matter any more.
		_ = http.NewResponseController(p.w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// pacedBody is the body that the handler reads.
type pacedBody pace

// Read implements [io.Reader].
func (b *pacedBody) Read(buf []byte) (int, error) {
	p := (*pace)(b)
	p.begin()
	n, err := p.body.Read(buf)
	return n, p.end(n, err)
}

// Close closes the body below, which with HTTP/1 reads what is left of it.
func (b *pacedBody) Close() error {
	p := (*pace)(b)
	p.begin()
	err := p.body.Close()
	if err == nil {
		err = io.EOF
	}
	if err = p.end(0, err); errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
