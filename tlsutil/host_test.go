package tlsutil_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// hosts are the names and addresses that a client can mean, and the certificates that it
// then accepts.
var hosts = []struct {
	name, dial string
	dns        []string
	ips        []string
	ok         bool
}{
	{name: "the name", dial: "server.example", dns: []string{"server.example"}, ok: true},
	{name: "in capitals", dial: "SERVER.example", dns: []string{"server.EXAMPLE"}, ok: true},
	{name: "with a dot at the end", dial: "server.example.", dns: []string{"server.example"}, ok: true},
	{name: "one of several", dial: "b.example", dns: []string{"a.example", "b.example"}, ok: true},
	{name: "another name", dial: "other.example", dns: []string{"server.example"}},
	{name: "a name below", dial: "a.server.example", dns: []string{"server.example"}},
	{name: "the common name does not count (D19)", dial: "forged", dns: []string{"server.example"}},
	{name: "the common name alone does not count (D19)", dial: "forged"},
	{name: "certificate without names (D19)", dial: "server.example"},
	{name: "certificate with an empty name (D19)", dial: "server.example", dns: []string{""}},

	{name: "wildcard", dial: "a.server.example", dns: []string{"*.server.example"}, ok: true},
	{name: "wildcard for no label", dial: "server.example", dns: []string{"*.server.example"}},
	{name: "wildcard for two labels", dial: "a.b.server.example", dns: []string{"*.server.example"}},
	{name: "wildcard for a part of a label", dial: "abc.server.example", dns: []string{"a*.server.example"}},
	{name: "wildcard in the middle", dial: "a.b.example", dns: []string{"a.*.example"}},
	{name: "wildcard for everything", dial: "server.example", dns: []string{"*"}},
	{name: "wildcard for a name of one label", dial: "localhost", dns: []string{"*"}},
	{name: "wildcard for an address", dial: "127.0.0.1", dns: []string{"*.0.0.1"}},

	{name: "IPv4", dial: "127.0.0.1", ips: []string{"127.0.0.1"}, ok: true},
	{name: "another IPv4", dial: "127.0.0.1", ips: []string{"127.0.0.2"}},
	{name: "IP in a dNSName", dial: "127.0.0.1", dns: []string{"127.0.0.1"}},
	{name: "IPv6 in a dNSName", dial: "::1", dns: []string{"::1", "[::1]"}},
	{name: "IPv6", dial: "::1", ips: []string{"::1"}, ok: true},
	{name: "IPv6 in brackets", dial: "[::1]", ips: []string{"::1"}, ok: true},
	{name: "IPv6 in long form", dial: "0:0:0:0:0:0:0:1", ips: []string{"::1"}, ok: true},
	{name: "another IPv6", dial: "::1", ips: []string{"::2"}},
	{name: "mapped IPv4", dial: "::ffff:127.0.0.1", ips: []string{"127.0.0.1"}, ok: true},
	{name: "another mapped IPv4", dial: "::ffff:127.0.0.1", ips: []string{"127.0.0.2"}},
	// A zone is this machine's affair; crypto/x509 takes the whole for a name.
	{name: "IPv6 with a zone", dial: "fe80::1%eth0", ips: []string{"fe80::1"}},
}

// A client that verifies by itself, as its roots change, is as strict about the host as
// crypto/tls, over both versions of the protocol.
func TestHostsOfClients(t *testing.T) {
	for _, tt := range hosts {
		t.Run(tt.name, func(t *testing.T) {
			p := newParties(t)
			cert := forge(t, &p.ca.Certificate, func(c *x509.Certificate) {
				c.DNSNames, c.IPAddresses = tt.dns, nil
				for _, ip := range tt.ips {
					c.IPAddresses = append(c.IPAddresses, net.ParseIP(ip))
				}
			})
			m := &tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()}
			want := [2]reason{}
			if !tt.ok {
				want = [2]reason{local(tlsutil.ErrWrongHost), remote(tlsutil.ErrRefused)}
			}
			for _, kind := range kinds {
				src := kind.source(p.client)
				options := &tlsutil.Options{ServerName: tt.dial}
				meet(t, mutualClient.config(t, src, options), mutualServer.config(t, m, nil)).want(t, want[0], want[1])
				plain := plainClient.config(t, src, options)
				plain.MaxVersion = tls.VersionTLS12
				meet(t, plain, plainServer.config(t, m, nil)).want(t, want[0], want[1])
			}
		})
	}
}

// The name may also be given by whoever dials, as crypto/tls and net/http do.
func TestDialedHost(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		for _, dial := range []string{"server.example", "other.example"} {
			config := mutualClient.config(t, kind.source(p.client), nil)
			config.ServerName = dial
			o := meet(t, config, mutualServer.config(t, p.server, nil))
			if dial == "server.example" {
				o.wantOK(t, false)
			} else {
				o.want(t, local(tlsutil.ErrWrongHost), remote(tlsutil.ErrRefused))
			}
		}
	}
}

// What is dialed goes before the option of a client that changes its configuration: the
// judge does not look for the wrong one of the two.
func TestDialedHostIsNotTheOption(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		config := mutualClient.config(t, kind.source(p.client), dialed)
		config.ServerName = "other.example"
		meet(t, config, mutualServer.config(t, p.server, nil)).want(t, local(tlsutil.ErrWrongHost), remote(tlsutil.ErrRefused))
	}
}

// An empty DNSName verifies anything: a client that does not know what it dials must not
// accept anybody (D19).
func TestEmptyServerName(t *testing.T) {
	p := newParties(t)
	server := mutualServer.config(t, p.server, nil)

	o := meet(t, mutualClient.config(t, change(p.client), nil), server)
	o.want(t, local(tlsutil.ErrWrongHost), remote(tlsutil.ErrRefused))
	if !strings.Contains(o.client.Error(), "set Options.ServerName") {
		t.Errorf("%v does not say what to do", o.client)
	}
	// crypto/tls does not even begin.
	o = meet(t, mutualClient.config(t, p.client, nil), server)
	local(tlsutil.ErrWrongHost).check(t, "static client", o.client)
	if o.server == nil {
		t.Error("the server took a client that did not begin")
	}
}

// tls.Dial takes the host from the address that it dials; but an address is not told to
// who verifies.
func TestDialAddress(t *testing.T) {
	p := newParties(t)
	addr := listen(t, mutualServer.config(t, p.server, nil))
	for _, tt := range []struct {
		kind    int
		options *tlsutil.Options
		want    error
	}{
		{kind: 0, want: nil},
		{kind: 1, want: tlsutil.ErrWrongHost},
		{kind: 0, options: &tlsutil.Options{ServerName: "127.0.0.1"}},
		{kind: 1, options: &tlsutil.Options{ServerName: "127.0.0.1"}},
		{kind: 0, options: &tlsutil.Options{ServerName: "127.0.0.2"}, want: tlsutil.ErrWrongHost},
		{kind: 1, options: &tlsutil.Options{ServerName: "127.0.0.2"}, want: tlsutil.ErrWrongHost},
	} {
		config := mutualClient.config(t, kinds[tt.kind].source(p.client), tt.options)
		conn, err := tls.Dial("tcp", addr, config)
		if !errors.Is(tlsutil.Explain(err), tt.want) {
			t.Errorf("%s, %+v: %v, want %v", kinds[tt.kind].name, tt.options, err, tt.want)
		}
		if err == nil {
			conn = soon(t, conn, nil)
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Errorf("%s, %+v: Read: %v", kinds[tt.kind].name, tt.options, err)
			}
		}
	}
}
