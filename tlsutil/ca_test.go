package tlsutil_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

var keyTypes = []tlsutil.KeyType{tlsutil.P256, tlsutil.Ed25519}

// isOfType reports whether a certificate and its key are of one kind.
func isOfType(cert tls.Certificate, typ tlsutil.KeyType) bool {
	switch typ {
	case tlsutil.P256:
		key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
		return ok && key.Curve.Params().BitSize == 256 && key.PublicKey.Equal(cert.Leaf.PublicKey)
	case tlsutil.Ed25519:
		key, ok := cert.PrivateKey.(ed25519.PrivateKey)
		return ok && key.Public().(ed25519.PublicKey).Equal(cert.Leaf.PublicKey)
	}
	return false
}

// keyID computes what RFC 7093 says in section 2 as method 1.
func keyID(t *testing.T, cert *x509.Certificate) []byte {
	t.Helper()
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info)
	noError(t, err)
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20]
}

func TestAuthority(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			ca := makeCA(t, tlsutil.Authority{Key: typ})
			cert := ca.Certificate.Leaf
			if !isOfType(ca.Certificate, typ) {
				t.Errorf("the key is a %T", ca.Certificate.PrivateKey)
			}
			if !cert.BasicConstraintsValid || !cert.IsCA || cert.MaxPathLen != 0 || !cert.MaxPathLenZero {
				t.Errorf("CA %v, path length %d, want an authority of length 0", cert.IsCA, cert.MaxPathLen)
			}
			if want := x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature; cert.KeyUsage != want || cert.ExtKeyUsage != nil {
				t.Errorf("usage %b and %v, want %b alone", cert.KeyUsage, cert.ExtKeyUsage, want)
			}
			if len(cert.SubjectKeyId) != 20 || !bytes.Equal(cert.SubjectKeyId, cert.AuthorityKeyId) {
				t.Errorf("key ids %x and %x, want the same of 20 bytes", cert.SubjectKeyId, cert.AuthorityKeyId)
			}
			// Leaves have one of the same kind, by which OpenSSL knows that they have not
			// signed themselves.
			leaf := makeLeaf(t, ca, localhost).Leaf
			for _, c := range []*x509.Certificate{cert, leaf} {
				if got, want := c.SubjectKeyId, keyID(t, c); !bytes.Equal(got, want) {
					t.Errorf("key id %x, want %x", got, want)
				}
			}
			if got := cert.Subject.String(); got != "CN=netparts CA" {
				t.Errorf("subject %s", got)
			}
			noError(t, cert.CheckSignatureFrom(cert))
		})
	}
}

func TestLeaf(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			ca := makeCA(t, tlsutil.Authority{})
			leaf := makeLeaf(t, ca, tlsutil.Leaf{Hosts: []string{"localhost", "127.0.0.1", "::1"}, Key: typ})
			cert := leaf.Leaf
			if !isOfType(leaf, typ) {
				t.Errorf("the key is a %T", leaf.PrivateKey)
			}
			if !cert.BasicConstraintsValid || cert.IsCA {
				t.Error("it is an authority")
			}
			if cert.KeyUsage != x509.KeyUsageDigitalSignature {
				t.Errorf("usage %b", cert.KeyUsage)
			}
			if len(leaf.Certificate) != 1 || !bytes.Equal(leaf.Certificate[0], cert.Raw) {
				t.Errorf("it holds %d certificates, want itself alone", len(leaf.Certificate))
			}
			if !bytes.Equal(cert.AuthorityKeyId, ca.Certificate.Leaf.SubjectKeyId) {
				t.Errorf("authority's key id %x", cert.AuthorityKeyId)
			}
			if got := cert.Subject.String(); got != "CN=localhost" {
				t.Errorf("subject %s", got)
			}
			for _, host := range []string{"localhost", "127.0.0.1", "::1", ""} {
				noError(t, verify(cert, ca.Pool(), host))
			}
			if err := verify(cert, makeCA(t, tlsutil.Authority{}).Pool(), ""); err == nil {
				t.Error("an authority of the same name, with another key, verifies it")
			}
		})
	}
}

