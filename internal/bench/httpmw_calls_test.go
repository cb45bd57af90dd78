//go:build linux

package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A callSide is a handler that is called without a network.
type callSide struct {
	name    string
	handler http.Handler
	costs   []float64 // CPU time of a call, of each round
	added   []float64 // the same without what the bare handler takes
	allocs  float64
	bytes   float64
}

// A target is what ours may take.
type target struct {
	peer   string  // that it is compared with
	ratio  float64 // of the CPU time that each adds to the bare handler
	allocs float64 // that ours may add
}

// A callContest is handlers that are called in turn, in short batches. The first is ours
// and the last is the bare one, without a middleware.
type callContest struct {
	sides    []*callSide
	requests []*http.Request
	batch    int  // calls of each side before the next has its turn
	fresh    bool // each request has a context of its own, as with net/http
	rounds   int
	targets  []target
}

// side adds one.
func (c *callContest) side(name string, h http.Handler) {
	c.sides = append(c.sides, &callSide{name: name, handler: h})
}

// kindNothing is the handler without anything around it.
const kindNothing = "bare"

// A sink is a writer that costs nothing, with the abilities of net/http's.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header                        { return s.header }
func (s *sink) WriteHeader(int)                            {}
func (s *sink) Write(p []byte) (int, error)                { return len(p), nil }
func (s *sink) WriteString(p string) (int, error)          { return len(p), nil }
func (s *sink) ReadFrom(r io.Reader) (int64, error)        { return io.Copy(io.Discard, r) }
func (s *sink) Flush()                                     {}
func (s *sink) SetReadDeadline(time.Time) error            { return nil }
func (s *sink) SetWriteDeadline(time.Time) error           { return nil }
func (s *sink) EnableFullDuplex() error                    { return nil }
func (*sink) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }

// newCall is a request as net/http hands it on.
func newCall(major int, target string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err) // it is a constant
	}
	return &http.Request{
		Method: http.MethodGet, URL: u, RequestURI: target,
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

// calls calls a handler so many times.
func (c *callContest) calls(h http.Handler, w *sink, connection context.Context, count int) {
	for i := range count {
		r := c.requests[i%len(c.requests)]
		if !c.fresh {
			h.ServeHTTP(w, r)
			continue
		}
		ctx, cancel := context.WithCancel(connection)
		h.ServeHTTP(w, r.WithContext(ctx))
		clear(w.header)
		cancel()
	}
}

// run has all sides called in turn, and counts what they allocate.
func (c *callContest) run(b *testing.B) {
	b.Helper()
	w := &sink{make(http.Header)}
	connection, cancel := context.WithCancel(context.WithValue(b.Context(), http.ServerContextKey, b))
	defer cancel()
	for _, s := range c.sides {
		c.calls(s.handler, w, connection, 200) // to warm up
		const count = 1000
		before := used()
		c.calls(s.handler, w, connection, count)
		use := used().since(before)
		s.allocs, s.bytes = float64(use.Mallocs/count), float64(use.Bytes/count)
	}
	for b.Loop() {
		for range of(60, 5) {
			c.round(b, w, connection)
		}
	}
	c.check(b)
	c.report(b)
}

// round has a batch of each side, and begins with another one each time.
func (c *callContest) round(b *testing.B, w *sink, connection context.Context) {
	b.Helper()
	costs := make([]float64, len(c.sides))
	for i := range c.sides {
		at := (i + c.rounds) % len(c.sides)
		runtime.GC() // of what others left; what the side itself leaves is its own
		before := processTime(b)
		c.calls(c.sides[at].handler, w, connection, c.batch)
		costs[at] = (processTime(b) - before).Seconds() / float64(c.batch)
	}
	c.rounds++
	bare := costs[len(costs)-1]
	for i, s := range c.sides {
		s.costs = append(s.costs, costs[i])
		s.added = append(s.added, costs[i]-bare)
	}
}

// processTime is the CPU time of this process, with the collector's.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// check compares what ours allocates, which no mood of the machine changes.
func (c *callContest) check(b *testing.B) {
	b.Helper()
	ours, bare := c.sides[0], c.sides[len(c.sides)-1]
	for _, t := range c.targets {
		if n := ours.allocs - bare.allocs; n > t.allocs {
			b.Errorf("%s adds %v allocations, want at most %v", ours.name, n, t.allocs)
		}
	}
}

// report prints a table. The ratios are of the whole call, and of what the sides add to
// the bare handler, to which the target belongs.
func (c *callContest) report(b *testing.B) {
	b.Helper()
	t := newTable("", "CPU-ns/request", "added", "allocs", "B", "ours is", "added by ours is", "at most")
	ours, bare := c.sides[0], c.sides[len(c.sides)-1]
	for _, s := range c.sides {
		whole, added, most := any(ratios(ours.costs, s.costs)), any(median(ours.added)/median(s.added)), any("")
		if s == bare {
			added = ""
		}
		for _, target := range c.targets {
			if target.peer == s.name {
				most = target.ratio
				b.ReportMetric(median(ours.added)/median(s.added), "x-"+s.name)
			}
		}
		t.row(s.name, median(s.costs)*1e9, median(s.added)*1e9, s.allocs-bare.allocs, s.bytes-bare.bytes, whole, added, most)
	}
	b.ReportMetric(median(ours.added)*1e9, "CPU-ns/request")
	b.ReportMetric(ours.allocs-bare.allocs, "allocs/request")
	t.print(b)
}

// answers fails unless a handler answers a request with this status and body.
func answers(b *testing.B, name string, h http.Handler, r *http.Request, status int, body string) {
	b.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(b.Context()))
	if w.Code != status || w.Body.String() != body {
		b.Fatalf("%s: %s %s: %d %q, want %d %q", name, r.Method, r.URL, w.Code, w.Body, status, body)
	}
}
