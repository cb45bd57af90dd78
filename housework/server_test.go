package housework_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

// A server that was stopped before it serves does not serve.
func TestStopBeforeServe(t *testing.T) {
	for name, stop := range map[string]func(*housework.Server) error{
		"Shutdown": func(s *housework.Server) error { return s.Shutdown(t.Context()) },
		"Close":    (*housework.Server).Close,
	} {
		s := &housework.Server{Rosie: serverRosie(), Insecure: true}
		serverMust(t, stop(s))
		l, err := net.Listen("tcp", "127.0.0.1:0")
		serverMust(t, err)
		if err := s.Serve(l); err != housework.ErrServerClosed {
			t.Errorf("%s: Serve: %v", name, err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the listener is open: %v", name, err)
		}
		if err := s.ListenAndServe("tcp", "127.0.0.1:0"); err != housework.ErrServerClosed {
			t.Errorf("%s: ListenAndServe: %v", name, err)
		}
		ours, theirs := net.Pipe()
		serverMust(t, ours.SetDeadline(time.Now().Add(serverPatience)))
		if err := s.ServeConn(t.Context(), theirs); err != housework.ErrServerClosed {
			t.Errorf("%s: ServeConn: %v", name, err)
		}
		if _, err := ours.Write([]byte{0}); err != io.ErrClosedPipe {
			t.Errorf("%s: the connection is open: %v", name, err)
		}
		serverMust(t, s.Shutdown(t.Context()))
		serverMust(t, s.Close())
	}
}

// What a server cannot serve with is an error at once, and the listener is closed.
func TestServerMisuse(t *testing.T) {
	config, _ := serverTLS(t)
	old := config.Clone()
	old.MaxVersion = tls.VersionTLS12
	for name, s := range map[string]*housework.Server{
		"no Rosie":       {Insecure: true},
		"no Store":       {Rosie: &housework.Rosie{}, Insecure: true},
		"no TLS":         {Rosie: serverRosie()},
		"TLS and not":    {Rosie: serverRosie(), TLSConfig: config, Insecure: true},
		"no certificate": {Rosie: serverRosie(), TLSConfig: &tls.Config{}},
		"TLS 1.2":        {Rosie: serverRosie(), TLSConfig: old},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		serverMust(t, err)
		if err := s.Serve(l); err == nil || errors.Is(err, housework.ErrServerClosed) {
			t.Errorf("%s: Serve: %v", name, err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the listener is open: %v", name, err)
		}
		s.Listening = func(net.Addr) { t.Errorf("%s: it listens", name) }
		if err := s.ListenAndServe("tcp", "127.0.0.1:0"); err == nil {
			t.Errorf("%s: ListenAndServe: no error", name)
		}
	}
}

// Several listeners serve one list; the file of a Unix socket goes with its server.
func TestServerListeners(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie(), Insecure: true}
	if s.Addr() != nil {
		t.Errorf("address %v before it listens", s.Addr())
	}
	address := serverListen(t, s)
	listening := make(chan net.Addr, 1)
	s.Listening = func(a net.Addr) { listening <- a }
	path := filepath.Join(t.TempDir(), "rosie.sock")
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("unix", path) }()
	<-listening
	c := serverDial(t, address, &housework.ClientOptions{Insecure: true})
	u := serverDial(t, "unix:"+path, &housework.ClientOptions{Insecure: true})
	serverAdd(t, c, "Mop floors")
	serverAdd(t, u, "Dust")
	serverWantList(t, c, "Mop floors,Dust")
	if s.Addr() == nil {
		t.Error("no address while it listens")
	}
	serverMust(t, s.Shutdown(t.Context()))
	serverMust(t, s.Shutdown(t.Context()))
	if err := <-served; err != housework.ErrServerClosed {
		t.Errorf("ListenAndServe: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket file: %v", err)
	}
	if err := s.ListenAndServe("udp", ":0"); err == nil {
		t.Error("served on udp")
	}
}

// The certificate of a server on a Unix socket is one of localhost, or of the
// ServerName that is asked for.
func TestServerTLSOnUnixSocket(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie()}
	var client *tls.Config
	s.TLSConfig, client = serverTLS(t)
	path := filepath.Join(t.TempDir(), "rosie.sock")
	l, err := net.Listen("unix", path)
	serverMust(t, err)
	serverServe(t, s, l)
	serverAdd(t, serverDial(t, "unix:"+path, &housework.ClientOptions{TLSConfig: client}), "Dust")
	client = client.Clone()
	client.ServerName = "127.0.0.1"
	serverAdd(t, serverDial(t, "unix:"+path, &housework.ClientOptions{TLSConfig: client}), "Dust")
}

// serverHandshake connects with TLS alone, and reads what the server sends first.
func serverHandshake(t *testing.T, address string, config *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	serverMust(t, conn.SetDeadline(time.Now().Add(serverPatience)))
	state := conn.ConnectionState()
	_, err = io.ReadFull(conn, make([]byte, 9)) // a frame of HTTP/2, with settings
	return state, err
}

