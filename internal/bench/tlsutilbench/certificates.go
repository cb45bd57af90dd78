//go:build linux

package tlsutilbench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlsutil"
)

// issue makes an authority and a certificate, as a test does that has its own.
func issue(typ tlsutil.KeyType) lab.Case {
	c := lab.Case{
		Name: fmt.Sprintf("authority and certificate, %v", typ),
		About: "Makes an authority and a certificate for a name and two addresses that it signs, each with a " +
			"new key. The first certificate of a side is verified for the name.",
		Sides:   lab.Sides(lab.Ours, sideBare),
		Metrics: lab.CallMetrics("µs"),
		Run: func(t *lab.T) {
			for _, make := range []func(tlsutil.KeyType) (*x509.Certificate, *x509.Certificate, error){makeOurs, makeBareParsed} {
				ca, leaf, err := make(typ)
				t.Fatal(err)
				roots := x509.NewCertPool()
				roots.AddCert(ca)
				for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
					_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
					t.Fatal(err)
				}
			}
			calls := lab.Calls{
				T: t, Unit: "µs", Count: lab.Of(t, 400, 2), Slice: lab.Of(t, 25, 1),
				Work: map[string]func(int) error{
					lab.Ours: func(n int) error {
						for range n {
							if _, _, err := makeOurs(typ); err != nil {
								return err
							}
						}
						return nil
					},
					sideBare: func(n int) error {
						for range n {
							if _, _, err := makeBare(typ); err != nil {
								return err
							}
						}
						return nil
					},
				},
			}
			calls.Run()
		},
	}
	if typ == tlsutil.P256 {
		c.Targets = []lab.Target{{
			Metric: "µs CPU", AtMost: 300,
			Reason: "Most of it is two keys and two calls of x509.CreateCertificate, about half of whose time " +
				"is the verification of its own signature, which cannot be turned off. What ours adds is parsing " +
				"what was made.",
		}}
	}
	return c
}

func makeOurs(typ tlsutil.KeyType) (root, leaf *x509.Certificate, err error) {
	ca, err := tlsutil.NewCA(tlsutil.Authority{Key: typ})
	if err != nil {
		return nil, nil, err
	}
	cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"localhost", "127.0.0.1", "::1"}, Key: typ})
	if err != nil {
		return nil, nil, err
	}
	return ca.Certificate.Leaf, cert.Leaf, nil
}

// makeBare returns certificates as they are sent.
func makeBare(typ tlsutil.KeyType) (root, leaf []byte, err error) {
	now := time.Now()
	parent := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "netparts CA"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	signer, err := newKey(typ)
	if err != nil {
		return nil, nil, err
	}
	key, err := newKey(typ)
	if err != nil {
		return nil, nil, err
	}
	root, err = x509.CreateCertificate(rand.Reader, parent, parent, signer.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	leaf, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	return root, leaf, err
}

func newKey(typ tlsutil.KeyType) (crypto.Signer, error) {
	if typ == tlsutil.Ed25519 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func makeBareParsed(typ tlsutil.KeyType) (root, leaf *x509.Certificate, err error) {
	a, b, err := makeBare(typ)
	if err != nil {
		return nil, nil, err
	}
	root, err = x509.ParseCertificate(a)
	if err != nil {
		return nil, nil, err
	}
	leaf, err = x509.ParseCertificate(b)
	return root, leaf, err
}

// current asks what a handshake should show and trust.
func current() lab.Case {
	return lab.Case{
		Name: "which files are in use",
		About: "What a handshake does besides, so that files may change: ours gets the configuration for the " +
			"files that are watched, which takes less than a system call, as it makes none. It must be the one " +
			"that the certificate belongs to.",
		Sides:   lab.Sides(lab.Ours, sideStat),
		Metrics: lab.CallMetrics("ns"),
		Run: func(t *lab.T) {
			f := newFolder(t)
			files, err := f.watch(0)
			t.Fatal(err)
			defer files.Close() // it always returns nil
			config, err := tlsutil.MutualServer(files, nil)
			t.Fatal(err)
			var hello tls.ClientHelloInfo // which is not allocated each time
			calls := lab.Calls{
				T: t, Unit: "ns", Count: lab.Of(t, 1<<15, 64), Slice: lab.Of(t, 1<<14, 64),
				Work: map[string]func(int) error{
					lab.Ours: func(n int) error { return f.find(config, &hello, files.Current(), n) },
					sideStat: f.stat,
				},
			}
			calls.Run()
		},
	}
}

// find asks for the configuration of a handshake.
func (f folder) find(config *tls.Config, hello *tls.ClientHelloInfo, want *tlsutil.Material, n int) error {
	for range n {
		found, err := config.GetConfigForClient(hello)
		if err != nil || found.Certificates[0].Leaf != want.Certificate.Leaf {
			return fmt.Errorf("it is another certificate (error: %w)", err)
		}
	}
	return nil
}

// stat looks at the files.
func (f folder) stat(n int) error {
	for range n {
		for _, name := range []string{f.cert("server"), f.key("server"), f.roots()} {
			if info, err := os.Stat(name); err != nil || info.Size() == 0 {
				return fmt.Errorf("%s: empty (error: %w)", name, err)
			}
		}
	}
	return nil
}
