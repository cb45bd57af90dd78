package tlsutil_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// What cannot work, or would let in more than was meant, is refused when it is made.
func TestConstructionErrors(t *testing.T) {
	p := newParties(t)
	keyless := &tlsutil.Material{Certificate: p.server.Certificate, Roots: p.ca.Pool()}
	keyless.Certificate.PrivateKey = nil
	certless := &tlsutil.Material{Roots: p.ca.Pool()}
	certless.Certificate.PrivateKey = p.server.Certificate.PrivateKey
	rootless := &tlsutil.Material{Certificate: p.server.Certificate}
	mixed := &tlsutil.Material{Certificate: p.server.Certificate, Roots: p.ca.Pool()}
	mixed.Certificate.PrivateKey = p.client.Certificate.PrivateKey
	signless := &tlsutil.Material{Certificate: p.server.Certificate, Roots: p.ca.Pool()}
	signless.Certificate.PrivateKey = "key"
	garbled := &tlsutil.Material{Certificate: p.server.Certificate, Roots: p.ca.Pool()}
	garbled.Certificate.Certificate = [][]byte{{1, 2, 3}}
	address := &tlsutil.Options{Address: true}
	tests := []struct {
		what    string
		maker   maker
		src     tlsutil.Source
		options *tlsutil.Options
		want    string
	}{
		{"MutualServer", mutualServer, nil, nil, "tlsutil: MutualServer needs a Source"},
		{"ServerConfig", plainServer, nil, nil, "tlsutil: ServerConfig needs a Source"},
		{"MutualClient", mutualClient, nil, nil, "tlsutil: MutualClient needs a Source"},
		{"ClientConfig", plainClient, nil, nil, "tlsutil: ClientConfig needs a Source"},
		{"nil material", mutualServer, (*tlsutil.Material)(nil), nil, "holds something"},
		{"a source that holds nil", plainClient, new(changing), nil, "holds something"},

		// The standard library would take the system's roots.
		{"MutualServer without roots", mutualServer, rootless, nil, "MutualServer needs roots"},
		{"MutualServer without roots, changing", mutualServer, change(rootless), nil, "MutualServer needs roots"},
		{"MutualServer without a certificate", mutualServer, certless, nil, "MutualServer needs a certificate"},
		{"MutualServer without a key", mutualServer, keyless, nil, "MutualServer needs a certificate with its private key"},
		{"ServerConfig without a certificate", plainServer, certless, nil, "ServerConfig needs a certificate"},
		{"ServerConfig without a key", plainServer, keyless, nil, "ServerConfig needs a certificate with its private key"},
		{"MutualClient without a certificate", mutualClient, certless, nil, "MutualClient needs a certificate"},
		{"MutualClient without a key", mutualClient, change(keyless), nil, "MutualClient needs a certificate with its private key"},

		{"MutualServer with another's key", mutualServer, mixed, nil, "MutualServer: the key is not that"},
		{"ServerConfig with another's key", plainServer, mixed, nil, "ServerConfig: the key is not that"},
		{"MutualClient with another's key", mutualClient, mixed, nil, "MutualClient: the key is not that"},
		{"a key that does not sign", mutualServer, signless, nil, "the key is not that"},
		{"a certificate that is none", mutualServer, change(garbled), nil, "MutualServer: the certificate: "},

		{"pins of no certificate", plainServer, p.server, &tlsutil.Options{Pins: []tlsutil.Pin{{}}}, "use MutualServer"},
		{"a function for no certificate", plainServer, p.server, &tlsutil.Options{Verify: func(tls.ConnectionState) error { return nil }}, "use MutualServer"},
		{"an address for no certificate", plainServer, p.server, address, "use MutualServer"},
		{"an address for a client", mutualClient, p.client, address, "MutualClient: Address is for servers"},
		{"an address for a client without certificate", plainClient, p.client, address, "ClientConfig: Address is for servers"},
		{"a resolver for nothing", mutualServer, p.server, &tlsutil.Options{Resolver: new(fakeDNS)}, "MutualServer: Resolver is of no use without Address"},
		{"a server name for a server", mutualServer, p.server, dialed, "MutualServer: ServerName is for clients"},
		{"a server name for a plain server", plainServer, p.server, dialed, "ServerConfig: ServerName is for clients"},
	}
	for _, tt := range tests {
		config, err := tt.maker(tt.src, tt.options)
		if config != nil || err == nil || !strings.HasPrefix(err.Error(), "tlsutil: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want an error with %q", tt.what, config, err, tt.want)
		}
	}
	// A client can do with the roots of the system, and they do not include ours.
	for _, kind := range kinds {
		config := mutualClient.config(t, kind.source(&tlsutil.Material{Certificate: p.client.Certificate}), dialed)
		meet(t, config, plainServer.config(t, p.server, nil)).want(t, local(tlsutil.ErrUnknownAuthority), remote(tlsutil.ErrRefused))
	}
}