// TLS 1.3 and h2 are required, whatever the configuration says, and also where that is
// given to each handshake.
func TestServerTLS(t *testing.T) {
	_, material, _ := serverCA(t)
	server, client := serverTLS(t)
	web := server.Clone()
	web.MinVersion, web.NextProtos = tls.VersionTLS10, []string{"http/1.1"}
	old := web.Clone()
	old.MaxVersion = tls.VersionTLS12
	given := func(c *tls.Config) *tls.Config {
		return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c, nil }}
	}
	fallback := web.Clone()
	fallback.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
	mutual, err := tlsutil.MutualServer(material, nil)
	serverMust(t, err)

	for _, tt := range []struct {
		name   string
		config *tls.Config
		works  bool // with h2
	}{
		{"one that speaks HTTP/1.1", web, true},
		{"given", given(server), true},
		{"given, of HTTP/1.1", given(web), true},
		{"given, of TLS 1.2", given(old), false},
		{"given none", fallback, true},
		{"mutual", mutual, false},
	} {
		address := serverListen(t, &housework.Server{Rosie: serverRosie(), TLSConfig: tt.config})
		dial := func(version uint16, protocols ...string) (tls.ConnectionState, error) {
			c := client.Clone()
			c.MaxVersion, c.NextProtos = version, protocols
			c.MinVersion = min(version, tls.VersionTLS13)
			return serverHandshake(t, address, c)
		}
		if state, err := dial(tls.VersionTLS13, "http/1.1", "h2"); tt.works != (err == nil) || tt.works && state.NegotiatedProtocol != "h2" {
			t.Errorf("%s: %v, %v", tt.name, state.NegotiatedProtocol, err)
		}
		if _, err := dial(tls.VersionTLS12, "h2"); err == nil {
			t.Errorf("%s: TLS 1.2 is spoken", tt.name)
		}
		both := client.Clone()
		both.MinVersion, both.NextProtos = tls.VersionTLS12, []string{"h2"}
		if state, err := serverHandshake(t, address, both); err == nil && state.Version < tls.VersionTLS13 {
			t.Errorf("%s: TLS 1.2 is spoken with a client that offers more", tt.name)
		}
		for _, protocols := range [][]string{nil, {"http/1.1"}, {"imap"}} {
			if _, err := dial(tls.VersionTLS13, protocols...); err == nil {
				t.Errorf("%s: a client of %q is served", tt.name, protocols)
			}
		}
	}
}

// Sessions are resumed, also with a configuration that is given to each handshake.
func TestServerResumesSessions(t *testing.T) {
	_, material, client := serverCA(t)
	mutual, err := tlsutil.MutualServer(material, nil)
	serverMust(t, err)
	inner, _ := serverTLS(t)
	inner.NextProtos = nil
	given := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }}
	for name, config := range map[string]*tls.Config{"mutual": mutual, "given": given} {
		address := serverListen(t, &housework.Server{Rosie: serverRosie(), TLSConfig: config})
		clientConfig, err := tlsutil.MutualClient(client, nil)
		serverMust(t, err)
		clientConfig.NextProtos = []string{"h2"}
		if name == "given" {
			clientConfig.InsecureSkipVerify = true
			clientConfig.VerifyConnection = nil
		}
		for i := range 3 {
			state, err := serverHandshake(t, address, clientConfig)
			if err != nil || state.DidResume != (i > 0) {
				t.Errorf("%s: handshake %d: resumed is %v, %v", name, i, state.DidResume, err)
			}
		}
	}
}

// At the limit of connections no more are accepted, until one ends.
func TestServerMaxConns(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie(), MaxConns: 2}
	config, clientConfig := serverTLS(t)
	s.TLSConfig = config
	address := serverListen(t, s)
	o := &housework.ClientOptions{TLSConfig: clientConfig}
	first := serverDial(t, address, o)
	serverDial(t, address, o)
	third := make(chan error, 1)
	go func() {
		c, err := housework.Dial(t.Context(), address, o)
		if err == nil {
			err = c.Close()
		}
		third <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if c, err := housework.Dial(ctx, address, o); err == nil {
		c.Close()
		t.Error("a connection above the limit was served")
	}
	serverMust(t, first.Close())
	if err := <-third; err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}

// serverStreams opens streams that go on for ever: a watch, and reflection that has
// answered once.
func serverStreams(t *testing.T, conn *grpc.ClientConn) (healthpb.Health_WatchClient, reflectionpb.ServerReflection_ServerReflectionInfoClient) {
	t.Helper()
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	serverMust(t, err)
	got, err := watch.Recv()
	if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("watch: %v, %v", got, err)
	}
	reflection, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	serverMust(t, err)
	serverMust(t, reflection.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}))
	answer, err := reflection.Recv()
	serverMust(t, err)
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	if !slices.Contains(names, "housework.RobotMaid") {
		t.Errorf("services %v", names)
	}
	return watch, reflection
}

