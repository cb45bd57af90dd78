package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	defaultProbeInterval = time.Second
	defaultProbeTimeout  = 5 * time.Second
)

// A Probe asks again and again whether a TCP service answers: it connects,
// measures the round trip of the handshake (RFC 9293, section 3.5) and closes
// the connection. It sends no data. So it works where ICMP is filtered, and it
// asks for the service rather than for its host. It costs the service more than
// an ICMP echo, and at a high rate it counts as abuse: probe what is yours, or
// with leave.
//
// Each connection is closed with a reset, so that no socket stays in TIME-WAIT,
// here or there, however many attempts are made. The service sees a connection
// that is reset before anything came over it, and may log that.
//
// A Probe may be used by several goroutines at once. Its exported fields must
// not be changed while a loop over All runs.
type Probe struct {
	// Address is the host and port to connect to, such as "example.com:443",
	// as [net.Dial] takes it. It is required. A name is looked up in each
	// attempt.
	Address string

	// Network is "tcp", "tcp4" or "tcp6". If empty, it is "tcp".
	Network string

	// Count is how many attempts are made. If zero or negative, they go on
	// until the context ends.
	Count int

	// Interval is the time from the beginning of one attempt to that of the
	// next. Attempts never overlap: one that is due while another is under way,
	// or while the body of the loop runs, begins right after it, and those that
	// follow are Interval apart again. If zero or negative, it is 1 second.
	Interval time.Duration

	// Timeout limits one attempt, the lookup of the name included. If zero or
	// negative, it is 5 seconds.
	Timeout time.Duration

	// Dial connects, instead of a [net.Dialer]. It must return when its context
	// ends, which is after Timeout or with the context of All. It may be called
	// by several goroutines at once if the Probe is used by them. If nil, a
	// net.Dialer without keep-alive messages is used, which tries the addresses
	// of a name as RFC 8305 says.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Result is what became of one attempt of a [Probe].
type Result struct {
	// Seq is the number of the attempt, from 1.
	Seq int

	// Begin is when the attempt began, before the lookup of a name.
	Begin time.Time

	// Peer is the address that answered, or for another Class the one that the
	// error is about. It is the zero AddrPort if that is not known.
	Peer netip.AddrPort

	// RTT is the round trip time of the handshake on the connection to Peer. It
	// is zero unless the Class is Answered.
	RTT time.Duration

	// Kernel reports that RTT was measured by the kernel, as the field tcpi_rtt
	// of Linux's TCP_INFO, in whole microseconds. Otherwise it is by the clock,
	// from just before the call of connect until the connection was there, which
	// includes waiting for a processor; with Probe.Dial it is the time that Dial
	// took.
	Kernel bool

	// Class says how the attempt ended.
	Class Class

	// Err is nil if the Class is Answered, otherwise what Dial returned.
	Err error
}

// A Class says how an attempt ended.
type Class uint8

// The classes of results.
const (
	// Answered: the connection came about.
	Answered Class = iota + 1

	// Refused: the host said that nothing listens on the port, ECONNREFUSED.
	Refused

	// TimedOut: no answer came in time.
	TimedOut

	// Unreachable: there is no way to the host or its network, EHOSTUNREACH,
	// ENETUNREACH or EHOSTDOWN.
	Unreachable

	// NoName: the lookup of the name failed or took too long, so that nothing
	// is known of the service.
	NoName

	// Failed: anything else, such as a firewall of this host or an address that
	// is not one.
	Failed
)

// String returns what a reader of a log expects, such as "timed out".
func (c Class) String() string {
	switch c {
	case Answered:
		return "answered"
	case Refused:
		return "refused"
	case TimedOut:
		return "timed out"
	case Unreachable:
		return "unreachable"
	case NoName:
		return "lookup failed"
	case Failed:
		return "failed"
	}
	return "Class(" + strconv.Itoa(int(c)) + ")"
}

// All returns an iterator over the results of attempts, the first of which
// begins at once. It makes no attempt ahead of the loop that ranges over it, and
// each range begins anew. An attempt that fails is a result and not an end: the
// loop sees a service go and come back. The connection is closed before the loop
// gets the result.
//
// The iterator ends after Count attempts, when the loop is left, or when ctx
// ends. An attempt that ctx cuts short has no result, since nothing is known of
// the service then.
//
// If Address or Network is not as described, the one Result says so, with the
// Class Failed.
func (p *Probe) All(ctx context.Context) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		due := time.Now()
		if err := p.check(); err != nil {
			yield(Result{Seq: 1, Begin: due, Class: Failed, Err: err})
			return
		}
		for seq := 1; p.Count <= 0 || seq <= p.Count; seq++ {
			if !waitUntil(ctx, due) {
				return
			}
			r := p.attempt(ctx)
			r.Seq = seq
			if ended(ctx) || !yield(r) {
				return
			}
			due = due.Add(p.interval())
			if now := time.Now(); due.Before(now) {
				due = now // what was missed is not made up for
			}
		}
	}
}

