package tlsutil_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// What WriteFiles has written LoadCA reads.
func TestLoadCA(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			made := makeCA(t, tlsutil.Authority{Key: typ, PermittedDNS: []string{"localhost"}})
			ca, err := tlsutil.LoadCA(writePair(t, t.TempDir(), made.Certificate))
			noError(t, err)
			if !ca.Certificate.Leaf.Equal(made.Certificate.Leaf) || !ca.Pool().Equal(made.Pool()) {
				t.Error("it is another authority")
			}
			leaf := makeLeaf(t, ca, localhost)
			if len(leaf.Certificate) != 1 {
				t.Errorf("it holds %d certificates", len(leaf.Certificate))
			}
			noError(t, verify(leaf.Leaf, made.Pool(), "localhost"))
			_, err = ca.Issue(tlsutil.Leaf{Hosts: []string{"example.com"}})
			wantError(t, err, "example.com")
		})
	}
	t.Run("of one file", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "both.pem")
		noError(t, tlsutil.WriteFiles(makeCA(t, tlsutil.Authority{}).Certificate, name, name))
		_, err := tlsutil.LoadCA(name, name)
		noError(t, err)
	})
}

// Authorities that others have made have other keys, in other forms.
func TestLoadCAOfOthers(t *testing.T) {
	curve := makeSelfSigned(t, localhost).PrivateKey.(*ecdsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(curve)
	noError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	noError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	noError(t, err)
	certFile := filepath.Join(t.TempDir(), "cert.pem")
	for _, tt := range []struct {
		name, typ string
		der       []byte
	}{
		{"RSA, PKCS #1", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)},
		{"RSA, PKCS #8", "PRIVATE KEY", pkcs8},
		{"SEC 1", "EC PRIVATE KEY", sec1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signer := makeSelfSigned(t, localhost)
			signer.Leaf = nil
			var public any = rsaKey.Public()
			signer.PrivateKey = rsaKey
			if tt.typ == "EC PRIVATE KEY" {
				public, signer.PrivateKey = curve.Public(), curve
			}
			made := handMadeFor(t, &signer, public, asAuthority)
			noError(t, os.WriteFile(certFile, []byte(inPEM(made.Raw)), 0o600))
			ca, err := tlsutil.LoadCA(certFile, writeText(t, string(pem.EncodeToMemory(&pem.Block{Type: tt.typ, Bytes: tt.der}))))
			noError(t, err)
			noError(t, verify(makeLeaf(t, ca, localhost).Leaf, poolOf(made), "localhost"))
		})
	}
}

func TestLoadCAThatFails(t *testing.T) {
	folder := t.TempDir()
	ca := makeCA(t, tlsutil.Authority{})
	certFile, keyFile := writePair(t, folder, ca.Certificate)
	_, otherKey := writePair(t, t.TempDir(), makeCA(t, tlsutil.Authority{}).Certificate)
	leafFile, leafKey := writePair(t, t.TempDir(), makeLeaf(t, ca, localhost))
	selfFile, selfKey := writePair(t, t.TempDir(), makeSelfSigned(t, localhost))
	key := readText(t, keyFile)
	torn := writeText(t, key[:len(key)/2])
	damaged := writeText(t, strings.Replace(key, "A", "B", 5))
	tests := []struct{ name, cert, key, want string }{
		{"no certificate", filepath.Join(folder, "none"), keyFile, "none"},
		{"no key", certFile, filepath.Join(folder, "none"), "none"},
		{"a folder", certFile, folder, "not a regular file"},
		{"another's key", certFile, otherKey, otherKey + ": not the key of the first certificate in " + certFile},
		{"a leaf", leafFile, leafKey, "not one of an authority"},
		{"a self-signed leaf", selfFile, selfKey, "not one of an authority"},
		{"one for the other", keyFile, certFile, "tls"},
		{"half a key", certFile, torn, torn},
		{"a damaged key", certFile, damaged, damaged},
		{"a large key", certFile, writeText(t, key+strings.Repeat("\n", 1<<20)), "more than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ca, err := tlsutil.LoadCA(tt.cert, tt.key)
			wantError(t, err, tt.want)
			wantNoSecret(t, key, err.Error())
			if ca != nil {
				t.Error("there is an authority besides")
			}
		})
	}
}
