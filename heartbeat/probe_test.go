package heartbeat_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/memnet"
)

const service = "192.0.2.1:80"

// memService listens in n and resets what it accepts, until the test ends.
func memService(t *testing.T, n *memnet.Network) *memnet.Listener {
	t.Helper()
	l, err := n.Listen("tcp", service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go closeAll(l)
	return l
}

func closeAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

// begins returns when each result began, counted from start.
func begins(start time.Time, results []heartbeat.Result) (offsets []time.Duration) {
	for _, r := range results {
		offsets = append(offsets, r.Begin.Sub(start))
	}
	return offsets
}

func seconds(s ...float64) (d []time.Duration) {
	for _, s := range s {
		d = append(d, time.Duration(s*float64(time.Second)))
	}
	return d
}

func TestProbeInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		memService(t, &n)
		p := heartbeat.Probe{Address: service, Count: 4, Dial: n.DialContext}
		start := time.Now()
		results := slices.Collect(p.All(t.Context()))
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("4 attempts took %v, want 3s: none follows the last", took)
		}
		if got, want := begins(start, results), seconds(0, 1, 2, 3); !slices.Equal(got, want) {
			t.Fatalf("began at %v, want %v", got, want)
		}
		for i, r := range results {
			want := heartbeat.Result{
				Seq: i + 1, Begin: r.Begin, Peer: netip.MustParseAddrPort(service), Class: heartbeat.Answered,
			}
			if r != want {
				t.Errorf("got %+v, want %+v", r, want)
			}
		}
	})
}

// An attempt that takes long delays those behind it no more than it must, and
// they keep their distance.
func TestProbeSchedule(t *testing.T) {
	tests := []struct {
		name        string
		dials, body []time.Duration // what each attempt and each turn of the loop takes
		want        []time.Duration
	}{
		{"fast", seconds(0, 0, 0), nil, seconds(0, 1, 2)},
		{"slow, but within the interval", seconds(0.9, 0.5, 1, 0), nil, seconds(0, 1, 2, 3)},
		{"slower than the interval", seconds(0, 2.5, 0, 0), nil, seconds(0, 1, 3.5, 4.5)},
		{"always slower", seconds(1.5, 1.5, 1.5), nil, seconds(0, 1.5, 3)},
		{"slow body", seconds(0, 0, 0, 0), seconds(0.9, 3, 0), seconds(0, 1, 4, 5)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial := 0
				p := heartbeat.Probe{Address: service, Count: len(tt.dials)}
				p.Dial = func(context.Context, string, string) (net.Conn, error) {
					time.Sleep(tt.dials[dial])
					dial++
					conn, _ := memnet.Pipe()
					return conn, nil
				}
				start := time.Now()
				var results []heartbeat.Result
				for r := range p.All(t.Context()) {
					results = append(results, r)
					if want := tt.dials[r.Seq-1]; r.RTT != want || r.Kernel {
						t.Errorf("RTT %v, by the kernel %t, want %v by the clock", r.RTT, r.Kernel, want)
					}
					if len(tt.body) >= r.Seq {
						time.Sleep(tt.body[r.Seq-1])
					}
				}
				if got := begins(start, results); !slices.Equal(got, tt.want) {
					t.Errorf("began at %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// blackhole never answers.
func blackhole(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestProbeOfABlackHole(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1, 5 * time.Second, 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			want := timeout
			if want <= 0 {
				want = 5 * time.Second
			}
			p := heartbeat.Probe{Address: service, Count: 3, Timeout: timeout, Dial: blackhole}
			start := time.Now()
			results := slices.Collect(p.All(t.Context()))
			if got, want := begins(start, results), []time.Duration{0, want, 2 * want}; !slices.Equal(got, want) {
				t.Errorf("began at %v, want %v", got, want)
			}
			for _, r := range results {
				if r.Class != heartbeat.TimedOut || !errors.Is(r.Err, context.DeadlineExceeded) || r.Peer.IsValid() || r.RTT != 0 {
					t.Errorf("got %+v", r)
				}
			}
		})
	}
}

// The end of the context is not an accusation.
func TestProbeEndsWithItsContext(t *testing.T) {
	var n memnet.Network
	tests := []struct {
		name    string
		after   time.Duration
		dial    func(context.Context, string, string) (net.Conn, error)
		results int
	}{
		{"before the first attempt", 0, n.DialContext, 0},
		{"in an attempt", 2500 * time.Millisecond, blackhole, 0},
		{"in the second attempt", 7 * time.Second, blackhole, 1},
		{"when an attempt would time out", 5 * time.Second, blackhole, 0},
		{"between attempts", 2500 * time.Millisecond, n.DialContext, 3},
		{"when an attempt is due", 2 * time.Second, n.DialContext, 2},
	}
	for _, tt := range tests {
		for _, how := range []string{"deadline", "cancel"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), tt.after)
					if how == "cancel" {
						ctx, cancel = context.WithCancel(t.Context())
						if tt.after == 0 {
							cancel()
						}
						time.AfterFunc(tt.after, cancel)
					}
					defer cancel()
					p := heartbeat.Probe{Address: service, Dial: tt.dial}
					start := time.Now()
					got := len(slices.Collect(p.All(ctx)))
					// What cancels at the instant at which a timer fires may
					// come before or after it.
					if atOnce := how == "cancel" && tt.after%time.Second == 0; got != tt.results && (!atOnce || got != tt.results+1) {
						t.Errorf("%d results, want %d", got, tt.results)
					}
					if took := time.Since(start); took != tt.after {
						t.Errorf("it took %v, want %v", took, tt.after)
					}
				})
			})
		}
	}
}

