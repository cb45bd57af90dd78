package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A DialFunc connects to an upstream on behalf of client, whose addresses it may
// look at, but from which it must not read. It returns when ctx ends, at the
// latest: that is when the client has reset its connection, the time for the dial is
// over, or the server closes.
//
// It is called by several goroutines at the same time.
type DialFunc func(ctx context.Context, client net.Conn) (net.Conn, error)

// To dials address on network, as a [net.Dialer] does: "tcp" with a host and a port, or
// "unix" with the path of a socket. For a [PacketServer] it is "udp" or "unixgram": the
// latter's socket gets a name, so that it can be answered, which the kernel makes up on
// Linux and which is a file in the folder for temporary files elsewhere.
func To(network, address string) DialFunc {
	return func(ctx context.Context, _ net.Conn) (net.Conn, error) {
		if network == "unixgram" {
			return dialUnixgram(ctx, address)
		}
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// errNoUpstream is what policies return that have nothing to choose from.
var errNoUpstream = errors.New("proxy: no upstream to dial")

// RoundRobin dials the upstreams in turn, one for each client. If that one fails the
// client gets the next one, as [Failover] does it.
func RoundRobin(upstreams ...DialFunc) DialFunc {
	turn := atomic.Uint64{}
	f := newFailover(upstreams)
	return func(ctx context.Context, client net.Conn) (net.Conn, error) {
		if len(upstreams) == 0 {
			return nil, errNoUpstream
		}
		first := int((turn.Add(1) - 1) % uint64(len(upstreams)))
		return f.dial(ctx, client, first)
	}
}

// Failover dials the first upstream, and if that fails the next, and so on. Each
// one gets an equal share of what is left of the time of ctx, so that one that does
// not answer leaves time for the others. An upstream that has failed is tried after
// the others for ten seconds. If all fail, the error joins theirs.
func Failover(upstreams ...DialFunc) DialFunc {
	f := newFailover(upstreams)
	return func(ctx context.Context, client net.Conn) (net.Conn, error) {
		return f.dial(ctx, client, 0)
	}
}

// avoidFor is how long an upstream that has failed is tried last.
const avoidFor = 10 * time.Second

// A failover is upstreams of which some may have failed.
type failover struct {
	upstreams []DialFunc
	begin     time.Time
	avoid     []atomic.Int64 // until when, in nanoseconds since begin
}

func newFailover(upstreams []DialFunc) *failover {
	return &failover{slices.Clone(upstreams), time.Now(), make([]atomic.Int64, len(upstreams))}
}

// order returns the indices of the upstreams from first on, with those that have
// failed at the end.
func (f *failover) order(first int) []int {
	now := int64(time.Since(f.begin))
	order := make([]int, 0, 2*len(f.upstreams))
	var last []int
	for i := range f.upstreams {
		i = (first + i) % len(f.upstreams)
		if f.avoid[i].Load() > now {
			last = append(last, i)
		} else {
			order = append(order, i)
		}
	}
	return append(order, last...)
}

// dial dials the upstreams from first on until one answers.
func (f *failover) dial(ctx context.Context, client net.Conn, first int) (net.Conn, error) {
	errs := []error{errNoUpstream}
	order := f.order(first)
	for n, i := range order {
		conn, err := dialShare(ctx, f.upstreams[i], client, len(order)-n)
		if err == nil {
			f.avoid[i].Store(0)
			return conn, nil
		}
		if n == 0 {
			errs = errs[:0]
		}
		errs = append(errs, err)
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			break // it is not the fault of the upstream
		}
		f.avoid[i].Store(int64(time.Since(f.begin) + avoidFor))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// dialShare dials with one of so many shares of the time that is left.
func dialShare(ctx context.Context, dial DialFunc, client net.Conn, shares int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(shares))
		defer cancel()
	}
	return dialSafely(ctx, dial, client)
}

// First dials all upstreams at once and keeps the connection that is there first. The
// other dials are cancelled and waited for, and their connections are closed. If all
// fail, the error joins theirs.
func First(upstreams ...DialFunc) DialFunc {
	upstreams = slices.Clone(upstreams)
	return func(ctx context.Context, client net.Conn) (net.Conn, error) {
		if len(upstreams) == 0 {
			return nil, errNoUpstream
		}
		r := race{errs: make([]error, len(upstreams))}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var dials sync.WaitGroup
		for i, dial := range upstreams {
			dials.Go(func() {
				conn, err := dialSafely(ctx, dial, client)
				if r.finish(i, conn, err) {
					cancel()
				}
			})
		}
		dials.Wait()
		if r.conn == nil {
			return nil, errors.Join(r.errs...)
		}
		return r.conn, nil
	}
}

// A race is the dials of [First].
type race struct {
	mu   sync.Mutex
	conn net.Conn // of the first
	errs []error
}

// finish notes the outcome of a dial, and reports whether it is the first that
// succeeded.
func (r *race) finish(i int, conn net.Conn, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs[i] = err
	if err != nil {
		return false
	}
	if r.conn != nil {
		_ = conn.Close() // nothing has passed over it
		return false
	}
	r.conn = conn
	return true
}

// dialSafely dials, and makes an error of a panic and of a nil without an error.
func dialSafely(ctx context.Context, dial DialFunc, client net.Conn) (conn net.Conn, err error) {
	if panicked := safely("Dial", func() { conn, err = dial(ctx, client) }); panicked != nil {
		return nil, panicked
	}
	if err == nil && conn == nil {
		err = errors.New("proxy: Dial returned no connection and no error")
	}
	return conn, err
}
