package housework_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// dialRefused dials a server that must not be connected to, and returns the error.
func dialRefused(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), serverPatience)
	defer cancel()
	begin := time.Now()
	c, err := housework.Dial(ctx, address, &housework.ClientOptions{TLSConfig: config})
	if err == nil {
		c.Close()
		t.Fatal("connected")
	}
	if took := time.Since(begin); took > serverPatience/2 {
		t.Errorf("refused after %v", took)
	}
	if code := status.Code(err); code != codes.Unavailable {
		t.Errorf("code of %q is %v", err, code)
	}
	if text := err.Error(); !strings.HasPrefix(text, "housework: ") {
		t.Errorf("error %q", text)
	}
	return err
}

// What means something in URLs, means nothing in the paths of sockets and in addresses.
func TestDialOddAddresses(t *testing.T) {
	server := func(network, address string) string {
		store := new(housework.MemoryStore)
		serverAdd(t, store, address)
		l, err := net.Listen(network, address)
		serverMust(t, err)
		serverServe(t, &housework.Server{Rosie: &housework.Rosie{Store: store}, Insecure: true}, l)
		return l.Addr().String()
	}
	folder := t.TempDir()
	for _, name := range []string{"a b", "a%20b", "a#b", "a%zz", "\u00fc"} {
		path := filepath.Join(folder, name)
		serverWantList(t, serverDial(t, "unix:"+server("unix", path), &housework.ClientOptions{Insecure: true}), path)
	}
	for _, address := range []string{"[fe80::1%25eth0]:1", "[fe80::1%zz]:1", "x#y:1", "x?y:1"} {
		var dialed string
		dial := func(ctx context.Context, _, a string) (net.Conn, error) {
			dialed = a
			return nil, syscall.ECONNREFUSED
		}
		_, err := housework.Dial(t.Context(), address, &housework.ClientOptions{Insecure: true, DialContext: dial})
		if !errors.Is(err, syscall.ECONNREFUSED) || dialed != address {
			t.Errorf("%s: %q was dialed: %v", address, dialed, err)
		}
	}
}

// The zone of an IPv6 address belongs to the address, and not to the name of the server.
func TestDialZone(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6: ", err)
	}
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	serverMust(t, err)
	cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"::1"}, Server: true})
	serverMust(t, err)
	config, err := tlsutil.ServerConfig(&tlsutil.Material{Certificate: cert}, nil)
	serverMust(t, err)
	serverServe(t, &housework.Server{Rosie: serverRosie(), TLSConfig: config}, l)
	client, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: ca.Pool()}, nil)
	serverMust(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	serverMust(t, err)
	loopback, err := net.InterfaceByIndex(1)
	serverMust(t, err)
	address := "[::1%" + loopback.Name + "]:" + port
	serverAdd(t, serverDial(t, address, &housework.ClientOptions{TLSConfig: client}), "Dust")
}

// What the TLS configuration of the client says about a server can be seen in the error.
func TestDialUntrustedServer(t *testing.T) {
	_, material, _ := serverCA(t)
	other, stranger, _ := serverCA(t)
	config, err := tlsutil.ServerConfig(material, nil)
	serverMust(t, err)
	address := serverListen(t, &housework.Server{Rosie: serverRosie(), TLSConfig: config})

	client := func(roots *x509.CertPool, o *tlsutil.Options) *tls.Config {
		config, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: roots}, o)
		serverMust(t, err)
		return config
	}
	t.Run("pin", func(t *testing.T) {
		pin := tlsutil.PinOf(stranger.Certificate.Leaf)
		err := dialRefused(t, address, client(material.Roots, &tlsutil.Options{Pins: []tlsutil.Pin{pin}}))
		if !errors.Is(err, tlsutil.ErrPinMismatch) {
			t.Errorf("error %v does not match %v", err, tlsutil.ErrPinMismatch)
		}
	})
	t.Run("authority", func(t *testing.T) {
		err := dialRefused(t, address, client(other.Pool(), nil))
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
			t.Errorf("error %v does not tell of the authority", err)
		}
		if !errors.Is(tlsutil.Explain(err), tlsutil.ErrUnknownAuthority) {
			t.Errorf("explained as %v", tlsutil.Explain(err))
		}
	})
	t.Run("host", func(t *testing.T) {
		err := dialRefused(t, address, client(material.Roots, &tlsutil.Options{ServerName: "elsewhere.example"}))
		if _, ok := errors.AsType[x509.HostnameError](err); !ok {
			t.Errorf("error %v does not tell of the name", err)
		}
	})
}

