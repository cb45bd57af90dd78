package tlsutil_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// encoded returns what WriteFiles writes of a certificate.
func encoded(tb testing.TB, cert tls.Certificate) (certPEM, keyPEM string) {
	tb.Helper()
	certFile, keyFile := writePair(tb, tb.TempDir(), cert)
	return readText(tb, certFile), readText(tb, keyFile)
}

// writePair writes cert.pem and key.pem in a folder.
func writePair(tb testing.TB, folder string, cert tls.Certificate) (certFile, keyFile string) {
	tb.Helper()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	noError(tb, tlsutil.WriteFiles(cert, certFile, keyFile))
	return certFile, keyFile
}

func readText(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(name)
	noError(tb, err)
	return string(b)
}

// wantEntries makes sure of what a folder holds, temporary files among it.
func wantEntries(tb testing.TB, folder string, want ...string) {
	tb.Helper()
	var got []string
	entries, err := os.ReadDir(folder)
	noError(tb, err)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		tb.Errorf("the folder holds %q, want %q", got, want)
	}
}

// wantNoSecret makes sure that a text holds no line of a key.
func wantNoSecret(tb testing.TB, keyPEM, text string) {
	tb.Helper()
	for line := range strings.Lines(keyPEM) {
		if strings.Contains(text, strings.TrimSpace(line)) {
			tb.Errorf("%q holds a line of the key", text)
		}
	}
}

// wantPair makes sure that files hold a certificate and its key.
func wantPair(tb testing.TB, want tls.Certificate, certFile, keyFile string) {
	tb.Helper()
	got, err := tls.LoadX509KeyPair(certFile, keyFile)
	noError(tb, err)
	if !slices.EqualFunc(got.Certificate, want.Certificate, bytes.Equal) {
		tb.Errorf("%s holds %d other certificates", certFile, len(got.Certificate))
	}
	if key, ok := got.PrivateKey.(interface{ Equal(crypto.PrivateKey) bool }); !ok || !key.Equal(want.PrivateKey) {
		tb.Errorf("%s holds another key", keyFile)
	}
}

func TestWriteFiles(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			folder := t.TempDir()
			ca := makeCA(t, tlsutil.Authority{Key: typ})
			cert := makeLeaf(t, ca, tlsutil.Leaf{Hosts: []string{"localhost"}, Key: typ})
			cert.Certificate = append(cert.Certificate, ca.Certificate.Certificate[0])
			certFile, keyFile := writePair(t, folder, cert)
			wantPair(t, cert, certFile, keyFile)
			wantEntries(t, folder, "cert.pem", "key.pem")
			if got, want := readText(t, certFile), inPEM(cert.Certificate...); got != want {
				t.Errorf("%s holds\n%swant\n%s", certFile, got, want)
			}
			block, rest := pem.Decode([]byte(readText(t, keyFile)))
			if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
				t.Fatalf("the key is in a block %+v, with %d bytes behind it", block, len(rest))
			}
			_, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			noError(t, err)
		})
	}
}

// Where both names are those of one file, it holds both.
func TestWriteFilesToOneFile(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for _, name := range []string{"both.pem", "./both.pem", filepath.Join(folder, "both.pem"), "none/../both.pem"} {
		cert := makeSelfSigned(t, localhost)
		noError(t, tlsutil.WriteFiles(cert, name, "both.pem"))
		wantPair(t, cert, "both.pem", "both.pem")
		wantEntries(t, folder, "both.pem")
	}
	noError(t, os.Mkdir("other", 0o700))
	cert := makeSelfSigned(t, localhost)
	noError(t, tlsutil.WriteFiles(cert, "both.pem", "other/both.pem"))
	wantPair(t, cert, "both.pem", "other/both.pem")
}

// A second file that cannot be written leaves the first as it was, and nothing
// behind.
func TestWriteFilesThatFails(t *testing.T) {
	old, cert := makeSelfSigned(t, localhost), makeSelfSigned(t, localhost)
	_, keyPEM := encoded(t, cert)
	tests := []struct{ name, certFile, keyFile, want string }{
		{"no folder for the key", "cert.pem", "none/key.pem", "none"},
		{"no folder for the certificate", "none/cert.pem", "key.pem", "none"},
		{"the key's is a folder", "cert.pem", "folder", "not a regular file"},
		{"the certificate's is a folder", "folder", "key.pem", "not a regular file"},
		{"the key's is a folder, with a slash", "cert.pem", "folder/", "not a regular file"},
		{"a slash behind", "cert.pem", "key.pem/", "key.pem"},
		{"a file for a folder", "cert.pem", "cert.pem/key.pem", "cert.pem"},
		{"no name for the key", "cert.pem", "", "without a name"},
		{"no name for the certificate", "", "key.pem", "without a name"},
		{"a name that is too long", "cert.pem", strings.Repeat("k", 1000), "kkk"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			noError(t, os.Mkdir("folder", 0o700))
			writePair(t, ".", old)
			err := tlsutil.WriteFiles(cert, tt.certFile, tt.keyFile)
			wantError(t, err, tt.want)
			wantNoSecret(t, keyPEM, err.Error())
			wantPair(t, old, "cert.pem", "key.pem")
			wantEntries(t, ".", "cert.pem", "folder", "key.pem")
			wantEntries(t, "folder")
		})
	}
}

// A signer is a key that cannot be written, as of a module that does not give it away.
type signer struct{ crypto.Signer }

func TestWriteFilesOfNoPair(t *testing.T) {
	good, other := makeSelfSigned(t, localhost), makeSelfSigned(t, localhost)
	tests := []struct {
		name string
		cert tls.Certificate
		want string
	}{
		{"nothing", tls.Certificate{}, "none"},
		{"no key", tls.Certificate{Certificate: good.Certificate}, "not that of the certificate"},
		{"another's key", tls.Certificate{Certificate: good.Certificate, PrivateKey: other.PrivateKey}, "not that of the certificate"},
		{"no certificate", tls.Certificate{Certificate: [][]byte{{1}}, PrivateKey: good.PrivateKey}, "x509"},
		{"a key elsewhere", tls.Certificate{Certificate: good.Certificate, PrivateKey: signer{good.PrivateKey.(crypto.Signer)}}, "x509"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			wantError(t, tlsutil.WriteFiles(tt.cert, filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")), tt.want)
			wantEntries(t, folder)
		})
	}
}
