package tlsutil_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// A fault is a way in which one file of a set is of no use, and what is said of it.
type fault struct {
	name  string
	spoil func(t *testing.T, name string, data []byte)
	want  string
}

var faults = []fault{
	{"deleted", func(t *testing.T, name string, _ []byte) { noError(t, os.Remove(name)) }, "no such file"},
	{"a folder", func(t *testing.T, name string, _ []byte) {
		noError(t, os.Remove(name))
		noError(t, os.Mkdir(name, 0o700))
	}, "not a regular file"},
	{"empty", func(t *testing.T, name string, _ []byte) { overwrite(t, name, nil) }, "tlsutil: "},
	{"2 MiB", func(t *testing.T, name string, data []byte) {
		overwrite(t, name, append(bytes.Repeat([]byte("#\n"), 1<<20), data...))
	}, "more than 1048576 bytes"},
	{"text", func(t *testing.T, name string, _ []byte) { overwrite(t, name, []byte("to be replaced\n")) }, "tlsutil: "},
	{"binary", func(t *testing.T, name string, _ []byte) { overwrite(t, name, []byte{0x30, 0x82, 1, 2}) }, "tlsutil: "},
	{"half", func(t *testing.T, name string, data []byte) { overwrite(t, name, data[:len(data)/2]) }, "amaged"},
	{"without its end", func(t *testing.T, name string, data []byte) { overwrite(t, name, data[:len(data)-10]) }, "amaged"},
	{"without its begin", func(t *testing.T, name string, data []byte) { overwrite(t, name, data[10:]) }, "amaged"},
	{"damaged DER", func(t *testing.T, name string, data []byte) {
		block, _ := pem.Decode(data)
		block.Bytes[1] ^= 1
		overwrite(t, name, pem.EncodeToMemory(block))
	}, "damaged"},
	{"another's", func(t *testing.T, name string, data []byte) {
		block, _ := pem.Decode(data)
		block.Type = "OTHER"
		overwrite(t, name, pem.EncodeToMemory(block))
	}, "tlsutil: "},
}

func TestUnusableFile(t *testing.T) { testFaults(t, faults) }

// testFaults checks that whatever becomes of a file is reported once with its name, that
// what was in use stays so, and that all is well when the file is back.
func testFaults(t *testing.T, faults []fault) {
	t.Helper()
	for _, tt := range faults {
		for _, file := range []string{"cert.pem", "key.pem", "roots.pem"} {
			t.Run(tt.name+"/"+file, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { tt.test(t, file) })
			})
		}
	}
}

func (tt fault) test(t *testing.T, file string) {
	t.Helper()
	var told reports
	g, next := newGeneration(t, "first"), newGeneration(t, "next")
	f := g.inFolder(t)
	f.OnReload, f.Interval = told.add, 15*time.Second
	w := watchFiles(t, f)
	first := w.Current()
	name, data := f.Cert, g.cert
	switch file {
	case "key.pem":
		name, data = f.Key, g.key
	case "roots.pem":
		name, data = f.Roots, g.roots
	}
	tt.spoil(t, name, data)
	later(time.Minute)
	if told.list == nil || !strings.Contains(told.list[0].Error(), file) {
		t.Errorf("reported %q, without %s", told.list, file)
	}
	told.want(t, tt.want)
	if w.Current() != first {
		t.Error("what is in use has changed")
	}
	if err := w.Reload(); err == nil || !strings.Contains(err.Error(), tt.want) {
		t.Errorf("Reload: %v, want %q", err, tt.want)
	}
	told.want(t)
	if again, err := tlsutil.WatchFiles(f); err == nil {
		again.Close()
		t.Error("WatchFiles takes it")
	}

	noError(t, os.RemoveAll(name))
	overwrite(t, name, data)
	later(time.Minute)
	told.want(t, "")
	if w.Current() != first {
		t.Error("what is in use has changed with the old content")
	}
	next.writeInto(t, f)
	later(time.Minute)
	told.want(t, "")
	wantCurrent(t, w, next)
}

// What is wrong is told when it becomes another thing, and a set that is written again
// as it was is nothing new.
func TestEachProblemOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		var log bytes.Buffer
		g, other, third := newGeneration(t, "first"), newGeneration(t, "other"), newGeneration(t, "third")
		f := g.inFolder(t)
		f.OnReload = told.add
		f.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w := watchFiles(t, f)
		for range 3 {
			g.writeInto(t, f)
			later(time.Minute)
		}
		told.want(t)
		for range 3 {
			overwrite(t, f.Key, other.key)
			later(time.Minute)
		}
		told.want(t, "not the key")
		overwrite(t, f.Key, third.key) // another set with the same fault
		later(time.Minute)
		told.want(t, "not the key")
		overwrite(t, f.Key, nil)
		later(time.Minute)
		told.want(t, "no private key")
		wantCurrent(t, w, g)
		overwrite(t, f.Cert, other.cert)
		overwrite(t, f.Key, other.key)
		later(time.Minute)
		told.want(t, "")
		wantCurrent(t, w, other)
		for _, part := range []string{
			"level=ERROR msg=\"files cannot be used\" error=\"tlsutil: " + f.Key + ": not the key",
			"error=\"tlsutil: " + f.Key + ": no private key\"",
			"level=INFO msg=\"files are in use\" cert=" + f.Cert + " key=" + f.Key + " roots=" + f.Roots,
		} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("no %q in the log", part)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 4 {
			t.Errorf("%d records:\n%s", n, &log)
		}
	})
}

