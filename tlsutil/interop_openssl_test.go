package tlsutil_test

import (
	"context"
	"crypto/x509"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tlsutil"
)

// An opensslProgram is the program and a folder of its files.
type opensslProgram struct{ path, folder string }

func openssl(t *testing.T) opensslProgram {
	t.Helper()
	return opensslProgram{interop.Command(t, "openssl", "openssl"), t.TempDir()}
}

// run returns all that the program prints.
func (o opensslProgram) run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// want runs the program, which must succeed.
func (o opensslProgram) want(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := o.run(t, stdin, args...)
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
	return out
}

// verify verifies a certificate as strictly as it can, for a purpose and, if it is not
// empty, a host.
func (o opensslProgram) verify(t *testing.T, cert, root *x509.Certificate, purpose, host string) (string, error) {
	t.Helper()
	args := []string{"verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-CAfile", writeText(t, inPEM(root.Raw))}
	if _, err := netip.ParseAddr(host); err == nil {
		args = append(args, "-verify_ip", host)
	} else if host != "" {
		args = append(args, "-verify_hostname", host)
	}
	return o.run(t, inPEM(cert.Raw), args...)
}

func (o opensslProgram) wantVerified(t *testing.T, cert, root *x509.Certificate, purpose, host string) {
	t.Helper()
	if out, err := o.verify(t, cert, root, purpose, host); err != nil {
		t.Errorf("openssl verify for %s and %q: %v\n%s", purpose, host, err, out)
	}
}

func (o opensslProgram) wantRefused(t *testing.T, cert, root *x509.Certificate, purpose, host, why string) {
	t.Helper()
	if out, err := o.verify(t, cert, root, purpose, host); err == nil || !strings.Contains(out, why) {
		t.Errorf("openssl verify for %s and %q: %v, want %q\n%s", purpose, host, err, why, out)
	}
}

func TestInteropOpenSSLVerify(t *testing.T) {
	o := openssl(t)
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, of := range keyTypes {
		ca := makeCA(t, tlsutil.Authority{Key: of})
		root := ca.Certificate.Leaf
		o.wantVerified(t, root, root, "any", "")
		for _, typ := range keyTypes {
			t.Run(of.String()+" signs "+typ.String(), func(t *testing.T) {
				both := makeLeaf(t, ca, tlsutil.Leaf{Hosts: hosts, Key: typ}).Leaf
				for _, host := range hosts {
					o.wantVerified(t, both, root, "sslserver", host)
				}
				o.wantVerified(t, both, root, "sslclient", "")
				o.wantRefused(t, both, root, "sslserver", "example.com", "hostname mismatch")
				const unsuitable = "unsuitable certificate purpose"
				server := makeLeaf(t, ca, tlsutil.Leaf{Hosts: hosts, Key: typ, Server: true}).Leaf
				o.wantVerified(t, server, root, "sslserver", "localhost")
				o.wantRefused(t, server, root, "sslclient", "", unsuitable)
				client := makeLeaf(t, ca, tlsutil.Leaf{Client: true, Key: typ}).Leaf
				o.wantVerified(t, client, root, "sslclient", "")
				o.wantRefused(t, client, root, "sslserver", "", unsuitable)
				other := makeCA(t, tlsutil.Authority{Key: of}).Certificate.Leaf
				o.wantRefused(t, both, other, "sslserver", "", "unable to get local issuer certificate")
			})
		}
	}
}

// Names that make a difference to it.
func TestInteropOpenSSLNames(t *testing.T) {
	o := openssl(t)
	long := strings.Repeat("a", 60) + ".example"
	for _, leaf := range []tlsutil.Leaf{
		{Hosts: []string{long}}, // whose subject is empty
		{Hosts: []string{"localhost"}, Name: "netparts CA"},
		{Hosts: []string{"localhost"}, Name: "Älice, Ltd."},
		{Hosts: []string{"_a.example.com", "xn--bcher-kva.example"}},
	} {
		root := makeCA(t, tlsutil.Authority{})
		cert := makeLeaf(t, root, leaf).Leaf
		o.wantVerified(t, cert, root.Certificate.Leaf, "sslserver", leaf.Hosts[0])
	}
	root := makeCA(t, tlsutil.Authority{})
	cert := makeLeaf(t, root, tlsutil.Leaf{Hosts: []string{"*.example.com"}}).Leaf
	o.wantVerified(t, cert, root.Certificate.Leaf, "sslserver", "any.example.com")
}

func TestInteropOpenSSLSelfSigned(t *testing.T) {
	o := openssl(t)
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			cert := makeSelfSigned(t, tlsutil.Leaf{Hosts: []string{"localhost"}, Key: typ})
			o.wantVerified(t, cert.Leaf, cert.Leaf, "sslserver", "localhost")
			o.wantVerified(t, cert.Leaf, cert.Leaf, "sslclient", "")
			signed := handMade(t, &cert, forHost("localhost"))
			o.wantRefused(t, signed.Leaf, cert.Leaf, "sslserver", "localhost", "invalid CA certificate")
		})
	}
}

