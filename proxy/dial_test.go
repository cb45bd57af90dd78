package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

var errDead = errors.New("dead")

// An upstream is one whose dials are counted.
type upstream struct {
	name   string
	delay  time.Duration // until it answers, or fails
	err    error         // of the dial, if it is dead
	dials  atomic.Int64
	ended  atomic.Int64
	closed atomic.Int64 // connections
}

// A dialed is a connection to an upstream.
type dialed struct {
	net.Conn
	to *upstream
}

func (d dialed) Close() error {
	d.to.closed.Add(1)
	return d.Conn.Close()
}

func (u *upstream) dial(ctx context.Context, _ net.Conn) (net.Conn, error) {
	u.dials.Add(1)
	defer u.ended.Add(1)
	if u.delay > 0 {
		answer := time.NewTimer(u.delay)
		defer answer.Stop()
		select {
		case <-answer.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", u.name, context.Cause(ctx))
		}
	}
	if u.err != nil {
		return nil, u.err
	}
	conn, _ := memnet.Pipe()
	return dialed{conn, u}, nil
}

// dialName dials and returns the name of the upstream that answered.
func dialName(ctx context.Context, dial proxy.DialFunc) (string, error) {
	conn, err := dial(ctx, nil)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.(dialed).to.name, nil
}

func wantUpstreams(t *testing.T, dial proxy.DialFunc, want ...string) {
	t.Helper()
	for i, name := range want {
		if got, err := dialName(t.Context(), dial); got != name {
			t.Errorf("dial %d: %q, %v, want %q", i, got, err, name)
		}
	}
}

// After a failure an upstream is tried last for ten seconds.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := &upstream{name: "a"}, &upstream{name: "b"}, &upstream{name: "c"}
		dial := proxy.Failover(a.dial, b.dial, c.dial)
		wantUpstreams(t, dial, "a", "a")
		a.err = errDead
		wantUpstreams(t, dial, "b", "b", "b")
		if n := a.dials.Load(); n != 3 {
			t.Errorf("the dead upstream was dialed %d times, want 3", n)
		}
		b.err = errDead
		wantUpstreams(t, dial, "c", "c")
		c.err = errDead
		if _, err := dialName(t.Context(), dial); !errors.Is(err, errDead) || strings.Count(err.Error(), "dead") != 3 {
			t.Errorf("with none alive: %v", err)
		}
		a.err = nil // is tried though it has failed, when there is no other
		wantUpstreams(t, dial, "a", "a")
		b.err, c.err = nil, nil
		time.Sleep(10*time.Second + 1)
		a.err = errDead
		wantUpstreams(t, dial, "b")
		time.Sleep(10*time.Second + 1)
		a.err = nil
		wantUpstreams(t, dial, "a")
	})
}

// One that does not answer leaves time for the others.
func TestFailoverFromSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, slower, live := &upstream{name: "slow", delay: time.Hour}, &upstream{delay: 2 * time.Hour}, &upstream{name: "live"}
		dial := proxy.Failover(slow.dial, slower.dial, live.dial)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		begin := time.Now()
		if name, err := dialName(ctx, dial); name != "live" || time.Since(begin) != 6*time.Second {
			t.Errorf("dial = %q, %v after %v, want the third after 6 s", name, err, time.Since(begin))
		}
		wantUpstreams(t, dial, "live")

		alone := proxy.Failover(slow.dial)
		ctx, cancel = context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		begin = time.Now()
		if _, err := dialName(ctx, alone); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 9*time.Second {
			t.Errorf("dial of a single one: %v after %v, want all of the time", err, time.Since(begin))
		}
	})
}

// A client that goes is not the fault of the upstream.
func TestClientThatGoesDuringFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &upstream{name: "a", delay: time.Second}, &upstream{name: "b"}
		dial := proxy.Failover(a.dial, b.dial)
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(gone) })
		if _, err := dialName(ctx, dial); !errors.Is(err, gone) || b.dials.Load() != 0 {
			t.Errorf("dial: %v with %d dials of the next, want none", err, b.dials.Load())
		}
		wantUpstreams(t, dial, "a")
	})
}

func TestRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := &upstream{name: "a"}, &upstream{name: "b"}, &upstream{name: "c"}
		dial := proxy.RoundRobin(a.dial, b.dial, c.dial)
		wantUpstreams(t, dial, "a", "b", "c", "a", "b", "c")
		b.err = errDead
		wantUpstreams(t, dial, "a", "c", "c", "a", "c", "c")
		if n := b.dials.Load(); n != 3 {
			t.Errorf("the dead upstream was dialed %d times, want 3", n)
		}
		b.err = nil // it flaps
		time.Sleep(10*time.Second + 1)
		wantUpstreams(t, dial, "a", "b", "c")
	})
}

