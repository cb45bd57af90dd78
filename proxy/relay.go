package proxy

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

const (
	defaultIdleTimeout      = time.Hour
	defaultHalfCloseTimeout = time.Minute
)

// A Direction is one of the two ways of a connection that is relayed.
type Direction int

// The directions.
const (
	ToUpstream Direction = iota // what the client sends
	ToClient                    // what the upstream answers
)

// String returns "to upstream" or "to client".
func (d Direction) String() string {
	if d == ToClient {
		return "to client"
	}
	return "to upstream"
}

// Counters count the bytes that have been delivered, while that goes on: to the
// buffers of the system, or to Write of what is no socket. They cost the same
// whether anybody reads them or not.
type Counters struct {
	ToUpstream atomic.Int64 // what the client sent
	ToClient   atomic.Int64 // what the upstream sent
}

func (c *Counters) of(d Direction) *atomic.Int64 {
	if d == ToClient {
		return &c.ToClient
	}
	return &c.ToUpstream
}

// Options say how [Relay] relays. Their zero value is ready to use.
type Options struct {
	// IdleTimeout is how long no byte may move, in either direction, before the
	// pair is ended. A reader that takes nothing counts as idle, keep-alive
	// probes of TCP are no bytes. If zero, one hour; if negative, there is no
	// limit.
	IdleTimeout time.Duration

	// HalfCloseTimeout is the same when one side has ended its stream and the
	// other one stays silent. It is also how long what was delivered may take to
	// arrive before a reset is passed on. If zero, one minute; if negative,
	// IdleTimeout holds.
	HalfCloseTimeout time.Duration

	// Counters count while the pair is open, and go on from what they are. If
	// nil, the result of Relay is all there is.
	Counters *Counters

	// Tap is called with what each direction carries before it is delivered. The
	// slice is valid during the call, must not be changed, and the call delays the
	// bytes. It has up to 16 KiB, or all of a head of [Prepend]. The two
	// directions call at the same time. After a panic it is not called any more,
	// and the traffic goes on. If nil, bytes may be moved without being copied.
	Tap func(d Direction, b []byte)

	// Logger gets a record of a panic in Tap. If nil, nothing is logged.
	Logger *slog.Logger
}

func (o *Options) idleTimeout() time.Duration {
	return cmp.Or(o.IdleTimeout, defaultIdleTimeout)
}

func (o *Options) halfCloseTimeout() time.Duration {
	limit := cmp.Or(o.HalfCloseTimeout, defaultHalfCloseTimeout)
	if idle := o.idleTimeout(); idle > 0 && (limit < 0 || idle < limit) {
		return idle
	}
	return limit
}

func (o *Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// Stats are the bytes that were delivered each way.
type Stats struct {
	ToUpstream int64 // what the client sent
	ToClient   int64 // what the upstream sent
}

// Relay copies both ways between client and upstream until both have ended their
// streams, and closes them. It clears their deadlines first, and one that does not
// obey its deadline is closed a second later. A connection of the system that
// carries messages, as of UDP, is refused, for which the error is
// [errors.ErrUnsupported]. If o is nil, its zero value is used.
//
// The error is the cause of the end: nil after an orderly one, a [*SideError] if one
// side was reset or failed, [ErrIdle] or [ErrHalfClosed] after a time-out, or the
// cause of ctx. What the other side is told is in the table of the package's
// comment.
func Relay(ctx context.Context, client, upstream net.Conn, o *Options) (Stats, error) {
	if o == nil {
		o = new(Options)
	}
	p := newPair(client, upstream, o)
	err := p.relay(ctx)
	if p.panic != nil {
		panic(p.panic.cause)
	}
	return p.stats(), err
}
