package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"
)

// PacketStats are what has passed.
type PacketStats struct {
	Datagrams Stats // how many went each way
	Bytes     Stats // what was in them
	Dropped   int64 // datagrams of both ways that were not passed on
}

// A PacketReport is what became of a session.
type PacketReport struct {
	Client   net.Addr // who sends to the server
	Upstream net.Addr // nil if there was none
	PacketStats
	Duration time.Duration // since the first datagram

	// Err is why the session ended: nil if nothing passed for IdleTimeout or
	// Shutdown was called, why the dial failed, a [*SideError] if a socket
	// failed, or [ErrServerClosed].
	Err error
}

// PacketServerStats are figures of a [PacketServer].
type PacketServerStats struct {
	Active      int   // sessions that there are, while they are dialed too
	Total       int64 // sessions that there were, those included
	PacketStats       // of all of them, and with what was dropped without a session
}

// ended reports and logs the end of a session.
func (s *PacketServer) ended(r *PacketReport) {
	if s.Logger != nil {
		r.log(s.Logger)
	}
	if s.Report != nil {
		report(s.Logger, "session not reported", func() { s.Report(*r) })
	}
}

// log writes the record of a session: a warning if it never had an upstream.
func (r *PacketReport) log(log *slog.Logger) {
	level, message := slog.LevelInfo, "session ended"
	attrs := []slog.Attr{slog.String("client", addrString(r.Client))}
	if r.Upstream == nil {
		level, message = slog.LevelWarn, "session refused"
	} else {
		attrs = append(attrs, slog.String("upstream", addrString(r.Upstream)),
			slog.Int64("to_upstream", r.Datagrams.ToUpstream), slog.Int64("to_client", r.Datagrams.ToClient))
	}
	attrs = append(attrs, slog.Int64("dropped", r.Dropped), slog.Duration("duration", r.Duration))
	if _, ok := errors.AsType[*panicError](r.Err); ok {
		level = slog.LevelError
	}
	log.LogAttrs(context.Background(), level, message, append(attrs, errorAttrs(r.Err)...)...)
}