// The one that answers first is kept; the others are cancelled, waited for and closed.
func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &upstream{err: errDead}
		slow := &upstream{name: "slow", delay: time.Hour}
		second := &upstream{name: "second", delay: 2 * time.Second}
		first := &upstream{name: "first", delay: time.Second}
		all := []*upstream{dead, slow, second, first}
		dial := proxy.First(dead.dial, slow.dial, second.dial, first.dial)
		begin := time.Now()
		conn, err := dial(t.Context(), nil)
		if err != nil || conn.(dialed).to != first || time.Since(begin) != time.Second {
			t.Fatalf("dial = %v, %v after %v, want the first after 1 s", conn, err, time.Since(begin))
		}
		for _, u := range all {
			if u.dials.Load() != 1 || u.ended.Load() != 1 || u.closed.Load() != 0 {
				t.Errorf("%q: %d dials, %d ended, %d closed", u.name, u.dials.Load(), u.ended.Load(), u.closed.Load())
			}
		}
		must(t, conn.Close())

		// Two answer at the same time.
		second.delay = first.delay
		conn, err = dial(t.Context(), nil)
		must(t, err)
		kept, other := conn.(dialed).to, first
		if kept == first {
			other = second
		}
		// The other one has either been cancelled or closed.
		if before := map[*upstream]int64{first: 1}[kept]; kept.closed.Load() != before {
			t.Errorf("%q was closed", kept.name)
		}
		if other.ended.Load() != 2 {
			t.Errorf("%q goes on", other.name)
		}
		must(t, conn.Close())
	})
}

// A connection that comes too late is closed.
func TestFirstClosesTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &upstream{name: "first", delay: time.Second}, &upstream{name: "second"}
		stubborn := func(_ context.Context, client net.Conn) (net.Conn, error) {
			time.Sleep(time.Minute)
			return second.dial(context.Background(), client)
		}
		dial := proxy.First(first.dial, stubborn)
		wantUpstreams(t, dial, "first")
		if second.closed.Load() != 1 {
			t.Error("the second connection is open")
		}
	})
}

func TestFirstFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &upstream{err: errDead, delay: time.Second}, &upstream{err: errors.New("ill")}
		panics := func(context.Context, net.Conn) (net.Conn, error) { panic("mad") }
		_, err := proxy.First(a.dial, b.dial, panics)(t.Context(), nil)
		if err == nil {
			t.Fatal("no error")
		}
		for _, text := range []string{"dead", "ill", "panic in Dial: mad"} {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("error %q without %q", err, text)
			}
		}
		slow := &upstream{delay: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := proxy.First(slow.dial, slow.dial)(ctx, nil); !errors.Is(err, context.DeadlineExceeded) || slow.ended.Load() != 2 {
			t.Errorf("dial = %v with %d ended", err, slow.ended.Load())
		}
	})
}

// Without upstreams a dial fails, and policies can be nested.
func TestPolicies(t *testing.T) {
	for name, dial := range map[string]proxy.DialFunc{
		"First": proxy.First(), "Failover": proxy.Failover(), "RoundRobin": proxy.RoundRobin(),
	} {
		if _, err := dial(t.Context(), nil); err == nil {
			t.Errorf("%s of nothing has no error", name)
		}
	}
	dead, a, b := &upstream{err: errDead}, &upstream{name: "a"}, &upstream{name: "b"}
	panics := func(context.Context, net.Conn) (net.Conn, error) { panic("mad") }
	wantUpstreams(t, proxy.Failover(panics, a.dial), "a")
	wantUpstreams(t, proxy.Failover(proxy.First(dead.dial), proxy.RoundRobin(a.dial, b.dial)), "a", "b", "a")
}

// The policies hold for real sockets too: a dead port, and one that answers.
func TestFailoverOfSockets(t *testing.T) {
	l := listen(t, "tcp")
	must(t, l.Close())
	live := echoServer(t, "unix")
	for name, policy := range map[string]proxy.DialFunc{
		"First":      proxy.First(proxy.To("tcp", l.Addr().String()), proxy.To("unix", live.Addr)),
		"Failover":   proxy.Failover(proxy.To("tcp", l.Addr().String()), proxy.To("unix", live.Addr)),
		"RoundRobin": proxy.RoundRobin(proxy.To("tcp", l.Addr().String()), proxy.To("unix", live.Addr)),
	} {
		addr := serve(t, &proxy.Server{Dial: policy}, "tcp")
		for range 3 {
			c := dial(t, addr)
			ping(t, c)
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