// A connection that comes when the context has ended is closed too.
func TestProbeClosesWhatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		client, server := memnet.Pipe()
		defer server.Close()
		p := heartbeat.Probe{Address: service, Dial: func(context.Context, string, string) (net.Conn, error) {
			cancel()
			return client, nil
		}}
		for r := range p.All(ctx) {
			t.Errorf("got %+v", r)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the service reads %v, want a reset", err)
		}
	})
}

// The loop gets the result when the connection has been reset.
func TestProbeResetsBeforeItYields(t *testing.T) {
	var server *memnet.Conn
	p := heartbeat.Probe{Address: service, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, s := memnet.Pipe()
		server = s
		return client, nil
	}}
	for range p.All(t.Context()) {
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the service reads %v, want a reset", err)
		}
		break
	}
}

// Each range over the iterator begins anew, and several may run at once.
func TestProbeTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		memService(t, &n)
		p := heartbeat.Probe{Address: service, Count: 5, Dial: n.DialContext}
		all := p.All(t.Context())
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				want := 1
				for r := range all {
					if r.Seq != want || r.Class != heartbeat.Answered {
						t.Errorf("got %+v, want number %d", r, want)
					}
					want++
				}
				if want != 6 {
					t.Errorf("%d results, want 5", want-1)
				}
			})
		}
		wg.Wait()
	})
}

func TestProbeForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network // where nobody listens
		for _, count := range []int{0, -1} {
			p := heartbeat.Probe{Address: service, Count: count, Interval: time.Hour, Dial: n.DialContext}
			start := time.Now()
			for r := range p.All(t.Context()) {
				if r.Class != heartbeat.Refused || r.Peer.String() != service {
					t.Fatalf("got %+v", r)
				}
				if r.Seq == 1000 {
					break
				}
			}
			if took := time.Since(start); took != 999*time.Hour {
				t.Errorf("1000 attempts took %v", took)
			}
		}
	})
}

func TestProbeMisuse(t *testing.T) {
	for _, p := range []heartbeat.Probe{
		{},
		{Address: "127.0.0.1"},
		{Address: "127.0.0.1:"},
		{Address: "::1:80"},
		{Address: service, Network: "udp"},
	} {
		p.Dial = func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%q was dialed", p.Address)
			return nil, io.EOF
		}
		results := slices.Collect(p.All(t.Context()))
		if len(results) != 1 {
			t.Fatalf("%d results for %q, want 1", len(results), p.Address)
		}
		if r := results[0]; r.Seq != 1 || r.Class != heartbeat.Failed || r.Begin.IsZero() || !strings.HasPrefix(r.Err.Error(), "heartbeat: ") {
			t.Errorf("%q: got %+v", p.Address, r)
		}
	}
}

func TestClassOfErrors(t *testing.T) {
	addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(service))
	op := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: err} }
	connect := func(err error) error { return op(os.NewSyscallError("connect", err)) }
	tests := []struct {
		err  error
		want heartbeat.Class
	}{
		{connect(syscall.ECONNREFUSED), heartbeat.Refused},
		{connect(syscall.Errno(10061)), heartbeat.Refused}, // Windows
		{fmt.Errorf("proxy: %w", connect(syscall.ECONNREFUSED)), heartbeat.Refused},
		{connect(syscall.ETIMEDOUT), heartbeat.TimedOut},
		{connect(syscall.Errno(10060)), heartbeat.TimedOut},
		{op(os.ErrDeadlineExceeded), heartbeat.TimedOut},
		{op(context.DeadlineExceeded), heartbeat.TimedOut},
		{fmt.Errorf("proxy: %w", context.DeadlineExceeded), heartbeat.TimedOut},
		{connect(syscall.EHOSTUNREACH), heartbeat.Unreachable},
		{connect(syscall.ENETUNREACH), heartbeat.Unreachable},
		{connect(syscall.EHOSTDOWN), heartbeat.Unreachable},
		{connect(syscall.Errno(10051)), heartbeat.Unreachable},
		{connect(syscall.Errno(10064)), heartbeat.Unreachable},
		{connect(syscall.Errno(10065)), heartbeat.Unreachable},
		{op(&net.DNSError{Err: "no such host", Name: "x.example", IsNotFound: true}), heartbeat.NoName},
		{op(&net.DNSError{Err: "i/o timeout", Name: "x.example", IsTimeout: true}), heartbeat.NoName},
		{connect(syscall.EACCES), heartbeat.Failed}, // a firewall here
		{connect(syscall.EPERM), heartbeat.Failed},
		{connect(syscall.ECONNRESET), heartbeat.Failed},
		{connect(syscall.EADDRNOTAVAIL), heartbeat.Failed},
		{op(net.ErrClosed), heartbeat.Failed},
		{context.Canceled, heartbeat.Failed},
		{io.EOF, heartbeat.Failed},
	}
	for _, tt := range tests {
		p := heartbeat.Probe{Address: service, Count: 1, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, tt.err
		}}
		for r := range p.All(t.Context()) {
			if r.Class != tt.want || r.Err != tt.err || r.RTT != 0 {
				t.Errorf("%v: got %+v, want %v", tt.err, r, tt.want)
			}
			_, about := errors.AsType[*net.OpError](tt.err)
			if r.Peer.IsValid() != about || about && r.Peer.String() != service {
				t.Errorf("%v: peer %v", tt.err, r.Peer)
			}
		}
	}
}

