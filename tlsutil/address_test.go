package tlsutil_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// A fakeDNS is a Resolver.
type fakeDNS struct {
	names   []string                // of every address
	err     error                   // of LookupAddr, beside the names
	addrs   map[string][]netip.Addr // of names
	forward func(context.Context)   // called by LookupNetIP
	reverse func(context.Context)   // called by LookupAddr

	asked, lookups atomic.Int32
	addr, network  atomic.Value
	host           atomic.Value // the last name whose addresses were asked for
}

func (d *fakeDNS) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	d.asked.Add(1)
	d.addr.Store(addr)
	if d.reverse != nil {
		d.reverse(ctx)
	}
	return d.names, d.err
}

func (d *fakeDNS) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	d.lookups.Add(1)
	d.network.Store(network)
	d.host.Store(host)
	if d.forward != nil {
		d.forward(ctx)
	}
	name := strings.TrimSuffix(host, ".")
	addrs, ok := d.addrs[name]
	if !ok {
		return nil, fmt.Errorf("no addresses of %q", name)
	}
	return addrs, ctx.Err()
}

// clientFor makes a client whose certificate is for names and addresses.
func clientFor(t testing.TB, p parties, names []string, ips ...net.IP) *tls.Config {
	t.Helper()
	cert := forge(t, &p.ca.Certificate, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = names, ips })
	return mutualClient.config(t, &tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()}, dialed)
}

// Addresses as they stand in certificates, and as connections come from them.
func TestAddress(t *testing.T) {
	ip4 := net.ParseIP("192.0.2.1")
	tests := []struct {
		name, from string
		ips        []net.IP
		names      []string
		ok         bool
	}{
		{name: "IPv4", from: "192.0.2.1", ips: []net.IP{ip4.To4()}, ok: true},
		{name: "one of several", from: "192.0.2.1", ips: []net.IP{net.ParseIP("::1"), ip4}, ok: true},
		{name: "another IPv4", from: "192.0.2.2", ips: []net.IP{ip4}},
		{name: "mapped", from: "::ffff:192.0.2.1", ips: []net.IP{ip4}, ok: true},
		{name: "mapped and another", from: "::ffff:192.0.2.2", ips: []net.IP{ip4}},
		{name: "IPv6 (D20)", from: "::1", ips: []net.IP{net.IPv6loopback}, ok: true},
		{name: "IPv6 and another (D20)", from: "2001:db8::1", ips: []net.IP{net.ParseIP("2001:db8::2")}},
		{name: "with a zone", from: "fe80::1%eth0", ips: []net.IP{net.ParseIP("fe80::1")}, ok: true},
		{name: "with a zone and another", from: "fe80::2%eth0", ips: []net.IP{net.ParseIP("fe80::1")}},
		{name: "IPv6 that ends like an IPv4", from: "::192.0.2.1", ips: []net.IP{ip4}},
		{name: "no address in the certificate (D19)", from: "192.0.2.1"},
		{name: "unspecified", from: "0.0.0.0"},
		{name: "IP in a dNSName", from: "192.0.2.1", names: []string{"192.0.2.1"}},
		{name: "a name, and no resolver", from: "192.0.2.1", names: []string{"client.example", "*"}},
	}
	for _, tt := range tests {
		for _, kind := range kinds {
			t.Run(tt.name+"/"+kind.name, func(t *testing.T) {
				p := newParties(t)
				client := clientFor(t, p, tt.names, tt.ips...)
				server := mutualServer.config(t, kind.source(p.server), &tlsutil.Options{Address: true})
				o := meetFrom(t, tt.from, client, server)
				if tt.ok {
					o.wantOK(t, false)
				} else {
					o.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
				}
				// Without the option it does not count.
				meetFrom(t, tt.from, client, mutualServer.config(t, kind.source(p.server), nil)).wantOK(t, false)
			})
		}
	}
}

// An IPv4 address may stand in 16 bytes in a certificate, though it should not.
func TestAddressOf16Bytes(t *testing.T) {
	p := newParties(t)
	cert := forge(t, &p.ca.Certificate, func(c *x509.Certificate) {
		san := append([]byte{0x30, 18, 0x87, 16}, net.ParseIP("192.0.2.1").To16()...) // SEQUENCE, iPAddress
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}}
	})
	if n := len(cert.Leaf.IPAddresses[0]); n != 16 {
		t.Fatalf("the address has %d bytes", n)
	}
	client := mutualClient.config(t, &tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()}, dialed)
	server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true})
	meetFrom(t, "192.0.2.1", client, server).wantOK(t, false)
	meetFrom(t, "192.0.2.2", client, server).want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
}

