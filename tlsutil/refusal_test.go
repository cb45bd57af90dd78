package tlsutil_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// certificates are those that one end shows to the other, good ones and bad ones. In each
// of them nothing is wrong but what is named.
var certificates = []struct {
	name string
	make func(t testing.TB, ca *tlsutil.CA, usage, other x509.ExtKeyUsage) tls.Certificate

	judge error // what the end that judges it sees, nil if it is accepted
	alert error // what a client learns from the alert of the server
}{
	{name: "good", make: forged(nil)},
	{
		name: "foreign CA",
		make: func(t testing.TB, _ *tlsutil.CA, _, _ x509.ExtKeyUsage) tls.Certificate {
			return forge(t, &newCA(t, "another CA").Certificate, nil)
		},
		judge: tlsutil.ErrUnknownAuthority, alert: tlsutil.ErrUnknownAuthority,
	},
	{
		name: "a CA of the same name with another key",
		make: func(t testing.TB, ca *tlsutil.CA, _, _ x509.ExtKeyUsage) tls.Certificate {
			twin := newCA(t, ca.Certificate.Leaf.Subject.CommonName)
			return forge(t, &twin.Certificate, func(c *x509.Certificate) {
				c.AuthorityKeyId = ca.Certificate.Leaf.SubjectKeyId
			})
		},
		judge: tlsutil.ErrUnknownAuthority, alert: tlsutil.ErrUnknownAuthority,
	},
	{
		name: "self-signed",
		make: func(t testing.TB, _ *tlsutil.CA, _, _ x509.ExtKeyUsage) tls.Certificate {
			return forge(t, nil, nil)
		},
		judge: tlsutil.ErrUnknownAuthority, alert: tlsutil.ErrUnknownAuthority,
	},
	{
		name: "self-signed, with the root appended",
		make: func(t testing.TB, ca *tlsutil.CA, _, _ x509.ExtKeyUsage) tls.Certificate {
			cert := forge(t, nil, nil)
			cert.Certificate = append(cert.Certificate, ca.Certificate.Certificate[0])
			return cert
		},
		judge: tlsutil.ErrUnknownAuthority, alert: tlsutil.ErrUnknownAuthority,
	},
	{
		name: "wrong usage",
		make: func(t testing.TB, ca *tlsutil.CA, _, other x509.ExtKeyUsage) tls.Certificate {
			return forge(t, &ca.Certificate, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{other} })
		},
		judge: tlsutil.ErrWrongUsage, alert: tlsutil.ErrRefused,
	},
	{
		name: "the one usage",
		make: func(t testing.TB, ca *tlsutil.CA, usage, _ x509.ExtKeyUsage) tls.Certificate {
			return forge(t, &ca.Certificate, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} })
		},
	},
	{
		// RFC 5280 section 4.2.1.12: the extension restricts, and its absence does not.
		name: "no usage is any usage",
		make: forged(func(c *x509.Certificate) { c.ExtKeyUsage = nil }),
	},
	{
		name: "any usage",
		make: forged(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }),
	},
	{
		name: "an authority between",
		make: func(t testing.TB, ca *tlsutil.CA, _, _ x509.ExtKeyUsage) tls.Certificate {
			between := forge(t, &ca.Certificate, asCA("between"))
			return forge(t, &between, nil)
		},
		// NewCA does not let its authorities have others below them.
		judge: tlsutil.ErrUnknownAuthority, alert: tlsutil.ErrRefused,
	},
	{
		name: "expired",
		make: forged(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}),
		judge: tlsutil.ErrExpired, alert: tlsutil.ErrExpired,
	},
	{
		name: "not yet valid",
		make: forged(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}),
		judge: tlsutil.ErrExpired, alert: tlsutil.ErrExpired,
	},
	{
		name: "issued by a leaf",
		make: func(t testing.TB, ca *tlsutil.CA, usage, other x509.ExtKeyUsage) tls.Certificate {
			leaf := issue(t, ca, tlsutil.Leaf{Hosts: []string{"server.example"}})
			return forge(t, &leaf, nil)
		},
		judge: tlsutil.ErrUnknownAuthority, alert: tlsutil.ErrUnknownAuthority,
	},
}

// forged makes certificates of the right authority.
func forged(change func(*x509.Certificate)) func(testing.TB, *tlsutil.CA, x509.ExtKeyUsage, x509.ExtKeyUsage) tls.Certificate {
	return func(t testing.TB, ca *tlsutil.CA, _, _ x509.ExtKeyUsage) tls.Certificate {
		return forge(t, &ca.Certificate, change)
	}
}

// What a mutual server accepts of clients, and what either side is told.
func TestServerJudgesClients(t *testing.T) {
	for _, kind := range kinds {
		for _, tt := range certificates {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := newParties(t)
				cert := tt.make(t, p.ca, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth)
				server := mutualServer.config(t, kind.source(p.server), nil)
				client := mutualClient.config(t, kind.source(&tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()}), dialed)
				meet(t, client, server).want(t, remote(tt.alert), local(tt.judge))
				// The configuration is as strict without GetConfigForClient.
				server.GetConfigForClient = nil
				meet(t, client, server).want(t, remote(tt.alert), local(tt.judge))
			})
		}
	}
}

