package httpmw

import (
	"net/http"
	"time"
)

// An Observer is told of each request, for example to count it. Its methods are called by
// many goroutines at once.
type Observer interface {
	// Begin is called before the handler runs.
	Begin()
	// End is called once for each Begin, also after a panic.
	End(Observation)
}

// An Observation is what an [Observer] learns of a request. The labels Method, Class,
// Pattern and Host have few values whatever clients send.
type Observation struct {
	// Method is one of the methods of RFC 9110 or PATCH, or "other".
	Method string
	// Class is the class of the status, "1xx" to "5xx"; "other" beyond those, and
	// where there is no status.
	Class string
	// Pattern is what the [http.ServeMux] matched, and "unmatched" if nothing.
	Pattern string
	// Host is the request's host if the options list it, and "" otherwise.
	Host string

	// Status is the status itself. It is 0 if there was none: the connection was
	// hijacked, or the handler did not end by returning, before the response began.
	Status int
	// Duration is how long the handler ran.
	Duration time.Duration
	// Bytes is the length of the response's body, 0 for HEAD.
	Bytes int64
	// WriteErr is the first error that a write returned.
	WriteErr error
	// Panicked and Hijacked say how the handler ended. A panic that [Recover] has
	// ended further inside counts. One with [http.ErrAbortHandler] does not: with it
	// a handler means to cut the connection.
	Panicked, Hijacked bool
}

// InstrumentOptions are the options of [Instrument].
type InstrumentOptions struct {
	// Hosts are the hosts, without ports, that observations tell apart. They are
	// compared without regard to case, to a dot at the end, or to the brackets of
	// IPv6 addresses. If nil, Host is always "".
	Hosts []string

	// Pattern returns the pattern of a request after its handler, for routers other
	// than [http.ServeMux]; it must be one of few. If nil, it is r.Pattern.
	Pattern func(r *http.Request) string
}

// Instrument returns a middleware that tells o of each request. It panics if o is nil, if
// a host of the options is empty or has a port, and if o is [*Metrics] with mistakes in
// its fields.
func Instrument(o Observer, opts *InstrumentOptions) Middleware {
	if o == nil {
		panic("httpmw: Instrument of a nil Observer")
	}
	if m, ok := o.(*Metrics); ok {
		m.setup() // so that a bad name is found before there is a request
	}
	if opts == nil {
		opts = new(InstrumentOptions)
	}
	hosts, pattern := newHostSet(opts.Hosts), opts.Pattern
	if pattern == nil {
		pattern = muxPattern
	}
	return func(next http.Handler) http.Handler {
		return &instrument{next, o, hosts, pattern}
	}
}

// epoch is what Instrument counts from: time.Since reads the monotonic clock alone, time.Now
// the time of day as well, and clocks are a large part of what Instrument costs.
var epoch = time.Now()

// instrument is the handler that Instrument makes.
type instrument struct {
	next     http.Handler
	observer Observer
	hosts    hostSet
	pattern  func(*http.Request) string
}

func (i *instrument) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.observer.Begin()
	start := time.Since(epoch)
	rec, w, borrowed := borrow(w, r)
	returned := false
	defer func() {
		// Without the value a panic could not be told from runtime.Goexit, nor from
		// one that is meant. It goes on below as the same value.
		value := recover()
		i.end(r, rec, start, returned, value)
		if borrowed && returned && rec.panicked == "" && !rec.hijacked && r.Context().Err() == nil {
			giveBack(rec)
		}
		if value != nil {
			panic(value)
		}
	}()
	i.next.ServeHTTP(w, r)
	returned = true
}

// end tells the observer of a handler that began at start. What returned is false for has
// not returned: it panicked with value, or ended its goroutine if that is nil.
func (i *instrument) end(r *http.Request, rec *Recorder, start time.Duration, returned bool, value any) {
	o := Observation{
		Method:   methodLabel(r.Method),
		Pattern:  unmatched,
		Host:     i.hosts.label(r.Host),
		Status:   rec.Status(),
		Duration: time.Since(epoch) - start,
		Bytes:    rec.Bytes(),
		WriteErr: rec.Err(),
		Panicked: value != nil && value != http.ErrAbortHandler || rec.panicked != "",
		Hijacked: rec.Hijacked(),
	}
	if o.Status == 0 && returned && !o.Hijacked {
		o.Status = http.StatusOK // net/http is about to send it
	}
	if r.Method == http.MethodHead {
		o.Bytes = 0
	}
	o.Class = classLabel(o.Status)
	// The observer is told even if the options' function panics.
	defer func() { i.observer.End(o) }()
	if p := i.pattern(r); p != "" {
		o.Pattern = p
	}
}
