package httpmw

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	defaultDrainBytes = 256 << 10
	defaultDrainTime  = time.Second
)

// DrainOptions are the options of [DrainAndClose].
type DrainOptions struct {
	// MaxBytes is how much of a body is read that the handler has left. If zero,
	// 256 KiB. If negative, nothing is read.
	MaxBytes int64

	// MaxTime is how long that may take. If zero, 1 second.
	MaxTime time.Duration
}

func (o *DrainOptions) maxBytes() int64 {
	if o == nil || o.MaxBytes == 0 {
		return defaultDrainBytes
	}
	return o.MaxBytes
}

func (o *DrainOptions) maxTime() time.Duration {
	if o == nil || o.MaxTime == 0 {
		return defaultDrainTime
	}
	if o.MaxTime < 0 {
		panic("httpmw: DrainAndClose with a negative MaxTime")
	}
	return o.MaxTime
}

// DrainAndClose returns a middleware that reads what a handler has left of the request's
// body, so that the connection serves the next request, and closes it. A body that is longer
// or slower than the options allow ends the connection instead, after the response. A
// response that is still in net/http's buffer, which holds 2 KiB, waits for that.
//
// A handler that flushes or fills the buffer makes net/http itself read up to 256 KiB of the
// body before the header goes out. That gets the same time.
//
// A client that asked for leave to send its body (Expect: 100-continue, RFC 9110 section
// 10.1.1), and that the handler did not give by reading, is not told to send it just to have
// it thrown away.
//
// Requests without a body, and those of HTTP/2, where the rest of a body is in nobody's way,
// are passed on as they are. Nothing is read if the handler panics or has hijacked the
// connection, or if the writer cannot set a deadline. DrainAndClose panics if MaxTime is
// negative.
func DrainAndClose(opts *DrainOptions) Middleware {
	maxBytes, maxTime := opts.maxBytes(), opts.maxTime()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 1 || !hasBody(r) {
				next.ServeHTTP(w, r)
				return
			}
			d := &draining{body: unreadBody{body: r.Body}, maxTime: maxTime}
			d.body.declared = r.ContentLength
			d.body.asks = r.ProtoAtLeast(1, 1) && asksFirst(r.Header)
			d.serve(next, w, r, maxBytes)
		})
	}
}

// asksFirst reports whether a client asks for leave to send its body, to net/http's
// understanding.
func asksFirst(h http.Header) bool {
	for element := range strings.SplitSeq(h.Get("Expect"), ",") {
		if strings.EqualFold(strings.Trim(element, " \t"), "100-continue") {
			return true
		}
	}
	return false
}

// draining is the writer that a handler gets whose request has a body. It is there to know
// of hijacks, and to limit what net/http does when the header goes out.
type draining struct {
	recording
	passed     *http.Request // as the handler gets it
	body       unreadBody
	maxTime    time.Duration
	out        bool      // net/http has read what it reads before the header
	until      time.Time // which it was given
	fullDuplex bool      // then it reads nothing

	mu  sync.Mutex
	own time.Time // the handler's read deadline
}

func (d *draining) serve(next http.Handler, w http.ResponseWriter, r *http.Request, maxBytes int64) {
	d.w = w
	d.shell = shell{core: d, below: w, rec: recorderOf(w)}
	if d.shell.rec == nil {
		d.shell.rec = (*Recorder)(&d.recording)
	}
	shareTrailer(r)
	d.passed = new(http.Request)
	*d.passed = *r
	d.passed.Body = &d.body
	panicked := true
	defer func() {
		carry(r, d.passed)
		switch {
		case d.hijacked:
		case panicked:
			d.limit()
		default:
			d.finish(maxBytes)
		}
	}()
	next.ServeHTTP(expose(&d.shell, w), d.passed)
	panicked = false
}

// limit gives whatever net/http still reads of the body its time. It is lifted by net/http
// at the end of the body, when it begins to watch the connection. If that has been, it
// would end the watch instead, and the connection with it.
func (d *draining) limit() {
	if d.body.ended.Load() || d.fullDuplex && !endConnection(d.w, d.status != 0) {
		return
	}
	if d.setDeadline(time.Now().Add(d.maxTime)) != nil || !d.out {
		return
	}
	if _, err := d.body.body.Read(nil); errors.Is(err, http.ErrBodyReadAfterClose) {
		d.lift()
	}
}

// finish drains and closes the body, or sees to it that the connection ends.
func (d *draining) finish(maxBytes int64) {
	b := &d.body
	switch {
	case b.ended.Load():
		_ = b.body.Close() // no error is left at the end
	case b.asks && b.read.Load() == 0:
		// net/http ends the connection, and reads after the response.
		d.limit()
	case b.failed.Load() || maxBytes < 0 || b.declared-b.read.Load() > maxBytes:
		d.end()
	case d.setDeadline(time.Now().Add(d.maxTime)) != nil:
		// Nothing may be read without a limit. net/http does as it always does.
	default:
		d.drain(maxBytes)
	}
}

func (d *draining) drain(maxBytes int64) {
	maxBytes = min(maxBytes, math.MaxInt64-1)
	// One byte more than allowed, or what has the allowed length would not be known
	// to have ended.
	_, err := io.CopyN(io.Discard, d.body.body, maxBytes+1)
	switch {
	case errors.Is(err, http.ErrBodyReadAfterClose):
		d.lift() // net/http has closed it, and watches the connection
	case err == io.EOF:
		_ = d.body.body.Close() // no error is left at the end
		d.lift()                // net/http has, unless the body is from elsewhere
	default:
		d.end()
	}
}

// end ends the connection after the response, without reading any more of the body.
func (d *draining) end() {
	if !endConnection(d.w, d.status != 0) && d.fullDuplex {
		// With full duplex net/http would take the rest of a body that meets a
		// deadline after the response for the next request. Without one it reads
		// the rest, and ends the connection if that is long.
		d.lift()
		return
	}
	// Not to be closed here: net/http, which closes it after the response, may read
	// another 256 KiB then. It fails at once with this deadline; a writer without
	// deadlines lets it read.
	_ = d.setDeadline(past)
}