// A source that loses what it had lets nobody in, and nobody else, and goes on when it has
// it again.
func TestSourceLosesWhatItHad(t *testing.T) {
	p := newParties(t)
	lost := map[string]func(*tlsutil.Material) *tlsutil.Material{
		"all": func(*tlsutil.Material) *tlsutil.Material { return nil },
		"the roots": func(m *tlsutil.Material) *tlsutil.Material {
			return &tlsutil.Material{Certificate: m.Certificate}
		},
		"the certificate": func(m *tlsutil.Material) *tlsutil.Material {
			return &tlsutil.Material{Roots: m.Roots}
		},
		"the key": func(m *tlsutil.Material) *tlsutil.Material {
			return &tlsutil.Material{Roots: m.Roots, Certificate: tls.Certificate{Certificate: m.Certificate.Certificate}}
		},
	}
	for what, lose := range lost {
		server, client := change(p.server), change(p.client)
		mutual := [2]*tls.Config{mutualClient.config(t, client, dialed), mutualServer.config(t, server, nil)}
		plain := [2]*tls.Config{plainClient.config(t, client, dialed), plainServer.config(t, server, nil)}
		check := func(state string, pair [2]*tls.Config, ok bool, want string) {
			t.Helper()
			for range 2 {
				// No session: what is lost must not matter less after a ticket.
				pair[0] = pair[0].Clone()
				pair[0].ClientSessionCache = nil
				o := meet(t, pair[0], pair[1])
				if (o.client == nil) != ok || (o.server == nil) != ok {
					t.Errorf("%s of %s lost: client: %v, server: %v, want ok = %t", what, state, o.client, o.server, ok)
				}
				if !ok && !strings.Contains(errorText(o.client)+errorText(o.server), want) {
					t.Errorf("%s of %s lost: client: %v, server: %v, want %q", what, state, o.client, o.server, want)
				}
			}
		}
		check("nothing", mutual, true, "")
		check("nothing", plain, true, "")

		server.Store(lose(p.server))
		check("the server", mutual, false, "tlsutil: the source has lost what it had, it needs")
		// A server that judges nobody needs no roots.
		check("the plain server", plain, what == "the roots", "tlsutil: the source has lost its certificate")
		server.Store(p.server)
		check("nothing any more", mutual, true, "")
		check("nothing any more", plain, true, "")

		client.Store(lose(p.client))
		check("the client", mutual, false, "tlsutil: the source has lost its ")
		check("the plain client", plain, what == "the certificate" || what == "the key", "tlsutil: the source has lost its roots")
		client.Store(p.client)
		check("nothing any more", mutual, true, "")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A client that had roots does not turn to those of the system, also with a session.
func TestClientThatLosesItsRootsInASession(t *testing.T) {
	p := newParties(t)
	client := change(p.client)
	config, server := mutualClient.config(t, client, dialed), mutualServer.config(t, p.server, nil)
	meet(t, config, server).wantOK(t, false)
	client.Store(&tlsutil.Material{Certificate: p.client.Certificate})
	if o := meet(t, config, server); o.client == nil || !strings.Contains(o.client.Error(), "lost its roots") {
		t.Errorf("client: %v", o.client)
	}
}

// What the source holds counts from the next handshake on, on both sides: certificates and
// roots.
func TestSourceChanges(t *testing.T) {
	one, two := newParties(t), newParties(t)
	server, client := change(one.server), change(one.client)
	mutual := [2]*tls.Config{mutualClient.config(t, client, dialed), mutualServer.config(t, server, nil)}
	plain := [2]*tls.Config{plainClient.config(t, client, dialed), plainServer.config(t, server, nil)}
	for _, pair := range [][2]*tls.Config{mutual, plain} {
		server.Store(one.server)
		client.Store(one.client)
		meet(t, pair[0], pair[1]).wantOK(t, false)
		server.Store(&tlsutil.Material{Certificate: two.server.Certificate, Roots: two.server.Roots, Epoch: "2"})
		meet(t, pair[0], pair[1]).want(t, local(tlsutil.ErrUnknownAuthority), remote(tlsutil.ErrRefused))
		client.Store(&tlsutil.Material{Certificate: two.client.Certificate, Roots: two.client.Roots, Epoch: "2"})
		o := meet(t, pair[0], pair[1])
		o.wantOK(t, false)
		if !o.clientState.PeerCertificates[0].Equal(two.server.Certificate.Leaf) {
			t.Error("the server shows its old certificate")
		}
		if len(o.serverState.PeerCertificates) > 0 && !o.serverState.PeerCertificates[0].Equal(two.client.Certificate.Leaf) {
			t.Error("the client shows its old certificate")
		}
	}
	// Only one side's roots are old.
	client.Store(&tlsutil.Material{Certificate: one.client.Certificate, Roots: two.client.Roots, Epoch: "3"})
	meet(t, mutual[0], mutual[1]).want(t, remote(tlsutil.ErrUnknownAuthority), local(tlsutil.ErrUnknownAuthority))
}

// The configuration of a material is made once, not for each handshake, and again when
// there is another.
func TestConfigurationIsKept(t *testing.T) {
	p := newParties(t)
	src := change(p.server)
	config := mutualServer.config(t, src, nil)
	get := func() *tls.Config {
		t.Helper()
		c, err := config.GetConfigForClient(new(tls.ClientHelloInfo))
		must(t, err)
		return c
	}
	first := get()
	if get() != first {
		t.Error("another configuration for the same material")
	}
	src.Store(&tlsutil.Material{Certificate: p.server.Certificate, Roots: p.server.Roots})
	if second := get(); second == first || second != get() {
		t.Error("the configuration of another material is not made, or not kept")
	}
}

// Options are copied: what happens to them later does not matter.
func TestOptionsAreCopied(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		pins := []tlsutil.Pin{tlsutil.PinOf(p.ca.Certificate.Leaf)}
		protos := []string{"one"}
		so := &tlsutil.Options{Pins: pins, NextProtos: protos}
		co := &tlsutil.Options{Pins: pins, NextProtos: protos, ServerName: "server.example"}
		server := mutualServer.config(t, kind.source(p.server), so)
		client := mutualClient.config(t, kind.source(p.client), co)
		pins[0], protos[0] = tlsutil.Pin{}, "two"
		refuse := func(tls.ConnectionState) error { return io.ErrClosedPipe }
		so.Address, so.Verify = true, refuse
		co.ServerName, co.Verify = "other.example", refuse
		for range 2 {
			o := meetFrom(t, "192.0.2.1", client, server)
			if o.client != nil || o.server != nil || o.clientState.NegotiatedProtocol != "one" {
				t.Errorf("%s: client: %v, server: %v, protocol %q", kind.name, o.client, o.server, o.clientState.NegotiatedProtocol)
			}
		}
		so.NextProtos = nil
	}
}

// A configuration is cloned by many that take one.
func TestClones(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		server := mutualServer.config(t, kind.source(p.server), nil).Clone()
		client := mutualClient.config(t, kind.source(p.client), dialed).Clone()
		meet(t, client, server).wantOK(t, false)
		meet(t, client.Clone(), server.Clone()).wantOK(t, true)
		none := client.Clone()
		none.GetClientCertificate = nil
		none.ClientSessionCache = nil
		meet(t, none, server).want(t, remote(tlsutil.ErrNoClientCert), local(tlsutil.ErrNoClientCert))
	}
}

