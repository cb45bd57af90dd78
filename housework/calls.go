package housework

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// maxHandshakeRecords is how many failed handshakes are logged in a second: whoever can
// connect can make them.
const maxHandshakeRecords = 10

// maxMethodRecord is how many characters of a method's name are logged. A client may name
// one of many KiB, and its header compression makes that a few bytes the second time.
const maxMethodRecord = 100

// recoverUnary lets a call that panics fail alone. Rosie does so herself; this is for
// the interceptors of Options.
func recoverUnary(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (out any, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, panicked(ctx, v)
		}
	}()
	return handle(ctx, in)
}

// panicked returns the status of a call that panicked with v.
func panicked(ctx context.Context, v any) error {
	noteCause(ctx, fmt.Errorf("panic: %v\n\n%s", v, debug.Stack()))
	return status.Error(codes.Internal, "internal error")
}

// recoverStream does the same for streams. These end when the server drains, as
// they would go on for ever.
func (e *engine) recoverStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	ctx, cancel := context.WithCancel(stream.Context())
	ending := &endingStream{ServerStream: stream, ctx: ctx}
	defer cancel()
	defer context.AfterFunc(e.draining, cancel)()
	defer func() {
		if v := recover(); v != nil {
			err = panicked(ctx, v)
		} else if err != nil && e.draining.Err() != nil {
			ending.lastHealth()
			err = status.Error(codes.Unavailable, "server is shutting down")
		}
	}()
	return handle(srv, ending)
}

// An endingStream is a stream with a context that may end before that of its call.
type endingStream struct {
	grpc.ServerStream
	ctx  context.Context
	sent *healthpb.HealthCheckResponse // the last one, if it is of such
}

// Context implements grpc.ServerStream.
func (s *endingStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream. When the context has ended it returns, and the
// message must not be used.
func (s *endingStream) RecvMsg(m any) error {
	received := make(chan error, 1)
	// It ends with the call, which is when the handler has returned.
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		return err
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	}
}

// SendMsg implements grpc.ServerStream.
func (s *endingStream) SendMsg(m any) error {
	s.sent, _ = m.(*healthpb.HealthCheckResponse)
	return s.ServerStream.SendMsg(m)
}

// lastHealth tells who watches health that it has ended: the handler may have seen its
// context before the news.
func (s *endingStream) lastHealth() {
	if s.sent.GetStatus() == healthpb.HealthCheckResponse_SERVING {
		// An error says that nobody watches any more.
		_ = s.ServerStream.SendMsg(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_NOT_SERVING})
	}
}

// unknownMethod is the handler of what no service has. gRPC would answer the same, but
// not tell the callLog.
func unknownMethod(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "unknown method %.*s", maxMethodRecord, method)
}

// A callLog logs calls.
type callLog struct{ log *slog.Logger }

// A call is what is known of one while it lasts.
type call struct {
	method string
	cause  error // that clients learn nothing of
}

type callKey struct{}

// noteCause keeps err for the record of the call. It is called by the call's goroutine.
func noteCause(ctx context.Context, err error) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.cause = err
	}
}

// TagRPC implements stats.Handler.
func (*callLog) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, callKey{}, &call{method: info.FullMethodName})
}

// HandleRPC implements stats.Handler.
func (l *callLog) HandleRPC(ctx context.Context, s stats.RPCStats) {
	end, ok := s.(*stats.End)
	if !ok {
		return
	}
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return
	}
	code, level := status.Code(end.Error), slog.LevelInfo
	switch code {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		level = slog.LevelError
	}
	if !l.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", fmt.Sprintf("%.*s", maxMethodRecord, c.method)), slog.String("code", code.String())}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		attrs = append(attrs, slog.String("remote", p.Addr.String()))
	}
	attrs = append(attrs, slog.Duration("duration", end.EndTime.Sub(end.BeginTime)))
	if c.cause != nil {
		attrs = append(attrs, slog.String("error", c.cause.Error()))
	} else if end.Error != nil {
		attrs = append(attrs, slog.String("error", status.Convert(end.Error).Message()))
	}
	l.log.LogAttrs(ctx, level, "call ended", attrs...)
}

// TagConn implements stats.Handler.
func (*callLog) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*callLog) HandleConn(context.Context, stats.ConnStats) {}

// A handshakeLog logs handshakes that failed.
type handshakeLog struct {
	log   *slog.Logger    // nil if nothing is logged
	quiet <-chan struct{} // closed when failures are the server's own doing

	mu     sync.Mutex
	second time.Time // when the count began
	count  int
	lost   int // records, since the last one
}

// failed logs that conn has failed with err.
func (h *handshakeLog) failed(conn net.Conn, err error) {
	if h.log == nil {
		return
	}
	select {
	case <-h.quiet:
		return
	default:
	}
	lost, ok := h.admit(time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("error", err.Error())}
	if a := conn.RemoteAddr(); a != nil {
		attrs = append([]slog.Attr{slog.String("remote", a.String())}, attrs...)
	}
	if lost > 0 {
		attrs = append(attrs, slog.Int("not_logged", lost))
	}
	h.log.LogAttrs(context.Background(), slog.LevelWarn, "no connection because of its handshake", attrs...)
}

// admit reports whether there may be a record now, and how many there were not before.
func (h *handshakeLog) admit(now time.Time) (lost int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.second) >= time.Second {
		h.second, h.count = now, 0
	}
	if h.count == maxHandshakeRecords {
		h.lost++
		return 0, false
	}
	h.count++
	lost, h.lost = h.lost, 0
	return lost, true
}
