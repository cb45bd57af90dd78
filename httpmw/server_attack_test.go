package httpmw_test

import (
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/netparts/netparts/internal/leak"
	"github.com/netparts/netparts/internal/memnet"
)

// An attacker speaks HTTP/2 frame by frame.
type attacker struct {
	*http2.Framer
	t      *testing.T
	conn   *memnet.Conn
	sent   *counter
	resets atomic.Int64
	goAway atomic.Uint32 // its code, after it
	status chan string   // of responses, as far as there is room
	ended  chan struct{} // closed at the end of the connection
}

// A counter counts what is written.
type counter struct {
	*memnet.Conn
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n += n
	return n, err
}

// mute begins a connection from which nothing is read.
func mute(s *paceServer) *attacker {
	s.t.Helper()
	conn, err := s.network.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	a := &attacker{t: s.t, conn: conn, sent: &counter{Conn: conn}, status: make(chan string, 1), ended: make(chan struct{})}
	a.Framer = http2.NewFramer(a.sent, conn)
	a.AllowIllegalWrites = true
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		s.t.Fatal(err)
	}
	if err := a.WriteSettings(); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// attack begins a connection that is read from, and that answers pings.
func attack(s *paceServer) *attacker {
	a := mute(s)
	go a.read()
	return a
}

func (a *attacker) read() {
	defer close(a.ended)
	in := http2.NewFramer(a.conn, a.conn)
	in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := in.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			a.resets.Add(1)
		case *http2.GoAwayFrame:
			a.goAway.Store(uint32(f.ErrCode))
		case *http2.MetaHeadersFrame:
			select {
			case a.status <- f.PseudoValue("status"):
			default:
			}
		}
		_ = answerFrame(in, f) // what the server wrote before it closed is still to be read
	}
}

// over reports whether the connection has ended.
func (a *attacker) over() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// request opens a stream.
func (a *attacker) request(id uint32, endStream bool) error {
	return a.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, EndHeaders: true, EndStream: endStream,
		BlockFragment: paceHeaders(":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/"),
	})
}

// headers sends a request with so many bytes of a header, and returns the status.
func (a *attacker) headers(size int) string {
	a.t.Helper()
	pairs := []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/"}
	for range size >> 10 {
		pairs = append(pairs, "x", strings.Repeat("x", 1<<10-33)) // 32 and the name count too
	}
	block := paceHeaders(pairs...)
	first := min(len(block), 16<<10)
	if err := a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: first == len(block), BlockFragment: block[:first]}); err != nil {
		a.t.Fatal(err)
	}
	for block = block[first:]; len(block) > 0; {
		n := min(len(block), 16<<10)
		if err := a.WriteContinuation(1, n == len(block), block[:n]); err != nil {
			a.t.Fatal(err)
		}
		block = block[n:]
	}
	return <-a.status
}

// busy serves requests that take a minute whatever the client does, and counts them.
type busy struct {
	now, most atomic.Int64
}

func (b *busy) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	if r.Method == "GET" {
		return
	}
	n := b.now.Add(1)
	defer b.now.Add(-1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	time.Sleep(time.Minute)
}