// Handshakes go on while the source of either side goes from one authority to another and
// back. None fails, as both are trusted by both.
func TestSourceChangesDuringHandshakes(t *testing.T) {
	one, two := newParties(t), newParties(t)
	roots := pool(one.ca.Certificate, two.ca.Certificate)
	materials := func(a, b tls.Certificate) []*tlsutil.Material {
		return []*tlsutil.Material{{Certificate: a, Roots: roots, Epoch: "1"}, {Certificate: b, Roots: roots.Clone(), Epoch: "2"}}
	}
	servers := materials(one.server.Certificate, two.server.Certificate)
	clients := materials(one.client.Certificate, two.client.Certificate)
	server, client := change(servers[0]), change(clients[0])
	serverTLS := mutualServer.config(t, server, &tlsutil.Options{Address: true})
	clientTLS := mutualClient.config(t, client, dialed)

	var resumed, full atomic.Int32
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				o := meet(t, clientTLS, serverTLS)
				if o.client != nil || o.server != nil {
					t.Errorf("client: %v, server: %v", o.client, o.server)
				}
				if o.resumed() {
					resumed.Add(1)
				} else {
					full.Add(1)
				}
				if g == 0 && i%4 == 3 {
					server.Store(servers[i/4%2])
					client.Store(clients[i/8%2])
				}
			}
		})
	}
	wg.Wait()
	if resumed.Load() == 0 || full.Load() < 2 {
		t.Errorf("%d resumed and %d full handshakes", resumed.Load(), full.Load())
	}
}