func TestClassString(t *testing.T) {
	for class, want := range map[heartbeat.Class]string{
		0:                     "Class(0)",
		heartbeat.Answered:    "answered",
		heartbeat.Refused:     "refused",
		heartbeat.TimedOut:    "timed out",
		heartbeat.Unreachable: "unreachable",
		heartbeat.NoName:      "lookup failed",
		heartbeat.Failed:      "failed",
		200:                   "Class(200)",
	} {
		if got := class.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

// listen announces on a real socket, and closes what it accepts.
func listen(tb testing.TB, address string) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { closeAll(l) })
	tb.Cleanup(func() { l.Close(); wg.Wait() })
	return l
}

// The same loop sees a service go and come back.
func TestProbeWatchesARestart(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	p := heartbeat.Probe{Address: l.Addr().String(), Count: 5, Interval: time.Millisecond}
	var classes []heartbeat.Class
	for r := range p.All(t.Context()) {
		classes = append(classes, r.Class)
		if r.Peer.String() != p.Address {
			t.Errorf("peer %v, want %v", r.Peer, p.Address)
		}
		switch r.Seq {
		case 2:
			l.Close()
		case 4:
			listen(t, p.Address)
		}
	}
	up, down := heartbeat.Answered, heartbeat.Refused
	if want := []heartbeat.Class{up, up, down, down, up}; !slices.Equal(classes, want) {
		t.Errorf("classes %v, want %v", classes, want)
	}
}

// The names of ports are looked up, without a network.
func TestProbeOfAPortWithoutNumber(t *testing.T) {
	p := heartbeat.Probe{Address: "127.0.0.1:no-such-port", Count: 2, Interval: 1}
	for r := range p.All(t.Context()) {
		if r.Class != heartbeat.NoName {
			t.Errorf("got %+v", r)
		}
	}
}

// A nameServer answers over a stream that every name is 127.0.0.1.
type nameServer struct {
	mu       sync.Mutex
	answered time.Time // just before the last answer
}

func (s *nameServer) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		for {
			query := make([]byte, 512)
			if _, err := io.ReadFull(server, query[:2]); err != nil {
				return
			}
			query = query[:binary.BigEndian.Uint16(query)]
			if _, err := io.ReadFull(server, query); err != nil {
				return
			}
			s.mu.Lock()
			s.answered = time.Now()
			s.mu.Unlock()
			if _, err := server.Write(dnsAnswer(query)); err != nil {
				return
			}
		}
	}()
	return client, nil
}

// dnsAnswer returns a message of RFC 1035, section 4, behind its length.
func dnsAnswer(query []byte) []byte {
	const header, typeA = 12, 1
	end := header + bytes.IndexByte(query[header:], 0) + 5 // of the question
	m := slices.Clone(query[:end])
	copy(m[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // no error, one question
	if binary.BigEndian.Uint16(query[end-4:]) == typeA {
		m[7] = 1 // answer: the name above, A, IN, TTL, 4 bytes
		m = append(m, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

// The clock counts from the call of connect, not from the lookup.
func TestClockWithoutTheLookup(t *testing.T) {
	var names nameServer
	defer func(r *net.Resolver) { net.DefaultResolver = r }(net.DefaultResolver)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: names.dial}

	_, port, err := net.SplitHostPort(listen(t, "127.0.0.1:0").Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p := heartbeat.Probe{Address: net.JoinHostPort("service.example.", port)}
	conn, took, err := p.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	names.mu.Lock()
	defer names.mu.Unlock()
	if most := time.Since(names.answered); names.answered.IsZero() || took <= 0 || took >= most {
		t.Errorf("connecting took %v, want less than %v, the time since the lookup", took, most)
	}
}

func BenchmarkProbe(b *testing.B) {
	l := listen(b, "127.0.0.1:0")
	p := heartbeat.Probe{Address: l.Addr().String(), Count: 1}
	b.ReportAllocs()
	for b.Loop() {
		for r := range p.All(b.Context()) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
}
