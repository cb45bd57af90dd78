package tlsutil_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"path/filepath"
	"testing"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// BenchmarkIssue makes an authority and a certificate, as a test does that has its own.
func BenchmarkIssue(b *testing.B) {
	for _, typ := range keyTypes {
		b.Run(typ.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ca, err := tlsutil.NewCA(tlsutil.Authority{Key: typ})
				noError(b, err)
				_, err = ca.Issue(tlsutil.Leaf{Hosts: []string{"localhost", "127.0.0.1", "::1"}, Key: typ})
				noError(b, err)
			}
		})
	}
}

// BenchmarkIssueFloor is what the standard library takes for two keys and two certificates
// of P-256 at the least.
func BenchmarkIssueFloor(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var keys [2]*ecdsa.PrivateKey
		for i := range keys {
			var err error
			keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			noError(b, err)
		}
		template := &x509.Certificate{NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
		for _, key := range keys {
			_, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			noError(b, err)
		}
	}
}

// BenchmarkIssueConstrained also verifies what it has made.
func BenchmarkIssueConstrained(b *testing.B) {
	ca := makeCA(b, tlsutil.Authority{PermittedDNS: []string{"localhost"}})
	b.ReportAllocs()
	for b.Loop() {
		_, err := ca.Issue(localhost)
		noError(b, err)
	}
}

// BenchmarkWriteFiles waits for the disk.
func BenchmarkWriteFiles(b *testing.B) {
	folder := b.TempDir()
	cert := makeSelfSigned(b, localhost)
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for b.Loop() {
		noError(b, tlsutil.WriteFiles(cert, certFile, keyFile))
	}
}