// Pins count on the verified chain: of the peer, of an authority between, of the root.
func TestPins(t *testing.T) {
	root := forge(t, nil, asCA("root"))
	between := forge(t, &root, asCA("between"))
	cert := forge(t, &between, nil)
	other := forge(t, nil, nil)
	roots := pool(root)
	m := &tlsutil.Material{Certificate: cert, Roots: roots}
	appended := &tlsutil.Material{Certificate: cert, Roots: roots}
	appended.Certificate.Certificate = append(slices.Clone(cert.Certificate), other.Certificate[0])

	pins := func(certs ...tls.Certificate) (list []tlsutil.Pin) {
		for _, c := range certs {
			list = append(list, tlsutil.PinOf(c.Leaf))
		}
		return list
	}
	tests := []struct {
		name string
		m    *tlsutil.Material
		pins []tlsutil.Pin
		ok   bool
	}{
		{"none", m, nil, true},
		{"the peer", m, pins(cert), true},
		{"the authority between", m, pins(between), true},
		{"the root", m, pins(root), true},
		{"one of several", m, pins(other, cert), true},
		{"another", m, pins(other), false},
		{"several others", m, append(pins(other), tlsutil.Pin{}), false},
		{"one that the peer only sends", appended, pins(other), false},
		{"the peer, though it sends more", appended, pins(cert), true},
	}
	for _, tt := range tests {
		for _, kind := range kinds {
			t.Run(tt.name+"/"+kind.name, func(t *testing.T) {
				pinned := &tlsutil.Options{Pins: tt.pins}
				pinnedClient := &tlsutil.Options{Pins: tt.pins, ServerName: "server.example"}
				for range 2 {
					server := meet(t, mutualClient.config(t, tt.m, dialed), mutualServer.config(t, kind.source(m), pinned))
					client := meet(t, mutualClient.config(t, kind.source(m), pinnedClient), mutualServer.config(t, tt.m, nil))
					plain := meet(t, plainClient.config(t, kind.source(m), pinnedClient), plainServer.config(t, tt.m, nil))
					if tt.ok {
						server.wantOK(t, false)
						client.wantOK(t, false)
						plain.wantOK(t, false)
						continue
					}
					server.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrPinMismatch))
					client.want(t, local(tlsutil.ErrPinMismatch), remote(tlsutil.ErrRefused))
					plain.want(t, local(tlsutil.ErrPinMismatch), remote(tlsutil.ErrRefused))
					if text := errorText(client.client); !strings.Contains(text, tlsutil.PinOf(cert.Leaf).String()) {
						t.Errorf("%q does not tell the pin of the peer", text)
					}
				}
			})
		}
	}
}