// Streams that would go on for ever do not hold up Shutdown, the calls that are open
// do, and are answered.
func TestShutdownWithStreams(t *testing.T) {
	store := &serverSlowStore{began: make(chan struct{}, 1), proceed: make(chan struct{})}
	s := &housework.Server{Rosie: &housework.Rosie{Store: store}, Reflection: true}
	c := serverPair(t, s, &housework.ClientOptions{})
	watch, reflection := serverStreams(t, c.Conn())

	added := make(chan error, 1)
	go func() {
		_, err := c.Add(t.Context(), "", []housework.Chore{{Description: "Dust"}})
		added <- err
	}()
	<-store.began
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(short); err != context.DeadlineExceeded {
		t.Errorf("Shutdown with an open call: %v", err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("watch: %v, %v", got, err)
	}
	if got, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("watch: %v, ended with %v", got, err)
	}
	if _, err := reflection.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("reflection ended with %v", err)
	}
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	close(store.proceed)
	serverMust(t, <-added)
	serverMust(t, <-down)
	serverWantList(t, &store.MemoryStore, "Dust")
}

// serverSlowStore is a store whose Add waits.
type serverSlowStore struct {
	housework.MemoryStore
	began, proceed chan struct{}
	ended          chan struct{}
}

func (s *serverSlowStore) Add(ctx context.Context, id string, chores []housework.Chore) (int, error) {
	s.began <- struct{}{}
	<-s.proceed
	if s.ended != nil {
		defer close(s.ended)
	}
	return s.MemoryStore.Add(context.WithoutCancel(ctx), id, chores)
}

// Close works while Shutdown waits. Both do not wait for a handler that does not care,
// and Shutdown after them does.
func TestCloseAfterShutdown(t *testing.T) {
	store := &serverSlowStore{began: make(chan struct{}, 1), proceed: make(chan struct{}), ended: make(chan struct{})}
	s := &housework.Server{Rosie: &housework.Rosie{Store: store}}
	s.TLSConfig, _ = serverTLS(t)
	config, clientConfig := serverTLS(t)
	s.TLSConfig = config
	c := serverDial(t, serverListen(t, s), &housework.ClientOptions{TLSConfig: clientConfig, Timeout: serverPatience})
	added := make(chan error, 1)
	go func() {
		_, err := c.Add(t.Context(), "", []housework.Chore{{Description: "Dust"}})
		added <- err
	}()
	<-store.began
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Shutdown(short); err != context.DeadlineExceeded {
		t.Errorf("Shutdown: %v", err)
	}
	serverMust(t, s.Close())
	if err := <-added; status.Code(err) != codes.Unavailable {
		t.Errorf("Add: %v", err)
	}
	select {
	case err := <-down:
		t.Errorf("Shutdown returned %v before the handler", err)
	default:
	}
	close(store.proceed)
	serverMust(t, <-down)
	select {
	case <-store.ended:
	default:
		t.Error("Shutdown returned before the handler")
	}
	serverMust(t, s.Close())
}

// A connection in the middle of its handshake, or before HTTP/2, does not hold up
// Shutdown.
func TestShutdownWithYoungConnections(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie()}
	config, clientConfig := serverTLS(t)
	s.TLSConfig = config
	address := serverListen(t, s)
	silent, err := net.Dial("tcp", address)
	serverMust(t, err)
	defer silent.Close()
	clientConfig.NextProtos = []string{"h2"}
	quiet, err := tls.Dial("tcp", address, clientConfig)
	serverMust(t, err)
	defer quiet.Close()
	serverDial(t, address, &housework.ClientOptions{TLSConfig: clientConfig}) // the others are accepted by now
	begin := time.Now()
	serverMust(t, s.Shutdown(t.Context()))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Shutdown took %v", took)
	}
}

// Health is told of the whole and of the service, until Shutdown.
func TestServerHealth(t *testing.T) {
	c := serverPair(t, &housework.Server{Rosie: serverRosie()}, &housework.ClientOptions{})
	h := healthpb.NewHealthClient(c.Conn())
	for _, service := range []string{"", "housework.RobotMaid"} {
		got, err := h.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, got, err)
		}
	}
	// Without Reflection there is none.
	stream, err := reflectionpb.NewServerReflectionClient(c.Conn()).ServerReflectionInfo(t.Context())
	serverMust(t, err)
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("reflection: %v", err)
	}
}

// Other clients of gRPC are served, too, by the usual credentials.
func TestServerWithPlainClient(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie()}
	config, clientConfig := serverTLS(t)
	s.TLSConfig = config
	conn, err := grpc.NewClient(serverListen(t, s), grpc.WithTransportCredentials(credentials.NewTLS(clientConfig)))
	serverMust(t, err)
	defer conn.Close()
	_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	serverMust(t, err)
}