func TestInteropOpenSSLConstraints(t *testing.T) {
	o := openssl(t)
	for _, tt := range constraintTests {
		t.Run(tt.name, func(t *testing.T) {
			ca := makeCA(t, tt.authority)
			root := ca.Certificate.Leaf
			o.wantVerified(t, root, root, "any", "")
			for _, host := range tt.accept {
				o.wantVerified(t, makeLeaf(t, ca, tlsutil.Leaf{Hosts: []string{host}}).Leaf, root, "sslserver", "")
			}
			o.wantVerified(t, makeLeaf(t, ca, tlsutil.Leaf{Client: true}).Leaf, root, "sslclient", "")
			for _, host := range tt.refused {
				byHand := handMade(t, &ca.Certificate, forHost(host)).Leaf
				o.wantRefused(t, byHand, root, "sslserver", "", "subtree violation")
			}
		})
	}
}

// It applies the constraints to common names, and so does Issue.
func TestInteropOpenSSLConstraintsOnCommonNames(t *testing.T) {
	o := openssl(t)
	names := makeCA(t, tlsutil.Authority{PermittedDNS: []string{"example.com"}})
	root := names.Certificate.Leaf
	for _, name := range []string{"alice", "example.com", "Alice.Example.com"} {
		o.wantVerified(t, makeLeaf(t, names, tlsutil.Leaf{Client: true, Name: name}).Leaf, root, "sslclient", "")
	}
	byHand := handMade(t, &names.Certificate, func(c *x509.Certificate) { c.Subject.CommonName = "alice.example.org" }).Leaf
	o.wantRefused(t, byHand, root, "sslclient", "", "permitted subtree violation")
	addresses := makeCA(t, tlsutil.Authority{PermittedIPs: prefixes("127.0.0.0/8")})
	byHand = handMade(t, &addresses.Certificate, func(c *x509.Certificate) {
		forHost("127.0.0.1")(c)
		c.Subject.CommonName = "127.0.0.1"
	}).Leaf
	o.wantRefused(t, byHand, addresses.Certificate.Leaf, "sslclient", "", "excluded subtree violation")
}

func TestInteropOpenSSLPin(t *testing.T) {
	o := openssl(t)
	for _, typ := range keyTypes {
		cert := makeSelfSigned(t, tlsutil.Leaf{Hosts: []string{"localhost"}, Key: typ}).Leaf
		key := o.want(t, inPEM(cert.Raw), "x509", "-pubkey", "-noout")
		der := o.want(t, key, "pkey", "-pubin", "-outform", "der")
		hash := o.want(t, der, "dgst", "-sha256", "-binary")
		text := strings.TrimSpace(o.want(t, hash, "base64"))
		if got := tlsutil.PinOf(cert); got.String() != "sha256:"+text {
			t.Errorf("PinOf = %v, and openssl says %s", got, text)
		}
		pin, err := tlsutil.ParsePin("sha256//" + text)
		if pin != tlsutil.PinOf(cert) || err != nil {
			t.Errorf("ParsePin = %v, %v", pin, err)
		}
	}
}

func TestInteropOpenSSLReadsFiles(t *testing.T) {
	o := openssl(t)
	for _, typ := range keyTypes {
		certFile, keyFile := writePair(t, t.TempDir(), makeSelfSigned(t, tlsutil.Leaf{Hosts: []string{"localhost"}, Key: typ}))
		inCert := o.want(t, "", "x509", "-in", certFile, "-pubkey", "-noout")
		if ofKey := o.want(t, "", "pkey", "-in", keyFile, "-check", "-pubout"); !strings.Contains(ofKey, inCert) {
			t.Errorf("the key is\n%s\nwant\n%s", ofKey, inCert)
		}
	}
}

// What it makes is an authority of ours, with the parameters of the curve before the
// key, and with RSA.
func TestInteropOpenSSLMakesAuthority(t *testing.T) {
	o := openssl(t)
	keyFile, certFile := filepath.Join(o.folder, "key.pem"), filepath.Join(o.folder, "cert.pem")
	for name, args := range map[string][]string{
		"SEC 1":   {"ecparam", "-name", "prime256v1", "-genkey", "-out", keyFile},
		"Ed25519": {"genpkey", "-algorithm", "ed25519", "-out", keyFile},
		"RSA":     {"genpkey", "-algorithm", "rsa", "-out", keyFile},
		"PKCS #1": {"genrsa", "-traditional", "-out", keyFile, "2048"},
	} {
		t.Run(name, func(t *testing.T) {
			o.want(t, "", args...)
			o.want(t, "", "req", "-x509", "-new", "-key", keyFile, "-subj", "/O=Example/CN=Root", "-days", "2",
				"-addext", "keyUsage=critical,keyCertSign", "-out", certFile)
			ca, err := tlsutil.LoadCA(certFile, keyFile)
			noError(t, err)
			cert := makeLeaf(t, ca, localhost).Leaf
			o.wantVerified(t, cert, ca.Certificate.Leaf, "sslserver", "localhost")
			noError(t, verify(cert, ca.Pool(), "localhost"))
			described := o.want(t, "", "x509", "-in", certFile, "-text")
			pool, err := tlsutil.LoadPool(writeText(t, described+described))
			noError(t, err)
			if !pool.Equal(ca.Pool()) {
				t.Error("the pool does not hold the authority alone")
			}
		})
	}
}
