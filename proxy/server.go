package proxy

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/netparts/netparts/internal/serve"
)

// ErrServerClosed is what the Serve methods of a [Server] and a [PacketServer]
// return after Shutdown or Close.
var ErrServerClosed = errors.New("proxy: server closed")

const defaultDialTimeout = 10 * time.Second

// A Server relays the connections it accepts to upstreams.
//
// The exported fields must not be changed after the first call to a method that
// serves. All methods are safe for concurrent use.
type Server struct {
	// Dial connects to the upstream of a client. It must be set, and may be one of
	// [To], [RoundRobin], [Failover] and [First]. Its context ends when the client
	// resets its connection, after DialTimeout, and when the server is closed. If
	// it fails for want of descriptors or memory it is called again while there is
	// time; after any other failure the client's connection is reset. A panic
	// counts as a failure.
	Dial DialFunc

	// DialTimeout is how long Dial may take. If zero, ten seconds; if negative,
	// there is no limit.
	DialTimeout time.Duration

	// IdleTimeout is that of [Options]: how long no byte may move. If zero, one
	// hour; if negative, there is no limit.
	IdleTimeout time.Duration

	// HalfCloseTimeout is that of [Options]: the same when one side has ended its
	// stream. If zero, one minute; if negative, IdleTimeout holds.
	HalfCloseTimeout time.Duration

	// MaxConns is how many clients are served at once. At the limit no more are
	// accepted, so that they wait in the backlog of the system. If zero or
	// negative, there is no limit.
	MaxConns int

	// Header says for each source address whether its connections begin with a
	// header of the PROXY protocol. If nil, [HeaderNone] holds for all.
	Header func(source net.Addr) HeaderPolicy

	// HeaderTimeout is how long a header may take. If zero or negative, ten seconds.
	HeaderTimeout time.Duration

	// SendHeader is the version of the PROXY protocol whose header upstreams get
	// first, 1 or 2. If zero, they get none.
	SendHeader int

	// Tap returns what shall see the bytes of a client, as [Options.Tap] does, or
	// nil. A panic in Tap itself resets the connection. If Tap is nil, nobody does.
	Tap func(client net.Conn) func(d Direction, b []byte)

	// Report is called at the end of each connection. If nil, nothing is called.
	// A panic in it is logged.
	Report func(Report)

	// Listening is called by ListenAndServe when it listens, with the address,
	// which tells the port if that was 0. If nil, nothing is called.
	Listening func(net.Addr)

	// Logger gets one record for each connection that ended, for each spell of
	// accept errors, and for each panic of a Tap or of Report. If nil, nothing is
	// logged.
	Logger *slog.Logger

	group  serve.Group
	totals totals
}

// A Report is what became of a connection.
type Report struct {
	Client   net.Addr // of the header, if there was one
	Upstream net.Addr // nil if there was none
	Stats
	Duration time.Duration // since the client was accepted

	// Err is the cause of the end: what [Relay] returned, or why the header was not
	// accepted or the dial failed. It is nil after an orderly end.
	Err error
}

func (s *Server) dialTimeout() time.Duration { return cmp.Or(s.DialTimeout, defaultDialTimeout) }

func (s *Server) config() serve.Config {
	return serve.Config{
		Begin:    s.begin,
		Closed:   ErrServerClosed,
		MaxConns: s.MaxConns,
		Reset:    true,
		Logger:   s.Logger,
	}
}

// Serve accepts connections on l and relays each. It always returns a non-nil error
// and closes l. After Shutdown or Close the error is [ErrServerClosed].
//
// Errors that pass, as for want of descriptors, do not end it: it pauses for 5 ms
// up to a second, and logs once.
func (s *Server) Serve(l net.Listener) error {
	return s.group.Serve(l, s.config())
}

// ServeConn relays one connection, which it closes, and returns at its end. The
// error is the cause of ctx if that has ended, [ErrServerClosed] if the server is
// closed, and nil otherwise.
func (s *Server) ServeConn(ctx context.Context, client net.Conn) error {
	return s.group.ServeConn(ctx, client, s.config())
}

// Addr returns the address of the first listener, or nil before there is one.
func (s *Server) Addr() net.Addr { return s.group.Addr() }

// Shutdown closes the listeners and waits until all connections have ended by
// themselves, with all that is in flight delivered. If ctx ends first it returns the
// error of ctx, and the connections go on until Close.
func (s *Server) Shutdown(ctx context.Context) error { return s.group.Shutdown(ctx) }

