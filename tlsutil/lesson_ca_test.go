package tlsutil_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// These tests have the names of what goes wrong with the certificate generator of
// the book Network Programming with Go.

// A key in PKCS #8 stood in a block called "EC PRIVATE KEY", which is that of SEC 1.
func TestKeyTypeLabel(t *testing.T) {
	_, key := encoded(t, makeSelfSigned(t, localhost))
	if !strings.HasPrefix(key, "-----BEGIN PRIVATE KEY-----\n") || !strings.HasSuffix(key, "\n-----END PRIVATE KEY-----\n") {
		t.Errorf("the block begins with %.30q", key)
	}
}

// The mode was that of a new file only: an older one that all may read stayed so.
func TestOldWideKeyFileKeepsItsMode(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "key.pem")
	noError(t, os.WriteFile(name, []byte("old"), 0o644))
	noError(t, os.Chmod(name, 0o644))
	old, err := os.Open(name)
	noError(t, err)
	if runtime.GOOS == "windows" {
		noError(t, old.Close()) // an open file is not replaced there
	}
	defer old.Close()
	writePair(t, folder, makeSelfSigned(t, localhost))
	info, err := os.Stat(name)
	noError(t, err)
	if got := info.Mode().Perm(); got != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the key's file has mode %v", got)
	}
	if runtime.GOOS == "windows" {
		return
	}
	// Who had it open reads the old file.
	b := make([]byte, 100)
	if n, err := old.Read(b); string(b[:n]) != "old" {
		t.Errorf("the older file holds %q, %v", b[:n], err)
	}
}

// The second of "a, b" was the name " b", which no client dials.
func TestNamesThatAreNotTrimmed(t *testing.T) {
	_, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: strings.Split("a, b", ",")})
	wantError(t, err, `" b"`, "space")
}

// Who had the key of a certificate that a peer trusts could sign others for any name.
func TestSelfSignedThatAreAuthorities(t *testing.T) {
	cert := makeSelfSigned(t, localhost)
	if c := cert.Leaf; c.IsCA || !c.BasicConstraintsValid || c.KeyUsage&x509.KeyUsageCertSign != 0 {
		t.Errorf("authority: %v, usage %b", c.IsCA, c.KeyUsage)
	}
	_, err := (&tlsutil.CA{Certificate: cert}).Issue(localhost)
	wantError(t, err, "not one of an authority")
	forged := handMade(t, &cert, forHost("bank.example"))
	if err := verify(forged.Leaf, poolOf(cert.Leaf), "bank.example"); err == nil {
		t.Error("a certificate that its key has signed is valid")
	}
}
