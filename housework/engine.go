package housework

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

const (
	defaultIdleTimeout = time.Hour
	handshakeTimeout   = 10 * time.Second

	maxStreams = 128      // on a connection
	maxHeader  = 16 << 10 // of a call, in bytes
	maxMessage = 4 << 20  // in bytes, in each direction
)

// When an end pings that has heard nothing, and how long it waits for an answer. A
// client may not ping more often than its server allows, or it is cut off
// ("ENHANCE_YOUR_CALM"), so that both are one decision.
const (
	clientPing        = 10 * time.Second // the least that gRPC does
	clientPingTimeout = 5 * time.Second
	allowedPing       = clientPing / 2
	serverPing        = 20 * time.Second
	serverPingTimeout = 10 * time.Second
)

// An engine is the *grpc.Server of a Server. It has one listener, which the
// connections that the Server has accepted are fed to.
type engine struct {
	grpc   *grpc.Server
	health *health.Server
	conns  chan net.Conn

	closeFeed func() // closes closed
	closed    chan struct{}
	ended     chan struct{} // closed when gRPC and all its handlers have ended

	drainOnce, abortOnce sync.Once

	// draining ends when drain or abort begins.
	draining   context.Context
	endStreams context.CancelFunc

	mu    sync.Mutex
	young map[*servedConn]struct{} // those that have not sent anything of HTTP/2 yet
}

// newEngine returns what serves with the fields of s.
func newEngine(s *Server) (*engine, error) {
	switch {
	case s.Rosie == nil:
		return nil, errors.New("housework: Server has no Rosie")
	case s.Rosie.Store == nil:
		return nil, errors.New("housework: Rosie has no Store")
	case s.TLSConfig == nil && !s.Insecure:
		return nil, errors.New("housework: Server has no TLSConfig, and is not Insecure")
	case s.TLSConfig != nil && s.Insecure:
		return nil, errors.New("housework: Server has a TLSConfig, but is Insecure")
	}
	e := &engine{
		health: health.NewServer(),
		conns:  make(chan net.Conn),
		closed: make(chan struct{}),
		ended:  make(chan struct{}),
		young:  make(map[*servedConn]struct{}),
	}
	e.closeFeed = sync.OnceFunc(func() { close(e.closed) })
	e.draining, e.endStreams = context.WithCancel(context.Background())

	creds := insecure.NewCredentials()
	if !s.Insecure {
		config, err := serverTLS(s.TLSConfig)
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(config)
	}
	e.grpc = grpc.NewServer(e.options(s, creds)...)

	rosie := s.Rosie
	if s.Logger != nil && rosie.OnError == nil {
		logged := *rosie
		logged.OnError = noteCause
		rosie = &logged
	}
	rosie.Register(e.grpc)
	e.health.SetServingStatus(houseworkv1.RobotMaid_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(e.grpc, e.health)
	if s.Reflection {
		reflection.Register(e.grpc)
	}
	return e, nil
}

func (e *engine) options(s *Server, creds credentials.TransportCredentials) []grpc.ServerOption {
	idle := s.IdleTimeout
	switch {
	case idle == 0:
		idle = defaultIdleTimeout
	case idle < 0:
		idle = math.MaxInt64
	}
	log := &handshakeLog{log: s.Logger, quiet: e.draining.Done()}
	options := []grpc.ServerOption{
		grpc.Creds(&serverCreds{TransportCredentials: creds, tls: s.TLSConfig != nil, heard: e.grown, failed: log.failed}),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: idle,
			Time:              serverPing,
			Timeout:           serverPingTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             allowedPing,
			PermitWithoutStream: true,
		}),
		grpc.ChainUnaryInterceptor(recoverUnary),
		grpc.ChainStreamInterceptor(e.recoverStream),
		grpc.UnknownServiceHandler(unknownMethod),
	}
	if s.Logger != nil {
		options = append(options, grpc.StatsHandler(&callLog{log: s.Logger}))
	}
	return append(options, s.Options...)
}

// run serves until drain or abort is done.
func (e *engine) run() {
	defer close(e.ended)
	_ = e.grpc.Serve(e) // nil, as the listener fails only when it is closed
}

// begin hands a connection to gRPC, which serves it. It calls done when gRPC has closed
// it.
func (e *engine) begin(_ context.Context, conn net.Conn, done func()) {
	c := &servedConn{Conn: conn, engine: e, done: sync.OnceFunc(done)}
	e.mu.Lock()
	e.young[c] = struct{}{}
	e.mu.Unlock()
	select {
	case <-e.draining.Done():
		// Those that grow up no more hold up the end until their time is over.
	case <-e.closed:
	case e.conns <- c:
		if e.draining.Err() == nil {
			return
		}
	}
	_ = c.Close() // nobody waits for it
}

// grown is called when a connection has begun with HTTP/2, or has ended before.
func (e *engine) grown(c net.Conn) {
	if own, ok := c.(*servedConn); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.young, own)
	}
}

// drain lets gRPC end when the calls are done. It does not wait for that.
func (e *engine) drain() {
	e.drainOnce.Do(func() {
		e.health.Shutdown()
		e.endStreams()
		go e.grpc.GracefulStop()
		// gRPC would wait for their handshakes.
		e.mu.Lock()
		defer e.mu.Unlock()
		for c := range e.young {
			_ = c.Conn.Close() // nobody waits for it
		}
	})
}

// abort lets gRPC end at once. It does not wait for handlers.
func (e *engine) abort() {
	e.abortOnce.Do(func() {
		e.health.Shutdown()
		e.endStreams()
		go e.grpc.Stop()
	})
}

// Accept implements net.Listener.
func (e *engine) Accept() (net.Conn, error) {
	select {
	case c := <-e.conns:
		return c, nil
	case <-e.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It is called by gRPC.
func (e *engine) Close() error {
	e.closeFeed()
	return nil
}

// Addr implements net.Listener.
func (e *engine) Addr() net.Addr { return engineAddr{} }

// engineAddr is the address of a listener without one. gRPC wants a text.
type engineAddr struct{}

// Network implements net.Addr.
func (engineAddr) Network() string { return "housework" }

// String implements net.Addr.
func (engineAddr) String() string { return "housework" }

// A servedConn is a connection that gRPC serves.
type servedConn struct {
	net.Conn
	engine *engine
	done   func()
}

// Close implements net.Conn.
func (c *servedConn) Close() error {
	err := c.Conn.Close()
	c.engine.grown(c)
	c.done()
	return err
}

// NetConn returns the connection that was accepted.
func (c *servedConn) NetConn() net.Conn { return c.Conn }