// A configuration whose GetConfigForClient was taken away does not know where clients come
// from, and lets nobody in.
func TestAddressWithoutGetConfigForClient(t *testing.T) {
	p := newParties(t)
	server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true})
	server.GetConfigForClient = nil
	o := meet(t, mutualClient.config(t, p.client, dialed), server)
	o.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
}

// Connections that come from no IP address.
func TestNoAddress(t *testing.T) {
	p := newParties(t)
	client := mutualClient.config(t, p.client, dialed)
	dns := &fakeDNS{names: []string{"client.example"}, addrs: map[string][]netip.Addr{"client.example": {{}}}}
	server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true, Resolver: dns})
	for name, addr := range map[string]net.Addr{
		"none":                         nil,
		"nil TCP address":              (*net.TCPAddr)(nil),
		"empty TCP address":            &net.TCPAddr{},
		"Unix":                         &net.UnixAddr{Net: "unix", Name: "@"},
		"Unix, called like an address": &net.UnixAddr{Net: "unix", Name: "127.0.0.1:443"},
		"IP without a port":            &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)},
	} {
		a, b := memnet.Pipe()
		o := meetOver(t, a, conn{b, addr}, client, server)
		o.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
		if t.Failed() {
			t.Fatal(name)
		}
	}
	// Of QUIC crypto/tls tells no connection.
	config, err := server.GetConfigForClient(new(tls.ClientHelloInfo))
	must(t, err)
	err = config.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{p.client.Certificate.Leaf}})
	if !errors.Is(err, tlsutil.ErrAddressMismatch) {
		t.Errorf("without a connection: %v", err)
	}
	a, b := net.Pipe()
	meetOver(t, a, b, client, server).want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
	if dns.asked.Load() != 0 {
		t.Error("the resolver was asked for names of no address")
	}
}

// Addresses of networks that are not net's, such as behind a proxy that tells the client's.
func TestAddressOfAnotherType(t *testing.T) {
	p := newParties(t)
	client := mutualClient.config(t, p.client, dialed)
	server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true})
	for _, tt := range []struct {
		network, text string
		ok            bool
	}{
		{"tcp", "127.0.0.1:80", true},
		{"udp", "127.0.0.1:80", true},
		{"tcp6", "[::ffff:127.0.0.1]:80", true},
		{"tcp", "127.0.0.1", false},
		{"unix", "127.0.0.1:80", false},
		{"", "127.0.0.1:80", false},
	} {
		a, b := memnet.Pipe()
		o := meetOver(t, a, conn{b, otherAddr{tt.network, tt.text}}, client, server)
		if ok := o.server == nil; ok != tt.ok {
			t.Errorf("%+v: accepted: %t (%v)", tt, ok, o.server)
		}
	}
}

type otherAddr struct{ network, text string }

func (a otherAddr) Network() string { return a.network }
func (a otherAddr) String() string  { return a.text }

var (
	here, there = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

	// confirmed are names that lead to here.
	confirmed = map[string][]netip.Addr{
		"client.example": {there, here}, "a.client.example": {here}, "": {here}, ".": {here}, "*": {here},
		"CLIENT.example": {here}, "192.0.2.1": {here}, "::1": {here}, "[::1]": {here}, "*.client.example": {here},
		"6.example": {netip.MustParseAddr("::ffff:192.0.2.1")},
	}

	errLookup = errors.New("one of the records is malformed")
)

// dozens returns as many names, and one more.
func dozens(last string) (names []string) {
	for i := range 50 {
		names = append(names, fmt.Sprintf("host-%d.example", i))
	}
	return append(names, last)
}

