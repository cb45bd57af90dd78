package tlsutil_test

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

func noError(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wantError makes sure that there is an error of this package that says something of
// each part.
func wantError(tb testing.TB, err error, parts ...string) {
	tb.Helper()
	if err == nil {
		tb.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range append(parts, "tlsutil: ") {
		if !strings.Contains(err.Error(), part) {
			tb.Errorf("error %q lacks %q", err, part)
		}
	}
}

func makeCA(tb testing.TB, a tlsutil.Authority) *tlsutil.CA {
	tb.Helper()
	ca, err := tlsutil.NewCA(a)
	noError(tb, err)
	return ca
}

func makeLeaf(tb testing.TB, ca *tlsutil.CA, leaf tlsutil.Leaf) tls.Certificate {
	tb.Helper()
	cert, err := ca.Issue(leaf)
	noError(tb, err)
	return cert
}

func makeSelfSigned(tb testing.TB, leaf tlsutil.Leaf) tls.Certificate {
	tb.Helper()
	cert, err := tlsutil.SelfSigned(leaf)
	noError(tb, err)
	return cert
}

// localhost is a certificate that any test may use.
var localhost = tlsutil.Leaf{Hosts: []string{"localhost"}}

// handMade makes and signs what Issue would not. A nil parent is itself.
func handMade(tb testing.TB, parent *tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	tb.Helper()
	key := makeSelfSigned(tb, localhost).PrivateKey.(crypto.Signer)
	if parent == nil {
		parent = &tls.Certificate{PrivateKey: key}
	}
	leaf := handMadeFor(tb, parent, key.Public(), change)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// handMadeFor makes and signs a certificate of a key. A parent without a Leaf is itself.
func handMadeFor(tb testing.TB, parent *tls.Certificate, key crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "by hand"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	change(template)
	by := parent.Leaf
	if by == nil {
		by = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key, parent.PrivateKey)
	noError(tb, err)
	cert, err := x509.ParseCertificate(der)
	noError(tb, err)
	return cert
}

// asAuthority is a change for handMade.
func asAuthority(c *x509.Certificate) {
	c.IsCA = true
	c.KeyUsage |= x509.KeyUsageCertSign
	c.ExtKeyUsage = nil
}

// poolOf returns a pool of one certificate.
func poolOf(cert *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// verify verifies for the use as a server called host; if host is empty, as a client.
func verify(cert *x509.Certificate, roots *x509.CertPool, host string) error {
	o := x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if host == "" {
		o.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	_, err := cert.Verify(o)
	return err
}
