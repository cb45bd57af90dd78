package tlsutil_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// Nothing need be there: the book's client indexes chains and organisations that may be
// absent.
func TestDescribe(t *testing.T) {
	key := forge(t, nil, func(c *x509.Certificate) { c.Subject = pkix.Name{} }).Leaf
	hostile := forge(t, nil, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "a\nlevel=ERROR \x1b[31m\u202e\"", Organization: []string{"é, Inc."}}
	}).Leaf
	pin := func(c *x509.Certificate) string { return tlsutil.PinOf(c).String() }
	tests := []struct {
		name  string
		state tls.ConnectionState
		want  string
	}{
		{"zero", tls.ConnectionState{}, "no TLS"},
		{"version alone", tls.ConnectionState{Version: tls.VersionTLS13}, "TLS 1.3, 0x0000, no peer certificate"},
		{"unknown numbers", tls.ConnectionState{Version: 0x0999, CipherSuite: 0x1234, CurveID: 0x4321}, "0x0999, 0x1234, CurveID(17185), no peer certificate"},
		{
			"a server's",
			tls.ConnectionState{
				Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519MLKEM768,
				NegotiatedProtocol: "h2", ServerName: "server.example", DidResume: true,
			},
			`TLS 1.3, TLS_AES_128_GCM_SHA256, X25519MLKEM768, protocol "h2", server name "server.example", resumed, no peer certificate`,
		},
		{
			"what the peer chose",
			tls.ConnectionState{Version: tls.VersionTLS12, NegotiatedProtocol: "a\nb", ServerName: "\x00"},
			`TLS 1.2, 0x0000, protocol "a\nb", server name "\x00", no peer certificate`,
		},
		{
			"empty certificate",
			tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{new(x509.Certificate)}},
			`TLS 1.3, 0x0000, peer "", issuer "", pin ` + pin(new(x509.Certificate)) + `, not verified by crypto/tls`,
		},
		{
			"no names",
			tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{key}, VerifiedChains: [][]*x509.Certificate{{key}}},
			`TLS 1.3, 0x0000, peer "", issuer "", pin ` + pin(key),
		},
		{
			"hostile names",
			tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{hostile}},
			`TLS 1.3, 0x0000, peer "CN=a\nlevel=ERROR \x1b[31m\u202e\\\",O=\u00e9\\, Inc.", issuer "CN=a\nlevel=ERROR \x1b[31m\u202e\\\",O=\u00e9\\, Inc.", pin ` + pin(hostile) + `, not verified by crypto/tls`,
		},
	}
	for _, tt := range tests {
		if got := tlsutil.Describe(tt.state); got != tt.want {
			t.Errorf("%s: Describe = %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// What real connections are described by, on either side.
func TestDescribeConnections(t *testing.T) {
	p := newParties(t)
	client, server := mutualClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil)
	for _, resumed := range []bool{false, true} {
		o := meet(t, client, server)
		o.wantOK(t, resumed)
		for _, side := range []struct {
			state tls.ConnectionState
			peer  *x509.Certificate
		}{{o.clientState, p.server.Certificate.Leaf}, {o.serverState, p.client.Certificate.Leaf}} {
			got := tlsutil.Describe(side.state)
			for _, part := range []string{
				"TLS 1.3, TLS_", ", X25519MLKEM768, ", `server name "server.example"`,
				`peer "CN=` + side.peer.DNSNames[0] + `"`, `issuer "CN=the CA"`, tlsutil.PinOf(side.peer).String(),
			} {
				if !strings.Contains(got, part) {
					t.Errorf("%q lacks %q", got, part)
				}
			}
			if strings.Contains(got, "resumed") != resumed || strings.Contains(got, "not verified") || strings.ContainsAny(got, "\n\r") {
				t.Errorf("resumed = %t: %q", resumed, got)
			}
		}
	}
}

// A client whose source changes verifies without crypto/tls, which then knows no chains.
func TestDescribeWhoVerifies(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		o := meet(t, mutualClient.config(t, kind.source(p.client), dialed), mutualServer.config(t, p.server, nil))
		o.wantOK(t, false)
		got := tlsutil.Describe(o.clientState)
		if want := kind.name == "changing"; strings.HasSuffix(got, ", not verified by crypto/tls") != want {
			t.Errorf("%s: %q", kind.name, got)
		}
	}
}