// resolverTests are names of the address 192.0.2.1, and those in the certificate of a client
// that comes from there.
var resolverTests = []struct {
	name  string
	ptr   []string
	err   error
	dns   []string
	addrs map[string][]netip.Addr // if nil, confirmed
	want  string                  // in the error, "" if accepted
}{
	{name: "confirmed", ptr: []string{"client.example."}, dns: []string{"client.example"}},
	{name: "without the dot", ptr: []string{"client.example"}, dns: []string{"client.example"}},
	{name: "in capitals", ptr: []string{"CLIENT.example."}, dns: []string{"client.EXAMPLE"}},
	{name: "mapped", ptr: []string{"6.example."}, dns: []string{"6.example"}},
	{name: "wildcard in the certificate", ptr: []string{"a.client.example."}, dns: []string{"*.client.example"}},
	{name: "the second", ptr: []string{"other.example.", "client.example."}, dns: []string{"client.example"}},
	{name: "beside an error", ptr: []string{"client.example."}, err: errLookup, dns: []string{"client.example"}},
	{name: "behind dozens", ptr: dozens("client.example."), dns: []string{"client.example"}},

	{name: "not confirmed", ptr: []string{"client.example."}, dns: []string{"client.example"}, addrs: map[string][]netip.Addr{"client.example": {there}}, want: "192.0.2.1"},
	{name: "without an address", ptr: []string{"client.example."}, dns: []string{"client.example"}, addrs: map[string][]netip.Addr{}, want: `no addresses of "client.example"`},
	{name: "not in the certificate", ptr: []string{"client.example."}, dns: []string{"other.example"}, want: "192.0.2.1"},
	{name: "no names", dns: []string{"client.example"}, want: "192.0.2.1"},
	{name: "an error alone", err: errLookup, dns: []string{"client.example"}, want: errLookup.Error()},
	{name: "empty (D19)", ptr: []string{""}, dns: []string{"client.example"}, want: "192.0.2.1"},
	{name: "empty (D19), and a certificate without names", ptr: []string{""}, want: "192.0.2.1"},
	{name: "a dot (D19)", ptr: []string{"."}, want: "192.0.2.1"},
	{name: "two dots", ptr: []string{".."}, dns: []string{"."}, want: "192.0.2.1"},
	{name: "wildcard", ptr: []string{"*."}, dns: []string{"*"}, want: "192.0.2.1"},
	{name: "wildcard as in the certificate", ptr: []string{"*.client.example."}, dns: []string{"*.client.example"}, want: "192.0.2.1"},
	{name: "IP", ptr: []string{"192.0.2.1"}, dns: []string{"192.0.2.1"}, want: "192.0.2.1"},
	{name: "IPv6", ptr: []string{"::1", "[::1]", "::1."}, dns: []string{"[::1]", "::1"}, want: "192.0.2.1"},
}

// Names of addresses: those that count lead back to the address, and are in the certificate.
func TestResolver(t *testing.T) {
	for _, tt := range resolverTests {
		t.Run(tt.name, func(t *testing.T) {
			dns := &fakeDNS{names: tt.ptr, err: tt.err, addrs: tt.addrs}
			if tt.addrs == nil {
				dns.addrs = confirmed
			}
			p := newParties(t)
			// It also has an address, with which an IP as a name could be compared.
			client := clientFor(t, p, tt.dns, net.ParseIP("::1"))
			server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true, Resolver: dns})
			o := meetFrom(t, "::ffff:192.0.2.1", client, server)
			if dns.addr.Load() != "192.0.2.1" {
				t.Errorf("asked for the names of %v", dns.addr.Load())
			}
			if network := dns.network.Load(); network != nil && network != "ip" {
				t.Errorf("asked for addresses of %q", network)
			}
			if tt.want == "" {
				o.wantOK(t, false)
				return
			}
			o.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
			if o.server != nil && !strings.Contains(o.server.Error(), tt.want) {
				t.Errorf("error %q does not tell %q", o.server, tt.want)
			}
		})
	}
}

// A name that is whole is looked up as such: in a network whose search list has example.org,
// client.example may otherwise be client.example.example.org.
func TestResolverIsAskedForWholeNames(t *testing.T) {
	here := netip.MustParseAddr("192.0.2.1")
	p := newParties(t)
	client := clientFor(t, p, []string{"client.example"})
	for _, name := range []string{"client.example.", "client.example"} {
		dns := &fakeDNS{names: []string{name}, addrs: map[string][]netip.Addr{"client.example": {here}}}
		server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true, Resolver: dns})
		meetFrom(t, "192.0.2.1", client, server).wantOK(t, false)
		if host := dns.host.Load(); host != name {
			t.Errorf("asked for the addresses of %q, want %q", host, name)
		}
	}
}