// Pinning as by the book: the roots are the server's certificate itself.
func TestPoolPinning(t *testing.T) {
	server, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"server.example"}})
	must(t, err)
	twin, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"server.example"}})
	must(t, err)
	byServer := forge(t, &server, nil)
	for _, kind := range kinds {
		pinned := func(name string) *tls.Config {
			return plainClient.config(t, kind.source(&tlsutil.Material{Roots: pool(server)}), &tlsutil.Options{ServerName: name})
		}
		show := func(cert tls.Certificate) *tls.Config {
			return plainServer.config(t, &tlsutil.Material{Certificate: cert}, nil)
		}
		meet(t, pinned("server.example"), show(server)).wantOK(t, false)
		meet(t, pinned("server.example"), show(twin)).want(t, local(tlsutil.ErrUnknownAuthority), remote(tlsutil.ErrRefused))
		meet(t, pinned("other.example"), show(server)).want(t, local(tlsutil.ErrWrongHost), remote(tlsutil.ErrRefused))
		// The book's certificate could sign others. That of SelfSigned cannot.
		meet(t, pinned("server.example"), show(byServer)).want(t, local(tlsutil.ErrUnknownAuthority), remote(tlsutil.ErrRefused))
		unpinned := plainClient.config(t, kind.source(&tlsutil.Material{Roots: x509.NewCertPool()}), dialed)
		meet(t, unpinned, show(server)).want(t, local(tlsutil.ErrUnknownAuthority), remote(tlsutil.ErrRefused))
	}
}

// Application protocols, chosen the same way with GetConfigForClient.
func TestNextProtos(t *testing.T) {
	p := newParties(t)
	for _, tt := range []struct {
		server, client []string
		want           string
	}{
		{nil, nil, ""},
		{nil, []string{"h2"}, "h2"},
		{nil, []string{"http/1.1"}, "http/1.1"},
		{nil, []string{"http/1.1", "h2"}, "h2"},
		{[]string{}, []string{"h2", "http/1.1"}, ""},
		{[]string{"mine"}, []string{"h2", "mine"}, "mine"},
	} {
		so, co := &tlsutil.Options{NextProtos: tt.server}, &tlsutil.Options{NextProtos: tt.client, ServerName: "server.example"}
		for _, kind := range kinds {
			for _, maker := range []maker{mutualServer, plainServer} {
				server := maker.config(t, kind.source(p.server), so)
				o := meet(t, mutualClient.config(t, kind.source(p.client), co), server)
				o.wantOK(t, false)
				if got := o.serverState.NegotiatedProtocol; got != tt.want || o.clientState.NegotiatedProtocol != tt.want {
					t.Errorf("%q with %q: %q, want %q", tt.server, tt.client, got, tt.want)
				}
			}
		}
	}
	// As with gRPC, a server that has h2 refuses clients that have others alone.
	a, b := memnet.Pipe()
	o := meetOver(t, a, b, mutualClient.config(t, p.client, &tlsutil.Options{NextProtos: []string{"mine"}, ServerName: "server.example"}),
		mutualServer.config(t, p.server, &tlsutil.Options{NextProtos: []string{"h2"}}))
	if o.client == nil || o.server == nil {
		t.Errorf("client: %v, server: %v", o.client, o.server)
	}
}