// A certificate that is not yet valid is reported once, and comes into use when its
// time has come. The one in use stays when it expires, as there is no better.
func TestValidity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		begin := time.Now()
		g := validFor(t, begin, begin.Add(time.Hour))
		f := g.inFolder(t)
		f.OnReload = told.add
		w := watchFiles(t, f)
		next := validFor(t, begin.Add(30*time.Minute), begin.Add(2*time.Hour))
		next.writeInto(t, f)
		later(30*time.Minute - time.Second)
		wantCurrent(t, w, g)
		told.want(t, "cert.pem begins at 2000-01-01T00:30:00Z")
		later(10 * time.Second)
		wantCurrent(t, w, next)
		told.want(t, "")

		later(2 * time.Hour)
		noError(t, w.Reload())
		noError(t, os.Rename(f.Key, f.Key+".old"))
		later(time.Minute)
		told.want(t, "no such file")
		noError(t, os.Rename(f.Key+".old", f.Key))
		later(time.Minute)
		told.want(t, "")
		wantCurrent(t, w, next)

		validFor(t, begin, begin.Add(time.Hour)).writeInto(t, f)
		later(time.Minute)
		wantCurrent(t, w, next)
		told.want(t, "cert.pem ended at 2000-01-01T01:00:00Z")
	})
}

// Files that are never the same twice are one problem, not one for each reading.
func TestFilesKeepChanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		g, next := newGeneration(t, "first"), newGeneration(t, "next")
		f := g.inFolder(t)
		f.OnReload = told.add
		w := watchFiles(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		written := make(chan struct{})
		go func() {
			defer close(written)
			time.Sleep(50 * time.Millisecond) // never at the moment of a reading
			for i := 0; ctx.Err() == nil; i++ {
				overwrite(t, f.Cert, fmt.Appendf(slices.Clone(next.cert), "%d", i))
				time.Sleep(200 * time.Millisecond) // of the bubble
			}
		}()
		later(time.Minute)
		told.want(t, "change while they are read")
		wantCurrent(t, w, g)
		cancel()
		<-written
		next.writeInto(t, f)
		later(time.Minute)
		told.want(t, "")
		wantCurrent(t, w, next)
	})
}

// A chain of which one certificate is damaged is none: crypto/tls would leave it out.
func TestDamagedChain(t *testing.T) {
	g := newGeneration(t, "server")
	between := g.roots
	for name, damage := range map[string]func([]byte) []byte{
		"base 64": func(b []byte) []byte { b[100] = '*'; return b },
		"end":     func(b []byte) []byte { return bytes.Replace(b, []byte("-----END"), []byte("-----ENT"), 1) },
		"DER":     func(b []byte) []byte { block, _ := pem.Decode(b); return pemBlock("CERTIFICATE", block.Bytes[1:]) },
	} {
		for place, cert := range map[string][]byte{
			"last":   slices.Concat(g.cert, damage(slices.Clone(between))),
			"first":  slices.Concat(damage(slices.Clone(g.cert)), between),
			"middle": slices.Concat(g.cert, damage(slices.Clone(between)), between),
		} {
			w, err := tlsutil.WatchFiles(generation{cert: cert, key: g.key}.inFolder(t))
			if err == nil {
				w.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "amaged") {
				t.Errorf("damaged %s, %s: %v", name, place, err)
			}
		}
	}
}

// Keys come in several forms.
func TestFormsOfKeys(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	noError(t, err)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	noError(t, err)
	sec1, err := x509.MarshalECPrivateKey(p256)
	noError(t, err)
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	noError(t, err)
	encrypted := &pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: sec1}
	for _, tt := range []struct {
		name string
		key  crypto.Signer
		file []byte
		want string // of the error
	}{
		{"PKCS #8, P-256", p256, pemKey(t, p256), ""},
		{"PKCS #8, Ed25519", edwards, pemKey(t, edwards), ""},
		{"PKCS #8, RSA", old, pemKey(t, old), ""},
		{"PKCS #1", old, pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(old)), ""},
		{"SEC 1", p256, pemBlock("EC PRIVATE KEY", sec1), ""},
		{"behind parameters", p256, slices.Concat(pemBlock("EC PARAMETERS", []byte{6, 0}), pemBlock("EC PRIVATE KEY", sec1)), ""},
		{"of another kind", p256, pemKey(t, edwards), "not the key of"},
		{"two", p256, slices.Concat(pemKey(t, p256), pemKey(t, p256)), "more than one private key"},
		{"encrypted, PKCS #8", p256, pemBlock("ENCRYPTED PRIVATE KEY", sec1), "encrypted"},
		{"encrypted, header", p256, pem.EncodeToMemory(encrypted), "encrypted"},
		{"for key exchange", p256, pemKey(t, exchange), "cannot sign"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			g := generation{cert: selfSigned(t, tt.key, now.Add(-time.Hour), now.Add(time.Hour)), key: tt.file}
			w, err := tlsutil.WatchFiles(g.inFolder(t))
			if err == nil {
				wantCurrent(t, w, g)
				noError(t, w.Close())
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
