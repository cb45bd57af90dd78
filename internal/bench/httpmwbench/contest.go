//go:build linux

package httpmwbench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// A contest is handlers that are called without a network.
type contest struct {
	t        *lab.T
	requests []*http.Request
	fresh    bool // each call has a context of its own, as with net/http
	handlers map[string]http.Handler
	sink     sink
	tallies  []tally
	called   map[string]int // how often, by side

	connection context.Context
}

// A tally is what each call must have added to a count.
type tally struct {
	what  string
	count *int
	each  int
}

// newContest returns one whose handlers answer with so many bytes.
func newContest(t *lab.T, length int, requests ...*http.Request) *contest {
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), http.ServerContextKey, t))
	t.Cleanup(cancel)
	c := &contest{
		t: t, requests: requests, fresh: true, connection: ctx,
		handlers: make(map[string]http.Handler), called: make(map[string]int), sink: sink{header: make(http.Header)},
	}
	c.tallies = []tally{{"bytes", &c.sink.bytes, length}, {"other statuses than 200", &c.sink.others, 0}}
	return c
}

// run has so many calls of each handler a round, in slices.
//
// A context for each request is garbage of all sides, and some leave more. The collector is
// not called before each slice then, or a side whose slices end before it comes by itself
// would have nothing to pay for its garbage. As it is, it works in the slices of each side
// about as often as that side allocates, if there are many.
func (c *contest) run(count, slice int) {
	for i, r := range c.requests {
		c.requests[i] = r.WithContext(c.connection)
	}
	work := make(map[string]func(int) error)
	for name, h := range c.handlers {
		work[name] = func(n int) error {
			c.called[name] += n
			return c.calls(h, n)
		}
	}
	calls := lab.Calls{
		T: c.t, Work: work, Unit: "ns", Base: bare, Clean: !c.fresh,
		Count: lab.Of(c.t, count, 20), Slice: lab.Of(c.t, slice, 10),
	}
	calls.Run()
}

// calls calls a handler n times, and checks what that did.
func (c *contest) calls(h http.Handler, n int) error {
	for _, t := range c.tallies {
		*t.count = 0
	}
	for i := range n {
		r := c.requests[i%len(c.requests)]
		if !c.fresh {
			h.ServeHTTP(&c.sink, r)
			continue
		}
		ctx, cancel := context.WithCancel(c.connection)
		h.ServeHTTP(&c.sink, r.WithContext(ctx))
		clear(c.sink.header)
		cancel()
	}
	for _, t := range c.tallies {
		if *t.count != n*t.each {
			return fmt.Errorf("%s of %d calls: %d, want %d", t.what, n, *t.count, n*t.each)
		}
	}
	return nil
}

// A sink is a writer that costs nothing, with the abilities of net/http's.
type sink struct {
	header        http.Header
	bytes, others int // bytes of bodies, and statuses other than 200
}

// Header implements http.ResponseWriter.
func (s *sink) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter.
func (s *sink) WriteHeader(code int) {
	if code != http.StatusOK {
		s.others++
	}
}

// Write implements http.ResponseWriter.
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (s *sink) WriteString(p string) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom.
func (s *sink) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(io.Discard, r)
	s.bytes += int(n)
	return n, err
}

// Flush implements http.Flusher.
func (s *sink) Flush() {}

// SetReadDeadline is what http.ResponseController asks for, as the next two.
func (s *sink) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// EnableFullDuplex does nothing.
func (s *sink) EnableFullDuplex() error { return nil }

// Hijack implements http.Hijacker.
func (*sink) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }

// newCall is a request as net/http hands it on.
func newCall(major int, method, target string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err) // it is a constant
	}
	return &http.Request{
		Method: method, URL: u, RequestURI: target,
		Proto: fmt.Sprintf("HTTP/%d.%d", major, major%2), ProtoMajor: major, ProtoMinor: major % 2,
		Header: http.Header{
			"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
			"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			"Accept-Language": {"en-US,en;q=0.5"},
			"Accept-Encoding": {"gzip, deflate, br"},
		},
		Body: http.NoBody, Host: "chores.example.com", RemoteAddr: "192.0.2.17:49152",
	}
}

// answers ends the case unless a handler answers a request with this status and body.
func answers(t *lab.T, name string, h http.Handler, r *http.Request, status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(t.Context()))
	if w.Code != status || w.Body.String() != body {
		t.Fatalf("%s: %s %s: %d %q, want %d %q", name, r.Method, r.URL, w.Code, w.Body, status, body)
	}
}
