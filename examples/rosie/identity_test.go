package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// The pair is made at the first start, and used at the next ones.
func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "identity")
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	d := startDaemon(t, "-self-signed", dir)
	add(t, connect(t, d.Addr, cert, nil), "a")
	d.End(t)
	made, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := made.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if left := time.Until(made.Leaf.NotAfter); left < lifetime-time.Hour || left > lifetime {
		t.Errorf("it is valid for %v", left)
	}
	if info, err := os.Stat(key); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}

	if info, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	d = startDaemon(t, "-self-signed", dir)
	connect(t, d.Addr, cert, nil)
	d.End(t)
	if again, err := tls.LoadX509KeyPair(cert, key); err != nil || !again.Leaf.Equal(made.Leaf) {
		t.Errorf("another pair is there: %v", err)
	}
}

// The certificate is for the host of the address, if it tells one.
func TestHost(t *testing.T) {
	for address, want := range map[string]string{
		"localhost:34443":      "localhost",
		"rosie.example:1":      "rosie.example",
		"rosie.example.:1":     "rosie.example",
		"192.0.2.1:1":          "192.0.2.1",
		"[2001:db8::1]:1":      "2001:db8::1",
		"[fe80::1%eth0]:34443": "fe80::1",
		":34443":               "",
		"0.0.0.0:34443":        "",
		"[::]:34443":           "",
	} {
		c := config{address: address, selfSigned: filepath.Join(t.TempDir(), "d")}
		c.cert, c.key = filepath.Join(c.selfSigned, "cert.pem"), filepath.Join(c.selfSigned, "key.pem")
		if got := c.host(); got != want {
			t.Errorf("%s: the host is %q, want %q", address, got, want)
		}
		for range 2 { // what is made must do the next time
			if err := c.makePair(); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
}

// What is there and does not fit is told, and never overwritten.
func TestSelfSignedOverOtherFiles(t *testing.T) {
	write := func(leaf tlsutil.Leaf) func(t *testing.T, cert, key string) {
		return func(t *testing.T, cert, key string) {
			t.Helper()
			pair, err := tlsutil.SelfSigned(leaf)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlsutil.WriteFiles(pair, cert, key); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(t *testing.T, file string) {
		t.Helper()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, want string
		prepare    func(t *testing.T, cert, key string)
	}{
		{"key alone", "cert.pem", func(t *testing.T, cert, key string) {
			write(forServer)(t, cert, key)
			remove(t, cert)
		}},
		{"certificate alone", "key.pem", func(t *testing.T, cert, key string) {
			write(forServer)(t, cert, key)
			remove(t, key)
		}},
		{"pair that does not fit", "not the key", func(t *testing.T, cert, key string) {
			write(forServer)(t, cert, key)
			write(forServer)(t, cert, key+".other")
			remove(t, key+".other")
		}},
		{"other host", "is not for 127.0.0.1", write(tlsutil.Leaf{Hosts: []string{"localhost"}, Server: true})},
		{"expired", "expired", write(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true, Lifetime: time.Nanosecond})},
		{"no PEM", "cert.pem", func(t *testing.T, cert, key string) {
			write(forServer)(t, cert, key)
			if err := os.WriteFile(cert, []byte("no PEM"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.prepare(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
			before := snapshot(t, dir)
			fails(t, tt.want, "-address", "127.0.0.1:0", "-self-signed", dir)
			if after := snapshot(t, dir); after != before {
				t.Errorf("the files were\n%sand are\n%s", before, after)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, file, "-address", "127.0.0.1:0", "-self-signed", file)
}

// A link that leads nowhere is somebody's, too.
func TestSelfSignedOverALink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	dir := t.TempDir()
	if err := os.Symlink("none.pem", filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	fails(t, "cert.pem", "-address", "127.0.0.1:0", "-self-signed", dir)
	if to, err := os.Readlink(filepath.Join(dir, "key.pem")); err != nil || to != "none.pem" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

// snapshot returns the names and the contents of the files in a folder.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(e.Name() + "\n" + string(b))
	}
	return all.String()
}

// The second line is what clients pin.
func TestPin(t *testing.T) {
	id := selfSigned(t, forServer)
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"-address", "127.0.0.1:0", "-cert", id.cert, "-key", id.key}, w, &stderr)
		w.Close()
	}()
	lines := bufio.NewReader(r)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	line, err := lines.ReadString('\n')
	if want := "pin " + tlsutil.PinOf(id.Leaf).String() + "\n"; line != want || err != nil {
		t.Errorf("the second line is %q, %v, want %q", line, err, want)
	}
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d, stderr %q", status, &stderr)
	}
}

// With -client-ca only those are served who show a certificate that comes from it.
func TestClientCA(t *testing.T) {
	server, client, stranger := selfSigned(t, forServer), selfSigned(t, forClient), selfSigned(t, forClient)
	d := startDaemon(t, "-cert", server.cert, "-key", server.key, "-client-ca", client.cert)
	add(t, connect(t, d.Addr, server.cert, client), "a")
	if _, err := dial(t, d.Addr, server.cert, nil); !errors.Is(tlsutil.Explain(err), tlsutil.ErrNoClientCert) {
		t.Errorf("a client without a certificate: %v", err)
	}
	if _, err := dial(t, d.Addr, server.cert, stranger); !errors.Is(tlsutil.Explain(err), tlsutil.ErrUnknownAuthority) {
		t.Errorf("a client with another certificate: %v", err)
	}
	d.End(t)
}

// until calls f until it reports true.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); !f(); <-again.C {
		if time.Since(begin) > limit {
			t.Fatalf("%s: waited for %v", what, limit)
		}
	}
}

// A certificate that was renewed is shown by the same process, and clients that are
// connected go on.
func TestRenewal(t *testing.T) {
	id := selfSigned(t, forServer)
	d := startDaemon(t, "-cert", id.cert, "-key", id.key, "-reload", "10ms")
	before := connect(t, d.Addr, id.cert, nil)
	add(t, before, "a")
	id.renew(t, forServer)
	until(t, "the renewed certificate", func() bool {
		client, err := dial(t, d.Addr, id.cert, nil)
		if err == nil {
			wantList(t, client, "a")
		}
		return err == nil
	})
	wantList(t, before, "a")
	d.End(t)
	if log := d.Stderr.String(); !strings.Contains(log, "files are in use") {
		t.Errorf("the log is\n%s", log)
	}
}