// Whatever frames a client sends, no more handlers run than there may be streams, the server
// resets the other streams or ends the connection, and others are served.
func TestServerUnderAttackKeepsToItsStreams(t *testing.T) {
	const streams = 10_000
	each := func(more func(a *attacker, id uint32) error, endStream bool) func(a *attacker) {
		return func(a *attacker) {
			for i := range uint32(streams) {
				id := 2*i + 1
				if a.request(id, endStream) != nil || more(a, id) != nil {
					return
				}
			}
		}
	}
	tests := []struct {
		name   string
		attack func(a *attacker)
	}{
		{"headers flood", each(func(*attacker, uint32) error { return nil }, true)},
		{"rapid reset", each(func(a *attacker, id uint32) error { return a.WriteRSTStream(id, http2.ErrCodeCancel) }, true)},
		{"window update of 0", each(func(a *attacker, id uint32) error { return a.WriteWindowUpdate(id, 0) }, true)},
		{"window overflow", each(func(a *attacker, id uint32) error { return a.WriteWindowUpdate(id, 1<<31-1) }, true)},
		{"data after the end", each(func(a *attacker, id uint32) error { return a.WriteData(id, false, []byte("x")) }, true)},
		{"depends on itself", each(func(a *attacker, id uint32) error {
			return a.WritePriority(id, http2.PriorityParam{StreamDep: id})
		}, false)},
		{"more than declared", each(func(a *attacker, id uint32) error {
			return a.WriteData(id, true, nil)
		}, false)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := runtime.NumGoroutine()
				var b busy
				s := paceServe(t, b.ServeHTTP)
				a := attack(s)
				tt.attack(a)
				synctest.Wait()
				if most := b.most.Load(); most > 100 || most < 50 {
					t.Errorf("%d handlers at once, want 100 at most", most)
				}
				if n := runtime.NumGoroutine() - before; n > 120 {
					t.Errorf("%d goroutines more than before", n)
				}
				if a.resets.Load() == 0 && a.goAway.Load() == 0 && !a.over() {
					t.Error("no stream was reset, and the connection goes on")
				}
				c := s.dial()
				c.send(get)
				if resp, _ := c.answer(); resp.StatusCode != 200 {
					t.Errorf("others get %d", resp.StatusCode)
				}
				time.Sleep(time.Hour) // in which those that wait would begin
				if most := b.most.Load(); most > 100 {
					t.Errorf("later %d handlers at once, want 100 at most", most)
				}
			})
		})
	}
}

// What goes on without end is ended after few bytes.
func TestServerEndsFloods(t *testing.T) {
	first := func(a *attacker) error {
		return a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: paceHeaders(":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")})
	}
	var large []byte
	for len(large) < 15_000 {
		large = append(large, paceHeaders("name", "value")...)
	}
	tests := []struct {
		name  string
		limit int
		begin func(a *attacker) error
		frame func(a *attacker) error
		mute  bool
		after time.Duration // for what needs time to be noticed: it costs nothing but it
	}{
		{"large continuations", 1 << 20, first, func(a *attacker) error { return a.WriteContinuation(1, false, large) }, false, 0},
		{"small continuations", 1 << 20, first, func(a *attacker) error { return a.WriteContinuation(1, false, paceHeaders("n", "v")) }, false, 0},
		{"settings whose answers are not read", 2 << 20, nil, func(a *attacker) error {
			return a.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 14})
		}, true, 30 * time.Second},
		{"pings whose answers are not read", 2 << 20, nil, func(a *attacker) error { return a.WritePing(false, [8]byte{}) }, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := paceServe(t, func(http.ResponseWriter, *http.Request) {})
				a := mute(s)
				if !tt.mute {
					go a.read()
				}
				heap, _ := leak.InUse()
				var err error
				if tt.begin != nil {
					err = tt.begin(a)
				}
				for err == nil && a.sent.n < tt.limit {
					err = tt.frame(a)
				}
				if more, _ := leak.InUse(); more-heap > 2<<20 {
					t.Errorf("%d bytes take %d of memory", a.sent.n, more-heap)
				}
				if err == nil && tt.after == 0 {
					t.Errorf("%d bytes are accepted", a.sent.n)
				}
				time.Sleep(tt.after + time.Second)
				err = tt.frame(a) // may still go out, and be answered with a reset
				if err == nil {
					err = tt.frame(a)
				}
				if err == nil {
					t.Errorf("after %v the connection goes on", tt.after)
				}
				c := s.dial()
				c.send(get)
				c.answer()
			})
		})
	}
}

// A client that gives way for a response, and then does not read it, is cut also if it
// shows by other frames that it is there.
func TestServerCutsStalledHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		a := mute(paceServe(t, func(w http.ResponseWriter, _ *http.Request) {
			b := make([]byte, 16<<10)
			var err error
			for err == nil {
				_, err = w.Write(b)
			}
			ended <- err
		}))
		for _, err := range []error{
			a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}),
			a.WriteWindowUpdate(0, 1<<30),
			a.request(1, true),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		go func() {
			for a.WriteWindowUpdate(0, 1) == nil {
				time.Sleep(5 * time.Second)
			}
		}()
		select {
		case <-ended:
			if took := time.Since(begin); took < 30*time.Second || took > time.Minute {
				t.Errorf("the response ends after %v, want 30s to 1m0s", took)
			}
		case <-time.After(time.Hour):
			t.Error("the response goes on for ever")
		}
	})
}
