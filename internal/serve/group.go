package serve

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// A Config is what a server wants of one call.
type Config struct {
	// Handle serves one connection. The Group closes conn when it returns, and
	// ends ctx. Both happen earlier if the Group is closed or, in ServeConn,
	// if the caller's context ends, so that what blocks on either returns;
	// the cause of ctx is then Closed or the cause of the caller's context.
	Handle func(ctx context.Context, conn net.Conn)

	// Begin, if it is not nil, is called instead of Handle. It may return before the
	// connection is served, of which done tells, and must be called then: so what
	// waits for hours need not keep the stack that preparing it took.
	Begin func(ctx context.Context, conn net.Conn, done func())

	// Ended is called by ServePacket when it has closed its connection, before
	// Shutdown returns. If nil, nothing is called.
	Ended func()

	// Closed is what Serve returns after Shutdown or Close.
	Closed error

	// MaxConns is how many connections of the Group are handled at once. At
	// the limit nothing is accepted, so that the backlog pushes back. If a
	// Serve is in Accept already when another one, or ServeConn, takes the
	// last place, it holds what it accepts until there is room. If zero or
	// negative, there is no limit.
	MaxConns int

	// WakeReaders lets Shutdown move the read deadlines of the connections into
	// the past, so that handlers that wait for a peer return from Read. A handler
	// that moves the deadline itself looks at Stopping afterwards.
	WakeReaders bool

	// Reset lets Close and the end of a caller's context cut connections by [Reset]
	// rather than by closing them as usual, so that their peers can tell that from
	// the end of a stream.
	Reset bool

	// Logger gets a record of each spell of accept errors and of each panic in
	// Handle. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c *Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A Group is the listeners and the connections of one server. Its zero value is
// ready to use, and all methods are safe for concurrent use.
type Group struct {
	mu       sync.Mutex
	changed  sync.Cond // a connection ended, or stopping is set
	ready    bool      // the fields below are made
	stopping bool      // Shutdown or Close has begun
	addr     net.Addr  // of the first listener or packet connection
	closeErr error     // the first error of a listener's Close

	// These are sets of pointers of our own, because a net.Listener or a
	// net.Conn may be of a type that cannot be compared.
	listeners map[*listener]struct{}
	packets   map[*packets]struct{}
	conns     map[*conn]struct{}

	stop chan struct{} // closed when stopping is set
	idle chan struct{} // closed when stopping is set and packets and conns are empty
}

// A listener is a net.Listener whose Close may be called again.
type listener struct{ close func() error }

// A conn is a connection with the end of the context of its handler.
type conn struct {
	net.Conn
	cancel context.CancelCauseFunc
	closed error // the cause when the Group is closed
	wakes  bool  // Shutdown moves its read deadline
	resets bool  // abort closes it by a reset
}

// abort ends the handler's context and closes c without a farewell: a TLS
// connection would first wait up to five seconds for its peer to take the
// close_notify alert, so what it wraps is closed before.
func (c *conn) abort() {
	c.cancel(c.closed)
	if c.resets {
		_ = Reset(c.Conn) // nobody waits for it
		return
	}
	if tls, ok := c.Conn.(interface{ NetConn() net.Conn }); ok {
		if inner := tls.NetConn(); inner != nil {
			inner.Close()
		}
	}
	c.Conn.Close()
}

// lock locks the Group and makes what its zero value lacks.
func (g *Group) lock() {
	g.mu.Lock()
	if g.ready {
		return
	}
	g.ready = true
	g.changed.L = &g.mu
	g.listeners = make(map[*listener]struct{})
	g.packets = make(map[*packets]struct{})
	g.conns = make(map[*conn]struct{})
	g.stop = make(chan struct{})
	g.idle = make(chan struct{})
}

// Serve accepts connections on l and handles each in a goroutine of its own. It
// closes l and always returns an error: c.Closed after Shutdown or Close. A
// connection that has been accepted by then and waits for room is closed.
func (g *Group) Serve(l net.Listener, c Config) error {
	own := &listener{close: sync.OnceValue(l.Close)}
	defer own.close()
	if !g.addListener(own, l.Addr()) {
		return c.Closed
	}
	defer g.removeListener(own)

	log := c.logger()
	pause := backoff{what: "accept"}
	for g.waitForRoom(c.MaxConns) {
		accepted, err := l.Accept()
		switch {
		case err == nil:
			pause.success(log)
			g.start(accepted, c, log)
		case g.IsStopping():
			return c.Closed
		case !passes(err):
			return err
		case !pause.wait(err, g.stop, log):
			return c.Closed
		}
	}
	return c.Closed
}

// start handles an accepted connection in a goroutine.
func (g *Group) start(accepted net.Conn, c Config, log *slog.Logger) {
	ctx, own, ok := g.addConn(context.Background(), accepted, c, c.MaxConns)
	if !ok {
		return
	}
	if c.Begin != nil {
		go g.begin(ctx, own, c.Begin, log)
		return
	}
	go func() {
		defer g.end(own, log)
		defer report(accepted, log)
		c.Handle(ctx, accepted)
	}()
}

// begin calls begin, and ends the connection if that panics.
func (g *Group) begin(ctx context.Context, own *conn, begin func(context.Context, net.Conn, func()), log *slog.Logger) {
	done := sync.OnceFunc(func() { g.end(own, log) })
	begun := false
	defer func() {
		if !begun {
			done()
		}
	}()
	defer report(own.Conn, log)
	begin(ctx, own.Conn, done)
	begun = true
}

// end closes a connection that is served.
func (g *Group) end(own *conn, log *slog.Logger) {
	defer g.removeConn(own)
	defer report(own.Conn, log)
	own.Conn.Close()
}

// report logs a panic of Handle, or of Close, and keeps the server alive.
func report(conn net.Conn, log *slog.Logger) {
	if cause := recover(); cause != nil {
		log.Error("panic in handler", "remote", addrOf(conn), "panic", cause, "stack", string(debug.Stack()))
	}
}

// addrOf returns the peer's address, if it has one.
func addrOf(conn net.Conn) string {
	if a := conn.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// ServeConn handles one connection and returns when that is done. It closes
// conn. The error is the cause of ctx if that has ended, c.Closed if the Group
// has stopped before or was closed meanwhile, and nil otherwise. MaxConns counts
// conn but does not delay it, and a panic goes on to the caller.
func (g *Group) ServeConn(ctx context.Context, accepted net.Conn, c Config) error {
	ctx, own, ok := g.addConn(ctx, accepted, c, 0)
	if !ok {
		return c.Closed
	}
	defer g.removeConn(own)
	defer accepted.Close()
	defer context.AfterFunc(ctx, own.abort)()
	if ctx.Err() == nil {
		c.serve(ctx, accepted)
	}
	return context.Cause(ctx)
}

// serve serves a connection to its end.
func (c *Config) serve(ctx context.Context, accepted net.Conn) {
	if c.Begin == nil {
		c.Handle(ctx, accepted)
		return
	}
	done := make(chan struct{})
	c.Begin(ctx, accepted, sync.OnceFunc(func() { close(done) }))
	<-done
}

// Addr returns the address of the first listener or packet connection, or nil
// before there is one.
func (g *Group) Addr() net.Addr {
	g.lock()
	defer g.mu.Unlock()
	return g.addr
}

// Stopping returns a channel that is closed when Shutdown or Close begins. A
// handler whose connection is idle should then return.
func (g *Group) Stopping() <-chan struct{} {
	g.lock()
	defer g.mu.Unlock()
	return g.stop
}

// Shutdown stops accepting, closes the listeners, and waits until all
// connections are done. If ctx ends first it returns the error of ctx, and the
// connections stay open; otherwise the first error of closing a listener. It
// can be called again, and after Close, to wait.
func (g *Group) Shutdown(ctx context.Context) error {
	err := g.stopAccepting()
	for _, wake := range g.sleepers() {
		wake()
	}
	select {
	case <-g.idle:
		return err
	default:
	}
	select {
	case <-g.idle:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleepers returns functions that wake what waits for a peer.
func (g *Group) sleepers() []func() {
	g.lock()
	defer g.mu.Unlock()
	var wake []func()
	for p := range g.packets {
		wake = append(wake, func() {
			if p.SetReadDeadline(past) != nil {
				p.close() // it has no deadlines, or is closed
			}
		})
	}
	for c := range g.conns {
		if c.wakes {
			// An error says that it is closed, which wakes the handler too.
			wake = append(wake, func() { _ = c.SetReadDeadline(past) })
		}
	}
	return wake
}

// Close stops accepting and closes the listeners and all connections. It does
// not wait for their handlers; Shutdown does. It returns the first error of
// closing a listener or a packet connection.
func (g *Group) Close() error {
	err := g.stopAccepting()
	g.lock()
	open := slices.Collect(maps.Keys(g.conns))
	loops := slices.Collect(maps.Keys(g.packets))
	g.mu.Unlock()
	// Side by side, because each may take its time.
	var closing sync.WaitGroup
	for _, c := range open {
		closing.Go(c.abort)
	}
	for _, p := range loops {
		err = cmp.Or(err, p.close())
	}
	closing.Wait()
	return err
}

// stopAccepting closes the listeners and returns the first error of that, now
// or before.
func (g *Group) stopAccepting() error {
	g.lock()
	if !g.stopping {
		g.stopping = true
		close(g.stop)
		g.changed.Broadcast()
		g.checkIdle()
	}
	listeners := slices.Collect(maps.Keys(g.listeners))
	g.mu.Unlock()

	for _, l := range listeners { // not under the lock: Close may call back
		err := l.close()
		g.lock()
		g.closeErr = cmp.Or(g.closeErr, err)
		g.mu.Unlock()
	}
	g.lock()
	defer g.mu.Unlock()
	return g.closeErr
}

// waitForRoom waits until fewer than most connections are open. It reports false
// if the Group has stopped.
func (g *Group) waitForRoom(most int) bool {
	g.lock()
	defer g.mu.Unlock()
	return g.waitLocked(most)
}

func (g *Group) waitLocked(most int) bool {
	for most > 0 && len(g.conns) >= most && !g.stopping {
		g.changed.Wait()
	}
	return !g.stopping
}

// IsStopping reports whether Shutdown or Close has begun.
func (g *Group) IsStopping() bool {
	g.lock()
	defer g.mu.Unlock()
	return g.stopping
}

// checkIdle closes idle when nothing is open any more. It is called under mu.
func (g *Group) checkIdle() {
	if g.stopping && len(g.conns) == 0 && len(g.packets) == 0 {
		close(g.idle)
	}
}

// announce sets addr if nothing listens yet. It is called under mu.
func (g *Group) announce(addr net.Addr) {
	if len(g.listeners) == 0 && len(g.packets) == 0 {
		g.addr = addr
	}
}

func (g *Group) addListener(l *listener, addr net.Addr) bool {
	g.lock()
	defer g.mu.Unlock()
	if g.stopping {
		return false
	}
	g.announce(addr)
	g.listeners[l] = struct{}{}
	return true
}

func (g *Group) removeListener(l *listener) {
	g.lock()
	defer g.mu.Unlock()
	delete(g.listeners, l)
}

// addConn waits for room as waitForRoom does, takes it, and makes the context
// for the handler. If the Group has stopped it closes the connection.
func (g *Group) addConn(ctx context.Context, accepted net.Conn, c Config, most int) (context.Context, *conn, bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	own := &conn{Conn: accepted, cancel: cancel, closed: c.Closed, wakes: c.WakeReaders, resets: c.Reset}
	g.lock()
	ok := g.waitLocked(most)
	if ok {
		g.conns[own] = struct{}{}
	}
	g.mu.Unlock()
	if !ok {
		own.abort()
	}
	return ctx, own, ok
}

// removeConn forgets c and ends the context of its handler.
func (g *Group) removeConn(c *conn) {
	c.cancel(nil)
	g.lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	g.changed.Broadcast()
	g.checkIdle()
}
