package tlsutil_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// soon gives conn a deadline and closes it at the end of the test.
func soon[C net.Conn](t testing.TB, conn C, err error) C {
	t.Helper()
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func newCA(t testing.TB, name string) *tlsutil.CA {
	t.Helper()
	ca, err := tlsutil.NewCA(tlsutil.Authority{Name: name})
	must(t, err)
	return ca
}

func issue(t testing.TB, ca *tlsutil.CA, leaf tlsutil.Leaf) tls.Certificate {
	t.Helper()
	cert, err := ca.Issue(leaf)
	must(t, err)
	return cert
}

// forge makes a certificate that the package would not: a good one of server.example and
// 127.0.0.1 for both uses, which change makes worse. It is signed by parent, whatever that
// may sign, or by itself.
func forge(t testing.TB, parent *tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7),
		Subject:      pkix.Name{CommonName: "forged"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{"server.example"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},

		BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	issuer, signer, chain := template, any(key), [][]byte(nil)
	if parent != nil {
		issuer, signer, chain = parent.Leaf, parent.PrivateKey, parent.Certificate
		if issuer.IsCA && issuer.Subject.String() == issuer.Issuer.String() {
			chain = nil // a root need not be sent
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	return tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: key, Leaf: leaf}
}

// asCA makes a template one of an authority.
func asCA(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName = name
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		c.DNSNames, c.IPAddresses = nil, nil
	}
}

func pool(certs ...tls.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c.Leaf)
	}
	return p
}

// A changing is a Source whose Material is another after Store. The zero value holds nil.
type changing struct {
	atomic.Pointer[tlsutil.Material]
}

func (c *changing) Current() *tlsutil.Material { return c.Load() }

func change(m *tlsutil.Material) *changing {
	c := new(changing)
	c.Store(m)
	return c
}

// kinds are the kinds of sources.
var kinds = []struct {
	name   string
	source func(*tlsutil.Material) tlsutil.Source
}{
	{"static", func(m *tlsutil.Material) tlsutil.Source { return m }},
	{"changing", func(m *tlsutil.Material) tlsutil.Source { return change(m) }},
}

// A maker is one of the four functions that make configurations.
type maker func(tlsutil.Source, *tlsutil.Options) (*tls.Config, error)

func (m maker) config(t testing.TB, src tlsutil.Source, o *tlsutil.Options) *tls.Config {
	t.Helper()
	config, err := m(src, o)
	must(t, err)
	return config
}

var (
	mutualServer maker = tlsutil.MutualServer
	mutualClient maker = tlsutil.MutualClient
	plainServer  maker = tlsutil.ServerConfig
	plainClient  maker = tlsutil.ClientConfig
)

// parties are an authority, and a server and a client that have certificates of it.
type parties struct {
	ca             *tlsutil.CA
	server, client *tlsutil.Material
}

func newParties(t testing.TB) parties {
	t.Helper()
	ca := newCA(t, "the CA")
	server := issue(t, ca, tlsutil.Leaf{Hosts: []string{"server.example", "127.0.0.1"}, Server: true})
	client := issue(t, ca, tlsutil.Leaf{Hosts: []string{"client.example", "127.0.0.1"}, Client: true})
	return parties{
		ca:     ca,
		server: &tlsutil.Material{Certificate: server, Roots: ca.Pool()},
		client: &tlsutil.Material{Certificate: client, Roots: ca.Pool()},
	}
}

// dialed are the options of a client that dials server.example.
var dialed = &tlsutil.Options{ServerName: "server.example"}

// An outcome is what the two ends of a connection saw.
type outcome struct {
	client, server           error
	clientState, serverState tls.ConnectionState
}

func (o outcome) resumed() bool { return o.clientState.DidResume && o.serverState.DidResume }

// wantOK checks that the two ends have accepted each other, by a resumed session or not.
func (o outcome) wantOK(t testing.TB, resumed bool) {
	t.Helper()
	if o.client != nil || o.server != nil {
		t.Fatalf("client: %v; server: %v; want no errors", o.client, o.server)
	}
	if o.clientState.DidResume != resumed || o.serverState.DidResume != resumed {
		t.Fatalf("resumed: %t at the client, %t at the server, want %t",
			o.clientState.DidResume, o.serverState.DidResume, resumed)
	}
}

// want checks the reasons that the two ends have for failure.
func (o outcome) want(t testing.TB, client, server reason) {
	t.Helper()
	client.check(t, "client", o.client)
	server.check(t, "server", o.server)
}

// A reason is what is expected of an error that went through Explain.
type reason struct {
	err    error // nil if there must be no error
	remote bool
}

func local(err error) reason  { return reason{err: err} }
func remote(err error) reason { return reason{err: err, remote: true} }

func (r reason) check(t testing.TB, side string, err error) {
	t.Helper()
	if r.err == nil {
		if err != nil {
			t.Errorf("%s: %v, want no error", side, err)
		}
		return
	}
	if !errors.Is(err, r.err) {
		t.Errorf("%s: %v (%[2]T), want %q", side, err, r.err)
	}
	h, ok := errors.AsType[*tlsutil.HandshakeError](err)
	if remote := ok && h.Remote; remote != r.remote {
		t.Errorf("%s: Remote = %t, want %t (%v)", side, remote, r.remote, err)
	}
}

// A conn is a connection whose other end has a given address.
type conn struct {
	net.Conn
	from net.Addr
}

func (c conn) RemoteAddr() net.Addr { return c.from }

// from lets a connection come from an address.
func from(c net.Conn, addr string) net.Conn {
	return conn{c, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1024))}
}

// meet lets a client and a server talk over a connection in memory: after the handshakes
// the server sends a byte, and the client reads it.
func meet(t testing.TB, client, server *tls.Config) outcome {
	t.Helper()
	return meetFrom(t, "127.0.0.1", client, server)
}

// meetFrom is meet with the address that the client comes from.
func meetFrom(t testing.TB, addr string, client, server *tls.Config) outcome {
	t.Helper()
	a, b := memnet.Pipe()
	return meetOver(t, a, from(b, addr), client, server)
}

func meetOver(t testing.TB, a, b net.Conn, client, server *tls.Config) outcome {
	t.Helper()
	c := tls.Client(soon(t, a, nil), client)
	s := tls.Server(soon(t, b, nil), server)
	var o outcome
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.Close()
		if o.server = s.Handshake(); o.server == nil {
			_, o.server = s.Write([]byte{7})
			o.serverState = s.ConnectionState()
		}
	}()
	if o.client = c.Handshake(); o.client == nil {
		o.clientState = c.ConnectionState()
		_, o.client = io.ReadFull(c, make([]byte, 1))
	}
	c.Close()
	<-done
	o.client, o.server = tlsutil.Explain(o.client), tlsutil.Explain(o.server)
	return o
}

// listen serves connections of TLS on a real socket: each gets a byte when its handshake
// has succeeded, and is held until the client closes it.
func listen(t testing.TB, config *tls.Config) (addr string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	must(t, err)
	var served sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		served.Wait()
	})
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				if _, err := conn.Write([]byte{7}); err == nil {
					_, _ = io.Copy(io.Discard, conn)
				}
			})
		}
	})
	return l.Addr().String()
}

// dialerTo dials one address, whatever is asked for.
func dialerTo(d *net.Dialer, addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}
}