// A name is looked up only if it is needed, and not for whoever was refused before.
func TestResolverIsAskedLast(t *testing.T) {
	p, stranger := newParties(t), newParties(t)
	stranger.client.Roots = p.ca.Pool()
	dns := new(fakeDNS)
	server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true, Resolver: dns})
	meet(t, mutualClient.config(t, p.client, dialed), server).wantOK(t, false)
	meet(t, mutualClient.config(t, stranger.client, dialed), server).
		want(t, remote(tlsutil.ErrUnknownAuthority), local(tlsutil.ErrUnknownAuthority))
	if n := dns.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// Whoever has the address decides how many names it has: few of them are looked up.
func TestDozensOfNames(t *testing.T) {
	p := newParties(t)
	dns := new(fakeDNS)
	for i := range 100 {
		dns.names = append(dns.names, fmt.Sprintf("%d.client.example.", i))
	}
	server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true, Resolver: dns})
	o := meetFrom(t, "192.0.2.1", clientFor(t, p, []string{"*.client.example"}), server)
	o.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
	if n := dns.lookups.Load(); n != 8 {
		t.Errorf("%d names were looked up, want 8", n)
	}
}

// Lookups that hang end by themselves, in sum.
func TestLookupTimeout(t *testing.T) {
	for _, tt := range []struct{ timeout, want time.Duration }{{0, 5 * time.Second}, {time.Minute, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			p := newParties(t)
			half := func(ctx context.Context) {
				select {
				case <-ctx.Done():
				case <-time.After(tt.want / 2):
				}
			}
			dns := &fakeDNS{
				names: []string{"a.client.example", "b.client.example", "c.client.example"},
				addrs: map[string][]netip.Addr{
					"a.client.example": nil, "b.client.example": nil,
				},
				reverse: half, forward: half,
			}
			server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true, Resolver: dns, LookupTimeout: tt.timeout})
			begin := time.Now()
			client := clientFor(t, p, []string{"*.client.example"})
			a, b := memnet.Pipe()
			c := tls.Client(a, client)
			go func() {
				_ = c.Handshake()
				_, _ = c.Read(make([]byte, 1))
				c.Close()
			}()
			err := tls.Server(from(b, "192.0.2.1"), server).Handshake()
			if !errors.Is(err, tlsutil.ErrAddressMismatch) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want an address mismatch for a deadline", err)
			}
			if after := time.Since(begin); after != tt.want {
				t.Errorf("after %v, want %v", after, tt.want)
			}
			b.Close()
		})
	}
}

// A handshake whose context has ended waits for no lookup.
func TestLookupEndsWithTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParties(t)
		var cause error
		dns := &fakeDNS{reverse: func(ctx context.Context) {
			<-ctx.Done()
			cause = ctx.Err()
		}}
		server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true, Resolver: dns, LookupTimeout: time.Hour})
		a, b := memnet.Pipe()
		c := tls.Client(a, clientFor(t, p, nil))
		go func() {
			_ = c.Handshake()
			_, _ = c.Read(make([]byte, 1))
			c.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		err := tls.Server(from(b, "192.0.2.1"), server).HandshakeContext(ctx)
		if err == nil || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("the lookup ended with %v", cause)
		}
		b.Close()
	})
}

// Over real sockets, IPv4 and IPv6.
func TestAddressOverTCP(t *testing.T) {
	p := newParties(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		must(t, err)
		defer l.Close()
		for _, ok := range []bool{true, false} {
			ips := []net.IP{net.IPv4(127, 0, 0, 2)}
			if ok {
				ips = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
			}
			client, err := net.Dial("tcp", l.Addr().String())
			must(t, err)
			server, err := l.Accept()
			must(t, err)
			o := meetOver(t, client, server, clientFor(t, p, nil, ips...), mutualServer.config(t, p.server, &tlsutil.Options{Address: true}))
			if (o.server == nil) != ok || (o.client == nil) != ok {
				t.Errorf("%s: client: %v, server: %v, want ok = %t", address, o.client, o.server, ok)
			}
		}
	}
}
