package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

// secretive serves a list that must not be shown to a client that does not trust the
// server or is not trusted by it, and returns the flags that lead there.
func secretive(t *testing.T, server, client *identity) (flags []string) {
	t.Helper()
	store := new(housework.MemoryStore)
	if _, err := store.Add(t.Context(), "", []housework.Chore{{Description: "secret"}}); err != nil {
		t.Fatal(err)
	}
	// A refusal must come at once, long before this.
	return []string{"-timeout", "60s", "-address", serve(t, store, server, client)}
}

func TestServersThatAreNotTrusted(t *testing.T) {
	server, other := selfSigned(t, forServer), selfSigned(t, forServer)
	flags := secretive(t, server, nil)
	mismatch := "no pinned key in the chain: the server's is " + server.pin()
	for _, tt := range []struct {
		name, want string
		flags      []string
	}{
		{"wrong pin", mismatch, []string{"-pin", other.pin()}},
		{"wrong certificate", "unknown authority", []string{"-ca-cert", other.cert}},
		{"certificate with the wrong pin", mismatch, []string{"-ca-cert", server.cert, "-pin", other.pin()}},
		{"pin with the wrong certificate", "unknown authority", []string{"-ca-cert", other.cert, "-pin", server.pin()}},
		{"the system's authorities", "certificate", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begin := time.Now()
			fails(t, tt.want, slices.Concat(flags, tt.flags)...)
			fails(t, tt.want, slices.Concat(flags, tt.flags, []string{"add", "a"})...)
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("told after %v", took)
			}
		})
	}
	prints(t, head+"1\t[ ]\tsecret\n", append(flags, "-ca-cert", server.cert)...)
}

// With the pin alone neither name nor time count, with the certificate they do.
func TestPinAlone(t *testing.T) {
	elsewhere := selfSigned(t, tlsutil.Leaf{Hosts: []string{"elsewhere.example"}, Server: true})
	flags := secretive(t, elsewhere, nil)
	prints(t, head+"1\t[ ]\tsecret\n", append(flags, "-pin", elsewhere.pin())...)
	fails(t, "127.0.0.1", append(flags, "-ca-cert", elsewhere.cert)...)
	fails(t, "127.0.0.1", append(flags, "-ca-cert", elsewhere.cert, "-pin", elsewhere.pin())...)

	// The pin of the authority is not that of the server.
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root := &identity{ca.Certificate, filepath.Join(dir, "root.pem"), filepath.Join(dir, "root-key.pem")}
	if err := tlsutil.WriteFiles(root.Certificate, root.cert, root.key); err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue(forServer)
	if err != nil {
		t.Fatal(err)
	}
	issued.Certificate = append(issued.Certificate, root.Certificate.Certificate...) // it shows both
	server := &identity{Certificate: issued}
	flags = secretive(t, server, nil)
	prints(t, head+"1\t[ ]\tsecret\n", append(flags, "-ca-cert", root.cert, "-pin", server.pin())...)
	fails(t, "no pinned key", append(flags, "-ca-cert", root.cert, "-pin", root.pin())...)
	prints(t, head+"1\t[ ]\tsecret\n", append(flags, "-pin", server.pin())...)
	fails(t, "no pinned key", append(flags, "-pin", root.pin())...)
}

// Several certificates are trusted if the file has several.
func TestSeveralCertificates(t *testing.T) {
	server, other := selfSigned(t, forServer), selfSigned(t, forServer)
	var both []byte
	for _, id := range []*identity{other, server} {
		b, err := os.ReadFile(id.cert)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, b...)
	}
	file := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	prints(t, head+"1\t[ ]\tsecret\n", append(secretive(t, server, nil), "-ca-cert", file)...)
}

// A client that the server refuses learns that at once, and why.
func TestClientsThatAreRefused(t *testing.T) {
	server, client, stranger := selfSigned(t, forServer), selfSigned(t, forClient), selfSigned(t, forClient)
	flags := secretive(t, server, client)
	for _, trust := range [][]string{{"-ca-cert", server.cert}, {"-pin", server.pin()}} {
		with := slices.Concat(flags, trust)
		begin := time.Now()
		fails(t, "certificate required", with...)
		fails(t, "unknown certificate authority", append(with, "-cert", stranger.cert, "-key", stranger.key)...)
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("told after %v", took)
		}
		prints(t, head+"1\t[ ]\tsecret\n", append(with, "-cert", client.cert, "-key", client.key)...)
	}
}

// Files that cannot be used are told before anything is sent.
func TestBrokenFiles(t *testing.T) {
	id, other := selfSigned(t, forServer), selfSigned(t, forClient)
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.pem")
	if err := os.WriteFile(broken, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none.pem")
	fails(t, broken, "-ca-cert", broken)
	fails(t, none, "-ca-cert", none)
	fails(t, none, "-cert", none, "-key", none)
	fails(t, "not the key", "-cert", id.cert, "-key", other.key)
}

// A server that is not there, does not answer, or does not speak TLS.
func TestServersThatAreNone(t *testing.T) {
	id := selfSigned(t, forServer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	fails(t, "no answer in time", "-address", addr, "-ca-cert", id.cert, "-timeout", "200ms") // nobody accepts
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fails(t, "refused", "-address", addr, "-ca-cert", id.cert, "-timeout", "60s")

	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("220 mail.example ESMTP\r\n")) // the test fails if it does not arrive
			conn.Close()
		}
	}()
	fails(t, "does not look like a TLS handshake", "-address", l.Addr().String(), "-ca-cert", id.cert, "-timeout", "60s")
}