func TestUsages(t *testing.T) {
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for _, tt := range []struct {
		server, client bool
		want           []x509.ExtKeyUsage
	}{
		{false, false, []x509.ExtKeyUsage{server, client}},
		{true, true, []x509.ExtKeyUsage{server, client}},
		{true, false, []x509.ExtKeyUsage{server}},
		{false, true, []x509.ExtKeyUsage{client}},
	} {
		leaf := tlsutil.Leaf{Hosts: []string{"localhost"}, Server: tt.server, Client: tt.client}
		issued := makeLeaf(t, makeCA(t, tlsutil.Authority{}), leaf).Leaf
		if got := issued.ExtKeyUsage; !slices.Equal(got, tt.want) {
			t.Errorf("Server %v, Client %v: %v, want %v", tt.server, tt.client, got, tt.want)
		}
		if got := makeSelfSigned(t, leaf).Leaf.ExtKeyUsage; !slices.Equal(got, tt.want) {
			t.Errorf("self-signed, Server %v, Client %v: %v, want %v", tt.server, tt.client, got, tt.want)
		}
	}
}

// A serial number is random, positive, and has at most 20 bytes.
func TestSerialNumbers(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{})
	seen := map[string]bool{ca.Certificate.Leaf.SerialNumber.String(): true}
	bits := 0
	for range 20 {
		n := makeLeaf(t, ca, localhost).Leaf.SerialNumber
		if n.Sign() <= 0 || n.BitLen() > 159 || seen[n.String()] {
			t.Errorf("serial number %x", n)
		}
		seen[n.String()] = true
		bits = max(bits, n.BitLen())
	}
	if bits < 128 {
		t.Errorf("serial numbers of at most %d bits", bits)
	}
}

func TestLifetimes(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		wantTimes := func(cert *x509.Certificate, from, to time.Duration) {
			t.Helper()
			if !cert.NotBefore.Equal(now.Add(from)) || !cert.NotAfter.Equal(now.Add(to)) {
				t.Errorf("valid from %v to %v, want %v to %v", cert.NotBefore.Sub(now), cert.NotAfter.Sub(now), from, to)
			}
		}
		standard := makeCA(t, tlsutil.Authority{})
		wantTimes(standard.Certificate.Leaf, -5*time.Minute, 3650*day)
		wantTimes(makeLeaf(t, standard, localhost).Leaf, -5*time.Minute, 90*day)
		wantTimes(makeSelfSigned(t, localhost).Leaf, -5*time.Minute, 90*day)
		hour := makeCA(t, tlsutil.Authority{Lifetime: time.Hour})
		wantTimes(hour.Certificate.Leaf, -5*time.Minute, time.Hour)
		wantTimes(makeLeaf(t, hour, localhost).Leaf, -5*time.Minute, time.Hour)
		leaf := tlsutil.Leaf{Hosts: []string{"localhost"}, Lifetime: time.Minute}
		wantTimes(makeLeaf(t, hour, leaf).Leaf, -5*time.Minute, time.Minute)
		wantTimes(makeSelfSigned(t, leaf).Leaf, -5*time.Minute, time.Minute)

		time.Sleep(time.Hour)
		wantTimes(makeLeaf(t, hour, leaf).Leaf, time.Hour-5*time.Minute, time.Hour)
		time.Sleep(time.Second)
		_, err := hour.Issue(leaf)
		wantError(t, err, "expired")

		leaf.Lifetime = -1
		_, err = standard.Issue(leaf)
		wantError(t, err, "lifetime")
		_, err = tlsutil.SelfSigned(leaf)
		wantError(t, err, "lifetime")
		_, err = tlsutil.NewCA(tlsutil.Authority{Lifetime: -time.Hour})
		wantError(t, err, "lifetime")
	})
}

// A leaf is not valid before its authority is.
func TestYoungAuthority(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	begin := now.Add(-time.Minute)
	ca := &tlsutil.CA{Certificate: handMade(t, nil, func(c *x509.Certificate) {
		asAuthority(c)
		c.NotBefore = begin
	})}
	if got := makeLeaf(t, ca, localhost).Leaf.NotBefore; !got.Equal(begin) {
		t.Errorf("valid from %v, want %v as the authority", got, begin)
	}
	ca = &tlsutil.CA{Certificate: handMade(t, nil, func(c *x509.Certificate) {
		asAuthority(c)
		c.NotBefore = now.Add(time.Minute)
	})}
	_, err := ca.Issue(localhost)
	wantError(t, err, "not valid before")
}