// check returns what is wrong with the fields.
func (p *Probe) check() error {
	switch p.network() {
	case "tcp", "tcp4", "tcp6":
	default:
		return fmt.Errorf("heartbeat: probe: %w", net.UnknownNetworkError(p.Network))
	}
	_, port, err := net.SplitHostPort(p.Address)
	if err == nil && port == "" {
		err = &net.AddrError{Err: "missing port in address", Addr: p.Address}
	}
	if err != nil {
		return fmt.Errorf("heartbeat: probe: %w", err)
	}
	return nil
}

// attempt connects once. It leaves Seq to its caller.
func (p *Probe) attempt(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	r := Result{Begin: time.Now()}
	conn, took, err := p.dial(ctx)
	if err != nil {
		r.Class, r.Err = classify(err), err
		if op, ok := errors.AsType[*net.OpError](err); ok {
			r.Peer = addrPort(op.Addr)
		}
		return r
	}
	defer reset(conn)
	r.Class, r.Peer = Answered, addrPort(conn.RemoteAddr())
	if r.RTT, r.Kernel = kernelRTT(conn); !r.Kernel {
		r.RTT = took
	}
	return r
}

// dial connects. It returns how long that took for the connection that it
// returns, which may be the last of several that were tried.
func (p *Probe) dial(ctx context.Context) (net.Conn, time.Duration, error) {
	begin := time.Now()
	if p.Dial != nil {
		conn, err := p.Dial(ctx, p.network(), p.Address)
		return conn, time.Since(begin), err
	}
	var mu sync.Mutex // two addresses may be tried at once
	connects := make(map[string]time.Time)
	dialer := net.Dialer{
		KeepAlive: -1,
		Control: func(_, address string, _ syscall.RawConn) error {
			mu.Lock()
			defer mu.Unlock()
			connects[address] = time.Now()
			return nil
		},
	}
	conn, err := dialer.DialContext(ctx, p.network(), p.Address)
	end := time.Now()
	if err != nil {
		return nil, 0, err
	}
	mu.Lock()
	defer mu.Unlock()
	if t, ok := connects[conn.RemoteAddr().String()]; ok {
		begin = t
	}
	return conn, end.Sub(begin), nil
}

func (p *Probe) network() string {
	if p.Network == "" {
		return "tcp"
	}
	return p.Network
}

func (p *Probe) interval() time.Duration {
	if p.Interval <= 0 {
		return defaultProbeInterval
	}
	return p.Interval
}

func (p *Probe) timeout() time.Duration {
	if p.Timeout <= 0 {
		return defaultProbeTimeout
	}
	return p.Timeout
}

// reset closes conn without leaving it in TIME-WAIT, if it is a TCP connection.
// Its errors say nothing about the service, which has answered.
func reset(conn net.Conn) {
	if c, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = c.SetLinger(0)
	}
	_ = conn.Close()
}

// waitUntil waits for an instant, and reports whether it came before ctx ended.
func waitUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return !ended(ctx)
	}
}

// ended reports whether ctx has ended, or is about to: a socket notices the
// deadline of its context by a timer of its own, which may be the first.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// addrPort returns the zero AddrPort for what is not the address of a TCP
// endpoint.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// The codes of Windows Sockets, which the names in package syscall do not stand
// for on Windows. No other system uses these numbers.
const (
	wsaENETUNREACH  syscall.Errno = 10051
	wsaETIMEDOUT    syscall.Errno = 10060
	wsaECONNREFUSED syscall.Errno = 10061
	wsaEHOSTDOWN    syscall.Errno = 10064
	wsaEHOSTUNREACH syscall.Errno = 10065
)

// classify returns the class of an error of Dial.
func classify(err error) Class {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return NoName
	}
	switch errno, _ := errors.AsType[syscall.Errno](err); errno {
	case syscall.ECONNREFUSED, wsaECONNREFUSED:
		return Refused
	case syscall.ETIMEDOUT, wsaETIMEDOUT:
		return TimedOut
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		wsaEHOSTUNREACH, wsaENETUNREACH, wsaEHOSTDOWN:
		return Unreachable
	}
	timeout, ok := errors.AsType[net.Error](err)
	if ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return TimedOut
	}
	return Failed
}
