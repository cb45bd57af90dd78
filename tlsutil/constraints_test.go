package tlsutil_test

import (
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// What an authority may not issue certificates for it refuses, and where its key signs
// it nevertheless, nobody accepts that.
var constraintTests = []struct {
	name            string
	authority       tlsutil.Authority
	accept, refused []string
}{
	{
		"names",
		tlsutil.Authority{PermittedDNS: []string{"Example.com.", "localhost"}},
		[]string{"example.com", "a.b.example.com", "*.example.com", "localhost", "a.localhost"},
		[]string{"example.org", "notexample.com", "com", "*.com", "127.0.0.1", "::1", "192.0.2.1"},
	},
	{
		"addresses",
		tlsutil.Authority{PermittedIPs: prefixes("127.0.0.0/8", "2001:db8::/32")},
		[]string{"127.0.0.1", "127.255.0.1", "::ffff:127.0.0.1", "2001:db8::1"},
		[]string{"128.0.0.1", "::1", "2001:db9::1", "localhost", "example.com", "*.example.com"},
	},
	{
		"both",
		tlsutil.Authority{PermittedDNS: []string{"localhost"}, PermittedIPs: prefixes("127.0.0.1/32", "::1/128")},
		[]string{"localhost", "127.0.0.1", "::1"},
		[]string{"example.com", "127.0.0.2", "::2"},
	},
	{
		"a prefix with bits behind it, and one of mapped addresses",
		tlsutil.Authority{PermittedIPs: prefixes("10.1.2.3/8", "::ffff:192.0.2.1/120")},
		[]string{"10.200.0.1", "192.0.2.255"},
		[]string{"11.0.0.1", "192.0.3.1", "::1"},
	},
}

func TestConstraints(t *testing.T) {
	for _, tt := range constraintTests {
		for _, typ := range keyTypes {
			t.Run(tt.name+" "+typ.String(), func(t *testing.T) {
				tt.authority.Key = typ
				ca := makeCA(t, tt.authority)
				if !ca.Certificate.Leaf.PermittedDNSDomainsCritical {
					t.Error("the constraints are not critical")
				}
				for _, host := range tt.accept {
					cert := makeLeaf(t, ca, tlsutil.Leaf{Hosts: []string{host}})
					noError(t, verify(cert.Leaf, ca.Pool(), ""))
				}
				// One that is permitted does not help.
				for _, host := range tt.refused {
					_, err := ca.Issue(tlsutil.Leaf{Hosts: []string{tt.accept[0], host}})
					wantError(t, err)
					cert := handMade(t, &ca.Certificate, forHost(host))
					err = verify(cert.Leaf, ca.Pool(), "")
					if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || invalid.Reason != x509.CANotAuthorizedForThisName {
						t.Errorf("made by hand for %s: %v, want it refused", host, err)
					}
				}
			})
		}
	}
}

// forHost is a change for handMade.
func forHost(host string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = []net.IP{ip}
		} else {
			c.DNSNames = []string{host}
		}
	}
}

func TestNoConstraints(t *testing.T) {
	for _, e := range makeCA(t, tlsutil.Authority{}).Certificate.Leaf.Extensions {
		if e.Id.String() == "2.5.29.30" {
			t.Error("there are constraints")
		}
	}
}

func TestConstraintsThatAreNone(t *testing.T) {
	for _, name := range []string{"", "*.example.com", ".example.com", "10.0.0.0/8", "127.0.0.1", "a b", "example.com:443"} {
		_, err := tlsutil.NewCA(tlsutil.Authority{PermittedDNS: []string{"localhost", name}})
		wantError(t, err, "\""+name+"\"")
	}
	_, err := tlsutil.NewCA(tlsutil.Authority{PermittedIPs: []netip.Prefix{{}}})
	wantError(t, err, "prefix")
}

// OpenSSL takes the common name of a certificate without names for a name if it has a
// dot, as an IPv4 address has, and applies the constraints to it.
func TestConstraintsOnCommonNames(t *testing.T) {
	names := tlsutil.Authority{PermittedDNS: []string{"example.com"}}
	addresses := tlsutil.Authority{PermittedIPs: prefixes("127.0.0.0/8", "::1/128")}
	tests := []struct {
		name      string
		authority tlsutil.Authority
		leaf      tlsutil.Leaf
		want      string
		err       bool
	}{
		{"an address", addresses, tlsutil.Leaf{Hosts: []string{"127.0.0.1"}}, "", false},
		{"addresses", addresses, tlsutil.Leaf{Hosts: []string{"127.0.0.1", "::1"}}, "::1", false},
		{"an address, unconstrained", tlsutil.Authority{}, tlsutil.Leaf{Hosts: []string{"127.0.0.1"}}, "127.0.0.1", false},
		{"no name", addresses, tlsutil.Leaf{Client: true, Name: "alice"}, "alice", false},
		{"a name", addresses, tlsutil.Leaf{Client: true, Name: "alice.example.com"}, "", true},
		{"a permitted name", names, tlsutil.Leaf{Client: true, Name: "Alice.Example.com"}, "Alice.Example.com", false},
		{"the permitted name", names, tlsutil.Leaf{Client: true, Name: "example.com"}, "example.com", false},
		{"another name", names, tlsutil.Leaf{Client: true, Name: "alice.notexample.com"}, "", true},
		{"another name, which does not count", names, tlsutil.Leaf{Hosts: []string{"example.com"}, Name: "a.example.org"}, "a.example.org", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert, err := makeCA(t, tt.authority).Issue(tt.leaf)
			if tt.err {
				wantError(t, err, tt.leaf.Name)
				return
			}
			noError(t, err)
			if got := cert.Leaf.Subject.CommonName; got != tt.want {
				t.Errorf("common name %q, want %q", got, tt.want)
			}
		})
	}
}

// An authority that was made by others may have constraints that NewCA does not make,
// and be for one use alone.
func TestConstraintsOfOthers(t *testing.T) {
	ca := &tlsutil.CA{Certificate: handMade(t, nil, func(c *x509.Certificate) {
		asAuthority(c)
		c.ExcludedDNSDomains = []string{"secret.example.com"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})}
	makeLeaf(t, ca, tlsutil.Leaf{Hosts: []string{"example.com"}, Client: true})
	makeLeaf(t, ca, tlsutil.Leaf{Name: "alice.example.com", Client: true})
	for _, leaf := range []tlsutil.Leaf{
		{Hosts: []string{"a.secret.example.com"}, Client: true},
		{Name: "a.Secret.example.com", Client: true},
		{Hosts: []string{"example.com"}, Server: true},
		{Hosts: []string{"example.com"}},
	} {
		_, err := ca.Issue(leaf)
		wantError(t, err)
	}
}