func TestWhatIsNoAuthority(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{})
	other := makeCA(t, tlsutil.Authority{}).Certificate
	tests := []struct {
		name string
		cert tls.Certificate
		want string
	}{
		{"nothing", tls.Certificate{}, "no certificate"},
		{"a leaf", makeLeaf(t, ca, localhost), "not one of an authority"},
		{"a self-signed leaf", makeSelfSigned(t, localhost), "not one of an authority"},
		{"one that may not sign", handMade(t, nil, func(c *x509.Certificate) { c.IsCA = true }), "not one of an authority"},
		{"without a key", tls.Certificate{Certificate: ca.Certificate.Certificate}, "no key"},
		{"with another's key", tls.Certificate{Certificate: ca.Certificate.Certificate, PrivateKey: other.PrivateKey}, "not that of"},
		{"damaged", tls.Certificate{Certificate: [][]byte{{1, 2, 3}}, PrivateKey: other.PrivateKey}, "x509"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := (&tlsutil.CA{Certificate: tt.cert}).Issue(localhost)
			wantError(t, err, tt.want)
		})
	}
	if !new(tlsutil.CA).Pool().Equal(x509.NewCertPool()) {
		t.Error("the pool of nothing is not empty")
	}
}

// A CA that a program has put together may lack its Leaf, and is used by several
// goroutines.
func TestAuthorityWithoutLeaf(t *testing.T) {
	made := makeCA(t, tlsutil.Authority{}).Certificate
	ca := &tlsutil.CA{Certificate: tls.Certificate{Certificate: made.Certificate, PrivateKey: made.PrivateKey}}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			host := fmt.Sprintf("host%d", i)
			cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{host}})
			if err == nil {
				err = verify(cert.Leaf, ca.Pool(), host)
			}
			if err != nil {
				t.Error(err)
			}
			if len(cert.Certificate) != 1 {
				t.Errorf("it holds %d certificates", len(cert.Certificate))
			}
		})
	}
	wg.Wait()
}

// The certificates of an authority that is no root lead to the root.
func TestAuthorityBetween(t *testing.T) {
	root := handMade(t, nil, asAuthority)
	between := handMade(t, &root, func(c *x509.Certificate) {
		asAuthority(c)
		c.Subject.CommonName = "between"
	})
	between.Certificate = append(between.Certificate, root.Certificate[0])
	ca := &tlsutil.CA{Certificate: between}
	leaf := makeLeaf(t, ca, localhost)
	if len(leaf.Certificate) != 2 || !bytes.Equal(leaf.Certificate[1], between.Certificate[0]) {
		t.Fatalf("it holds %d certificates, want its own and the authority's", len(leaf.Certificate))
	}
	noError(t, verify(leaf.Leaf, ca.Pool(), "localhost"))
	_, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: poolOf(root.Leaf), Intermediates: poolOf(between.Leaf)})
	noError(t, err)
}

// An authority that has changed its key has a certificate that its old key has signed, and
// that is called as the root is. Those who have the old root alone need it.
func TestAuthorityWithANewKey(t *testing.T) {
	root := handMade(t, nil, asAuthority)
	again := handMade(t, &root, func(c *x509.Certificate) {
		asAuthority(c)
		c.AuthorityKeyId = root.Leaf.SubjectKeyId
	})
	if !bytes.Equal(again.Leaf.RawIssuer, again.Leaf.RawSubject) {
		t.Fatal("the names differ")
	}
	again.Certificate = append(again.Certificate, root.Certificate[0])
	leaf := makeLeaf(t, &tlsutil.CA{Certificate: again}, localhost)
	if len(leaf.Certificate) != 2 || !bytes.Equal(leaf.Certificate[1], again.Certificate[0]) {
		t.Fatalf("the chain has %d certificates, want the leaf and that of the new key", len(leaf.Certificate))
	}
	_, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: poolOf(root.Leaf), Intermediates: poolOf(again.Leaf)})
	noError(t, err)
}