// What clients accept of servers, and what either side is told. crypto/tls has one alert for
// all that a client refuses.
func TestClientsJudgeServers(t *testing.T) {
	for _, kind := range kinds {
		for _, tt := range certificates {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := newParties(t)
				var alert error
				if tt.judge != nil {
					alert = tlsutil.ErrRefused
				}
				cert := tt.make(t, p.ca, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
				m := &tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()}
				plain := plainClient.config(t, kind.source(&tlsutil.Material{Roots: p.ca.Pool()}), dialed)
				plain12 := plain.Clone()
				plain12.MaxVersion = tls.VersionTLS12
				for _, pair := range [][2]*tls.Config{
					{mutualClient.config(t, kind.source(p.client), dialed), mutualServer.config(t, kind.source(m), nil)},
					{plain, plainServer.config(t, kind.source(m), nil)},
					{plain12, plainServer.config(t, kind.source(m), nil)},
				} {
					meet(t, pair[0], pair[1]).want(t, local(tt.judge), remote(alert))
				}
			})
		}
	}
}

// A server that requires certificates gets none.
func TestNoCertificate(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		server := mutualServer.config(t, kind.source(p.server), nil)
		client := plainClient.config(t, kind.source(&tlsutil.Material{Roots: p.ca.Pool()}), dialed)
		meet(t, client, server).want(t, remote(tlsutil.ErrNoClientCert), local(tlsutil.ErrNoClientCert))
	}
	// Nor does it let anybody in whom crypto/tls would have let in.
	open := mutualServer.config(t, p.server, nil)
	open.GetConfigForClient = nil
	open.ClientAuth = tls.NoClientCert
	client := plainClient.config(t, &tlsutil.Material{Roots: p.ca.Pool()}, dialed)
	if o := meet(t, client, open); o.server == nil || !strings.Contains(o.server.Error(), "shown no certificate") {
		t.Errorf("a server that no longer asks: %v", o.server)
	}
}

// Somebody else's certificate, without its key, is of no use.
func TestCertificateWithoutItsKey(t *testing.T) {
	p := newParties(t)
	stolen := p.client.Certificate
	stolen.PrivateKey = forge(t, nil, nil).PrivateKey
	thief := mutualClient.config(t, p.client, dialed)
	thief.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stolen, nil }
	o := meet(t, thief, mutualServer.config(t, p.server, nil))
	if o.client == nil || o.server == nil {
		t.Errorf("client: %v, server: %v", o.client, o.server)
	}
}

// The client shows its certificate also if the server's list of authorities does not
// have its own: the error tells what is wrong.
func TestForeignCertificateIsShown(t *testing.T) {
	p, stranger := newParties(t), newParties(t)
	stranger.client.Roots = p.ca.Pool()
	o := meet(t, mutualClient.config(t, stranger.client, dialed), mutualServer.config(t, p.server, nil))
	o.want(t, remote(tlsutil.ErrUnknownAuthority), local(tlsutil.ErrUnknownAuthority))
}

// Old versions of TLS, on either side.
func TestOldVersions(t *testing.T) {
	p := newParties(t)
	tests := []struct {
		name           string
		client, server *tls.Config
	}{
		{name: "client of a mutual server", client: old(plainClient.config(t, p.client, dialed), tls.VersionTLS11), server: mutualServer.config(t, p.server, nil)},
		{name: "client with TLS 1.2 of a mutual server", client: old(plainClient.config(t, p.client, dialed), tls.VersionTLS12), server: mutualServer.config(t, p.server, nil)},
		{name: "client of a server", client: old(plainClient.config(t, p.client, dialed), tls.VersionTLS11), server: plainServer.config(t, p.server, nil)},
		{name: "server of a client", client: plainClient.config(t, p.client, dialed), server: old(plainServer.config(t, p.server, nil), tls.VersionTLS11)},
		{name: "server with TLS 1.2 of a mutual client", client: mutualClient.config(t, p.client, dialed), server: old(plainServer.config(t, p.server, nil), tls.VersionTLS12)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			meet(t, tt.client, tt.server).want(t, remote(tlsutil.ErrVersion), local(tlsutil.ErrVersion))
		})
	}
	t.Run("1.2 will do for a server and a client", func(t *testing.T) {
		o := meet(t, old(plainClient.config(t, p.client, dialed), tls.VersionTLS12), plainServer.config(t, p.server, nil))
		o.wantOK(t, false)
	})
	t.Run("two of ours speak 1.3", func(t *testing.T) {
		o := meet(t, plainClient.config(t, p.client, dialed), plainServer.config(t, p.server, nil))
		o.wantOK(t, false)
		if o.clientState.Version != tls.VersionTLS13 || o.clientState.CurveID != tls.X25519MLKEM768 {
			t.Errorf("%s", tlsutil.Describe(o.clientState))
		}
	})
}