// That the server does not take the client is seen in the first bytes after the
// handshake of TLS 1.3.
func TestDialRefusedClient(t *testing.T) {
	_, material, client := serverCA(t)
	_, _, stranger := serverCA(t)
	config, err := tlsutil.MutualServer(material, nil)
	serverMust(t, err)
	address := serverListen(t, &housework.Server{Rosie: serverRosie(), TLSConfig: config})

	good, err := tlsutil.MutualClient(client, nil)
	serverMust(t, err)
	serverAdd(t, serverDial(t, address, &housework.ClientOptions{TLSConfig: good}), "Mop floors")

	none, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: material.Roots}, nil)
	serverMust(t, err)
	foreign, err := tlsutil.MutualClient(&tlsutil.Material{Certificate: stranger.Certificate, Roots: material.Roots}, nil)
	serverMust(t, err)
	for _, tt := range []struct {
		name   string
		config *tls.Config
		want   error
	}{
		{"no certificate", none, tlsutil.ErrNoClientCert},
		{"unknown authority", foreign, tlsutil.ErrUnknownAuthority},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // what is lost is lost now and then
				err := dialRefused(t, address, tt.config)
				if err := tlsutil.Explain(err); !errors.Is(err, tt.want) {
					t.Fatalf("explained as %v, want %v", err, tt.want)
				}
			}
		})
	}
}

// A server whose trust is lost later is told as such by the calls, at once, and is
// usable again when it is trusted again.
func TestCallToServerThatIsNotTrustedAnyMore(t *testing.T) {
	server := &housework.Server{Rosie: serverRosie()}
	refuse := make(chan bool, 100)
	mistrust := errors.New("not this one")
	var config, clientConfig *tls.Config
	config, clientConfig = serverTLS(t)
	clientConfig.VerifyConnection = func(tls.ConnectionState) error {
		if <-refuse {
			return mistrust
		}
		return nil
	}
	server.TLSConfig = config
	proxy := newCutter(t, serverListen(t, server))
	refuse <- false
	c := serverDial(t, proxy.address, &housework.ClientOptions{TLSConfig: clientConfig})
	serverAdd(t, c, "Mop floors")
	for range 50 {
		refuse <- true
	}
	proxy.cut()
	var err error
	serverEventually(t, "refusal", func() bool {
		_, err = c.List(t.Context(), 1, 10)
		return err != nil
	})
	if !errors.Is(err, mistrust) || status.Code(err) != codes.Unavailable {
		t.Errorf("List: %v, want one that matches %q", err, mistrust)
	}
	if tries := 50 - len(refuse); tries > 2 {
		t.Errorf("%d handshakes were tried", tries)
	}
	for len(refuse) > 0 {
		<-refuse
	}
	close(refuse) // which is false from now on
	serverEventually(t, "trust", func() bool {
		_, err := c.List(t.Context(), 1, 10)
		return err == nil
	})
	// The refusal is no longer what comes of a call that fails.
	serverMust(t, server.Rosie.Store.Close())
	if _, err := c.List(t.Context(), 1, 10); !errors.Is(err, housework.ErrClosed) || errors.Is(err, mistrust) {
		t.Errorf("List of a closed store: %v", err)
	}
}

