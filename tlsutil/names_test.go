package tlsutil_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// hostsOf returns what a certificate is for.
func hostsOf(tb testing.TB, hosts ...string) (names, addresses []string) {
	tb.Helper()
	cert := makeSelfSigned(tb, tlsutil.Leaf{Hosts: hosts}).Leaf
	for _, ip := range cert.IPAddresses {
		addr, ok := netip.AddrFromSlice(ip)
		if !ok {
			tb.Errorf("address %x", []byte(ip))
		}
		addresses = append(addresses, addr.String())
	}
	return cert.DNSNames, addresses
}

var (
	label63 = strings.Repeat("a", 63)
	name253 = strings.Repeat(label63+".", 3) + strings.Repeat("b", 61)
)

func TestHosts(t *testing.T) {
	tests := []struct{ host, name, address string }{
		{"localhost", "localhost", ""},
		{"LocalHost", "localhost", ""},
		{"example.com.", "example.com", ""},
		{"*.Example.com", "*.example.com", ""},
		{"*.localhost", "*.localhost", ""},
		{"_service.example.com", "_service.example.com", ""},
		{"a--b.xn--bcher-kva.example", "a--b.xn--bcher-kva.example", ""},
		{"1.2.3.com", "1.2.3.com", ""},
		{"0x.example", "0x.example", ""},
		{"example.0y", "example.0y", ""},
		{"beef", "beef", ""},
		{label63, label63, ""},
		{name253, name253, ""},
		{name253 + ".", name253, ""},
		{"127.0.0.1", "", "127.0.0.1"},
		{"0.0.0.0", "", "0.0.0.0"},
		{"::1", "", "::1"},
		{"2001:DB8:0::1", "", "2001:db8::1"},
		{"[2001:db8::1]", "", "2001:db8::1"},
		{"::ffff:127.0.0.1", "", "127.0.0.1"},
		{"[::ffff:7f00:1]", "", "127.0.0.1"},
	}
	for _, tt := range tests {
		names, addresses := hostsOf(t, tt.host)
		if strings.Join(names, " ") != tt.name || strings.Join(addresses, " ") != tt.address {
			t.Errorf("host %q: names %q and addresses %q, want %q and %q", tt.host, names, addresses, tt.name, tt.address)
		}
	}
}

var refusedHosts = []struct{ host, why string }{
	{"", "empty"},
	{" localhost", "space"},
	{"localhost ", "space"},
	{"local host", "space"},
	{"127.0.0.1 ", "space"},
	{"a\x00", "control"},
	{"a\tb", "control"},
	{"a\x7f", "control"},
	{"bücher.example", "xn--"},
	{"ex\xffample.com", "ASCII"},
	{"localhost:8443", "port"},
	{"127.0.0.1:80", "port"},
	{"[::1]:80", "port"},
	{"[127.0.0.1]", "IPv6"},
	{"[localhost]", "IPv6"},
	{"[::1", "IPv6"},
	{"::1::", "IPv6"},
	{"https://example.com", "URL"},
	{"example.com/", "URL"},
	{"10.0.0.0/8", "prefix"},
	{"user@example.com", "user"},
	{"fe80::1%eth0", "zone"},
	{"[fe80::1%eth0]", "zone"},
	{"*", "wildcard"},
	{"*.", "wildcard"},
	{"*.*.example.com", "wildcard"},
	{"a.*.example.com", "wildcard"},
	{"f*.example.com", "wildcard"},
	{"example.*", "wildcard"},
	{".", "empty label"},
	{".example.com", "empty label"},
	{"a..b", "empty label"},
	{"example.com..", "empty label"},
	{"1.2.3", "number"},
	{"1.2.3.4.", "number"},
	{"256.1.1.1", "number"},
	{"127.0.0.01", "number"},
	{"1.2.3.4.5", "number"},
	{"127.0.0.0x1", "number"},
	{"0X7F000001", "number"},
	{"example.0x", "number"},
	{"2130706433", "number"},
	{"*.1", "number"},
	{"-a.example.com", "hyphen"},
	{"a-.example.com", "hyphen"},
	{"a.-", "hyphen"},
	{label63 + "a.example", "63"},
	{name253 + "b", "253"},
	{"a,b", "','"},
	{"a=b", "'='"},
	{`a\b`, `'\\'`},
}

func TestRefusedHosts(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{})
	for _, tt := range refusedHosts {
		hosts := []string{"localhost", tt.host} // the first does not make up for it
		_, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: hosts})
		wantError(t, err, tt.why)
		_, err = ca.Issue(tlsutil.Leaf{Hosts: hosts})
		wantError(t, err, tt.why)
	}
}

// The error quotes the host, and not without end.
func TestRefusedHostIsNamed(t *testing.T) {
	_, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"localhost", "a\nb"}})
	wantError(t, err, `"a\nb"`)
	_, err = tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{strings.Repeat("a", 1<<20)}})
	wantError(t, err, "253")
	if n := len(err.Error()); n > 500 {
		t.Errorf("an error of %d bytes", n)
	}
}

// What is there twice counts once, and the order stays.
func TestHostsThatAreThereTwice(t *testing.T) {
	names, addresses := hostsOf(t, "b", "a", "B.", "::ffff:127.0.0.1", "[::1]", "127.0.0.1", "a", "::1")
	if !slices.Equal(names, []string{"b", "a"}) || !slices.Equal(addresses, []string{"127.0.0.1", "::1"}) {
		t.Errorf("names %q and addresses %q", names, addresses)
	}
}

// A host is a name or an address, or refused; what comes of it stays as it is, and
// clients that dial it accept the certificate.
func FuzzHost(f *testing.F) {
	f.Add("localhost")
	f.Add("Example.COM.")        // another form of a name
	f.Add("*.example.com")       // a wildcard
	f.Add("[::ffff:127.0.0.1]")  // another form of an address
	f.Add("1.2.3")               // nearly an address
	f.Add("fe80::1%eth0")        // a zone
	f.Add("xn--bcher-kva.x-_-y") // all that a label may have
	f.Add("bücher.example:443")  // beyond ASCII
	f.Fuzz(func(t *testing.T, host string) {
		leaf := tlsutil.Leaf{Hosts: []string{host}, Key: tlsutil.Ed25519}
		cert, err := tlsutil.SelfSigned(leaf)
		if err != nil {
			wantError(t, err, "host")
			return
		}
		names, addresses := cert.Leaf.DNSNames, cert.Leaf.IPAddresses
		if len(names)+len(addresses) != 1 {
			t.Fatalf("host %q: names %q and addresses %v", host, names, addresses)
		}
		again := slices.Clone(names)
		for _, ip := range addresses {
			again = append(again, ip.String())
		}
		dialed := strings.Replace(again[0], "*", "any", 1)
		noError(t, cert.Leaf.VerifyHostname(dialed))
		leaf.Hosts = again
		second, err := tlsutil.SelfSigned(leaf)
		noError(t, err)
		if !slices.Equal(second.Leaf.DNSNames, names) || len(second.Leaf.IPAddresses) != len(addresses) ||
			len(addresses) > 0 && !second.Leaf.IPAddresses[0].Equal(addresses[0]) {
			t.Errorf("host %q becomes %q, and that %q and %v", host, again, second.Leaf.DNSNames, second.Leaf.IPAddresses)
		}
	})
}