// old returns a configuration that has nothing newer than a version.
func old(config *tls.Config, version uint16) *tls.Config {
	config = config.Clone()
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, version
	return config
}

// A client that answers a hello with an old version, though it was not offered.
func TestServerThatSelectsAnOldVersion(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		a, b := memnet.Pipe()
		client := tls.Client(soon(t, a, nil), plainClient.config(t, kind.source(p.client), dialed))
		peer := soon(t, b, nil)
		go func() {
			readHello(peer)
			hello := []byte{2, 0, 0, 38, 3, 2}              // ServerHello, TLS 1.1
			hello = append(hello, make([]byte, 32+1)...)    // random, no session
			hello = append(hello, 0xc0, 0x13, 0)            // a suite, no compression
			record := []byte{22, 3, 2, 0, byte(len(hello))} // a record of the handshake
			peer.Write(append(record, hello...))
			io.Copy(io.Discard, peer)
		}()
		local(tlsutil.ErrVersion).check(t, kind.name, tlsutil.Explain(client.Handshake()))
		client.Close()
	}
}

// readHello reads one record.
func readHello(r io.Reader) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(r, header); err == nil {
		io.CopyN(io.Discard, r, int64(header[3])<<8|int64(header[4]))
	}
}

// Plain text on a port of TLS, and TLS on one of plain text.
func TestPlaintext(t *testing.T) {
	p := newParties(t)
	const text = "GET / HTTP/1.1\r\nHost: server.example\r\n\r\n"
	for name, config := range map[string]*tls.Config{
		"mutual": mutualServer.config(t, p.server, nil),
		"server": plainServer.config(t, p.server, nil),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := memnet.Pipe()
			client := soon(t, a, nil)
			go func() { io.WriteString(client, text) }()
			err := tls.Server(soon(t, b, nil), config).Handshake()
			local(tlsutil.ErrNotTLS).check(t, "server", tlsutil.Explain(err))
		})
	}
	for name, config := range map[string]*tls.Config{
		"mutual client": mutualClient.config(t, p.client, dialed),
		"client":        plainClient.config(t, change(p.client), dialed),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := memnet.Pipe()
			server := soon(t, b, nil)
			go func() {
				readHello(server)
				io.WriteString(server, "HTTP/1.0 400 Bad Request\r\n\r\n")
			}()
			err := tls.Client(soon(t, a, nil), config).Handshake()
			local(tlsutil.ErrNotTLS).check(t, "client", tlsutil.Explain(err))
		})
	}
}

// Options.Verify refuses with an error of its own, which stays matchable.
func TestVerifyRefuses(t *testing.T) {
	p := newParties(t)
	errMine := errors.New("not today")
	refuse := func(tls.ConnectionState) error { return errMine }
	for _, kind := range kinds {
		o := meet(t, mutualClient.config(t, kind.source(p.client), dialed),
			mutualServer.config(t, kind.source(p.server), &tlsutil.Options{Verify: refuse}))
		o.want(t, remote(tlsutil.ErrRefused), local(errMine))
		for i, maker := range []maker{mutualClient, plainClient} {
			o := meet(t, maker.config(t, kind.source(p.client), &tlsutil.Options{ServerName: "server.example", Verify: refuse}),
				[]*tls.Config{mutualServer.config(t, kind.source(p.server), nil), plainServer.config(t, p.server, nil)}[i])
			o.want(t, local(errMine), remote(tlsutil.ErrRefused))
		}
	}
}

// Options.Verify is called last, with chains that are verified, and not for those that have
// been refused.
func TestVerifyIsCalledLast(t *testing.T) {
	p, stranger := newParties(t), newParties(t)
	for _, kind := range kinds {
		var calls, chains int
		o := &tlsutil.Options{Verify: func(cs tls.ConnectionState) error {
			calls++
			chains = len(cs.VerifiedChains)
			return nil
		}}
		server := mutualServer.config(t, kind.source(p.server), o)
		stranger.client.Roots = p.ca.Pool()
		meet(t, mutualClient.config(t, stranger.client, dialed), server)
		pinned := *o
		pinned.Pins = []tlsutil.Pin{{}}
		meet(t, mutualClient.config(t, p.client, dialed), mutualServer.config(t, kind.source(p.server), &pinned))
		if calls != 0 {
			t.Errorf("%s: called for a client that was refused", kind.name)
		}
		meet(t, mutualClient.config(t, p.client, dialed), server).wantOK(t, false)
		if calls != 1 || chains != 1 {
			t.Errorf("%s: %d calls, %d chains", kind.name, calls, chains)
		}
		o.ServerName = "server.example"
		meet(t, mutualClient.config(t, kind.source(p.client), o), mutualServer.config(t, p.server, nil)).wantOK(t, false)
		if calls != 2 || chains != 1 {
			t.Errorf("%s client: %d calls, %d chains", kind.name, calls, chains)
		}
	}
}