// Why there is no connection can be seen also if TLS has nothing to do with it.
func TestDialNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	serverMust(t, err)
	address := l.Addr().String()
	l.Close()
	for _, address := range []string{address, "unix:" + filepath.Join(t.TempDir(), "none")} {
		_, err := housework.Dial(t.Context(), address, &housework.ClientOptions{Insecure: true})
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || status.Code(err) != codes.Unavailable {
			t.Errorf("Dial: %v", err)
		}
	}
	// No name server is asked for what cannot be a name.
	_, err = housework.Dial(t.Context(), "not..a.name:1", nil)
	if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsNotFound || status.Code(err) != codes.Unavailable {
		t.Errorf("Dial of no host: %v", err)
	}
}

// Dial of what is no gRPC server says so.
func TestDialOtherServer(t *testing.T) {
	config, clientConfig := serverTLS(t)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	serverMust(t, err)
	config.NextProtos = nil
	noALPN, err := tls.Listen("tcp", "127.0.0.1:0", config)
	serverMust(t, err)
	for _, l := range []net.Listener{plain, noALPN} {
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
				_ = conn.(interface{ CloseWrite() error }).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
		}()
		dialRefused(t, l.Addr().String(), clientConfig)
		l.Close()
	}
}

// Dial ends with its context, and with its time-out, although the server is silent.
func TestDialSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	serverMust(t, err)
	defer l.Close()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	_, err = housework.Dial(ctx, l.Addr().String(), nil)
	if !errors.Is(err, cause) || !errors.Is(err, context.Canceled) || status.Code(err) != codes.Canceled {
		t.Errorf("Dial: %v", err)
	}
	_, err = housework.Dial(t.Context(), l.Addr().String(), &housework.ClientOptions{Timeout: 10 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) || status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("Dial: %v", err)
	}
}

// A server that takes connections and says nothing is given up after 5 seconds, and the
// error says so.
func TestDialServerWithoutAnswer(t *testing.T) {
	for _, tls := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			dial := func(context.Context, string, string) (net.Conn, error) {
				conn, _ := memnet.Pipe()
				return conn, nil
			}
			begin := time.Now()
			_, err := housework.Dial(t.Context(), "192.0.2.1:1", &housework.ClientOptions{Insecure: !tls, DialContext: dial})
			if took := time.Since(begin); took != 5*time.Second {
				t.Errorf("given up after %v", took)
			}
			if err == nil || status.Code(err) != codes.Unavailable || errors.Is(err, net.ErrClosed) {
				t.Errorf("Dial: %v", err)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Dial: %v, which is not about time", err)
			}
		})
	}
}

// A client does not speak TLS 1.2, also if its configuration would.
func TestDialOldServer(t *testing.T) {
	config, clientConfig := serverTLS(t)
	config.MinVersion, config.MaxVersion, config.NextProtos = tls.VersionTLS12, tls.VersionTLS12, []string{"h2"}
	clientConfig.MinVersion = tls.VersionTLS12
	l, err := net.Listen("tcp", "127.0.0.1:0")
	serverMust(t, err)
	defer l.Close()
	shaken := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = tls.Server(conn, config).HandshakeContext(t.Context())
			conn.Close()
		}
		shaken <- err
	}()
	dialRefused(t, l.Addr().String(), clientConfig)
	if err := <-shaken; err == nil {
		t.Error("TLS 1.2 was spoken")
	}
}

// What cannot be meant is an error before anything is tried.
func TestDialMisuse(t *testing.T) {
	for _, tt := range []struct {
		name, address string
		o             housework.ClientOptions
	}{
		{"no port", "localhost", housework.ClientOptions{}},
		{"TLS 1.2", "localhost:1", housework.ClientOptions{TLSConfig: &tls.Config{MaxVersion: tls.VersionTLS12}}},
		{"both", "localhost:1", housework.ClientOptions{TLSConfig: &tls.Config{}, Insecure: true}},
	} {
		tt.o.DialContext = func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: dialed", tt.name)
			return nil, syscall.ECONNREFUSED
		}
		if _, err := housework.Dial(t.Context(), tt.address, &tt.o); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}