// Close closes the listeners and resets all connections, without waiting for what
// serves them to return; Shutdown after it does. It returns the first error of
// closing a listener.
func (s *Server) Close() error { return s.group.Close() }

// A relayed is a connection of a client on its way through the server.
type relayed struct {
	server   *Server
	begun    time.Time
	report   Report
	options  Options
	counters Counters
	pair     *pair
	done     func()
}

// begin serves one client. It returns when that is relayed, and calls done at the end.
func (s *Server) begin(ctx context.Context, client net.Conn, done func()) {
	growStack(0)
	c := &relayed{server: s, begun: time.Now(), done: done}
	c.report.Client = client.RemoteAddr()
	if err := c.prepare(ctx, client); err != nil {
		c.end(err)
		return
	}
	s.totals.begin(&c.counters)
	c.pair.relayLater(ctx, func(err error) {
		s.totals.end(&c.counters)
		c.report.Stats = c.pair.stats()
		c.end(err)
	})
}

// prepare does all that comes before the relay. If it fails it resets the client.
func (c *relayed) prepare(ctx context.Context, client net.Conn) error {
	s := c.server
	client, err := s.readHeader(ctx, client)
	var upstream net.Conn
	if err == nil {
		c.report.Client = client.RemoteAddr()
		upstream, err = s.connect(ctx, client)
	}
	if err != nil {
		_ = serve.Reset(client) // what is left to say is in the Report
		return err
	}
	c.report.Upstream = upstream.RemoteAddr()
	c.options = Options{
		IdleTimeout:      s.IdleTimeout,
		HalfCloseTimeout: s.HalfCloseTimeout,
		Counters:         &c.counters,
		Logger:           s.Logger,
	}
	if s.Tap != nil {
		err = safely("Tap", func() { c.options.Tap = s.Tap(client) })
	}
	if err != nil {
		_ = serve.Reset(client)
		_ = serve.Reset(upstream)
		return err
	}
	c.pair = newPair(client, upstream, &c.options)
	return nil
}

// end reports the end of the connection.
func (c *relayed) end(err error) {
	c.report.Err = err
	c.report.Duration = time.Since(c.begun)
	c.server.ended(&c.report)
	c.done()
}

// connect dials the upstream and sends it the header.
func (s *Server) connect(ctx context.Context, client net.Conn) (net.Conn, error) {
	upstream, err := s.dial(ctx, client)
	if err != nil || s.SendHeader == 0 {
		return upstream, err
	}
	if err := s.sendHeader(client, upstream); err != nil {
		_ = serve.Reset(upstream) // the cause is reported
		return nil, &SideError{Upstream, err}
	}
	return upstream, nil
}

// ended reports and logs the end of a connection.
func (s *Server) ended(r *Report) {
	if s.Logger != nil {
		r.log(s.Logger)
	}
	if s.Report != nil {
		report(s.Logger, "connection not reported", func() { s.Report(*r) })
	}
}

// report calls a hook that wants to know of an end, and logs its panic.
func report(log *slog.Logger, message string, hook func()) {
	err := safely("Report", hook)
	if err != nil && log != nil {
		log.LogAttrs(context.Background(), slog.LevelError, message, errorAttrs(err)...)
	}
}

// log writes the record of a connection: a warning if it never reached an upstream, or
// a hook or a connection panicked.
func (r *Report) log(log *slog.Logger) {
	level, message := slog.LevelInfo, "connection ended"
	attrs := []slog.Attr{slog.String("client", addrString(r.Client))}
	if r.Upstream == nil {
		level, message = slog.LevelWarn, "connection refused"
	} else {
		attrs = append(attrs, slog.String("upstream", addrString(r.Upstream)),
			slog.Int64("to_upstream", r.ToUpstream), slog.Int64("to_client", r.ToClient))
	}
	attrs = append(attrs, slog.Duration("duration", r.Duration))
	if _, ok := errors.AsType[*panicError](r.Err); ok {
		level = slog.LevelError
	}
	attrs = append(attrs, errorAttrs(r.Err)...)
	log.LogAttrs(context.Background(), level, message, attrs...)
}

// addrString returns the address for a log, if there is one.
func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// errorAttrs returns what a record says of an error, if there is one.
func errorAttrs(err error) []slog.Attr {
	if err == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("error", err.Error())}
	if e, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(e.stack)))
	}
	return attrs
}