// A leaf that is called as its authority still says whose key has signed it, which the
// standard library leaves out there.
func TestLeafCalledAsItsAuthority(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{Name: "localhost"})
	leaf := makeLeaf(t, ca, localhost)
	if !bytes.Equal(leaf.Leaf.AuthorityKeyId, ca.Certificate.Leaf.SubjectKeyId) {
		t.Errorf("authority's key id %x", leaf.Leaf.AuthorityKeyId)
	}
	noError(t, verify(leaf.Leaf, ca.Pool(), "localhost"))
}

func TestCommonNames(t *testing.T) {
	long := strings.Repeat("a", 60) + ".example"
	tests := []struct {
		name string
		leaf tlsutil.Leaf
		want string // of the subject
	}{
		{"the first host", tlsutil.Leaf{Hosts: []string{"B.example.", "a.example"}}, "b.example"},
		{"an address", tlsutil.Leaf{Hosts: []string{"::1"}}, "::1"},
		{"given", tlsutil.Leaf{Hosts: []string{"a.example"}, Name: "Älice, Ltd."}, "Älice, Ltd."},
		{"a client", tlsutil.Leaf{Client: true}, "client"},
		{"a client's", tlsutil.Leaf{Client: true, Name: "alice"}, "alice"},
		{"the first host is long", tlsutil.Leaf{Hosts: []string{long, "a.example"}}, "a.example"},
		{"all hosts are long", tlsutil.Leaf{Hosts: []string{long}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ca := makeCA(t, tlsutil.Authority{})
			cert := makeLeaf(t, ca, tt.leaf).Leaf
			if got := cert.Subject.CommonName; got != tt.want {
				t.Errorf("common name %q, want %q", got, tt.want)
			}
			noError(t, verify(cert, ca.Pool(), ""))
		})
	}
	for _, name := range []string{strings.Repeat("ä", 65), "a\x00b", "a\nb", "\xff"} {
		_, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"localhost"}, Name: name})
		wantError(t, err, "name")
		_, err = tlsutil.NewCA(tlsutil.Authority{Name: name})
		wantError(t, err, "name")
	}
	makeCA(t, tlsutil.Authority{Name: strings.Repeat("ä", 64)})
}

// A server that is for no host is one that no client accepts.
func TestServerWithoutHosts(t *testing.T) {
	ca := makeCA(t, tlsutil.Authority{})
	for _, leaf := range []tlsutil.Leaf{{}, {Server: true}, {Server: true, Client: true}, {Name: "localhost"}} {
		_, err := ca.Issue(leaf)
		wantError(t, err, "no hosts")
		_, err = tlsutil.SelfSigned(leaf)
		wantError(t, err, "no hosts")
	}
}

func TestKeyTypes(t *testing.T) {
	for typ, want := range map[tlsutil.KeyType]string{
		tlsutil.P256: "P-256", tlsutil.Ed25519: "Ed25519", -1: "KeyType(-1)", 2: "KeyType(2)",
	} {
		if got := typ.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
	_, err := tlsutil.NewCA(tlsutil.Authority{Key: 2})
	wantError(t, err, "KeyType(2)")
	_, err = tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"localhost"}, Key: 2})
	wantError(t, err, "KeyType(2)")
	_, err = makeCA(t, tlsutil.Authority{}).Issue(tlsutil.Leaf{Hosts: []string{"localhost"}, Key: 2})
	wantError(t, err, "KeyType(2)")
}

// A self-signed certificate is a root of itself, and cannot sign others.
func TestSelfSigned(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			cert := makeSelfSigned(t, tlsutil.Leaf{Hosts: []string{"localhost"}, Key: typ})
			if !isOfType(cert, typ) || cert.Leaf.SerialNumber.Cmp(big.NewInt(0)) <= 0 {
				t.Errorf("the key is a %T", cert.PrivateKey)
			}
			roots := poolOf(cert.Leaf)
			noError(t, verify(cert.Leaf, roots, "localhost"))
			noError(t, verify(cert.Leaf, roots, ""))
			if err := verify(cert.Leaf, roots, "example.com"); err == nil {
				t.Error("it is valid for example.com")
			}
			signed := handMade(t, &cert, func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} })
			if err := verify(signed.Leaf, roots, "example.com"); err == nil {
				t.Error("what it has signed is valid")
			}
		})
	}
}
