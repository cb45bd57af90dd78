package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/tlsutil"
)

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// An identity is the files of one side, and what the other side needs of them.
type identity struct {
	ca              *tlsutil.CA
	cert, key, root string // files
}

// newIdentity writes the files of a server on 127.0.0.1 with an authority of its own.
func newIdentity(t *testing.T) *identity {
	t.Helper()
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := &identity{
		ca:   ca,
		cert: filepath.Join(dir, "cert.pem"),
		key:  filepath.Join(dir, "key.pem"),
		root: filepath.Join(dir, "root.pem"),
	}
	id.renew(t)
	if err := tlsutil.WriteFiles(ca.Certificate, id.root, filepath.Join(dir, "root-key.pem")); err != nil {
		t.Fatal(err)
	}
	return id
}

// renew writes a new certificate and key, and returns the certificate.
func (id *identity) renew(t *testing.T) tls.Certificate {
	t.Helper()
	cert := id.issue(t, tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true})
	if err := tlsutil.WriteFiles(cert, id.cert, id.key); err != nil {
		t.Fatal(err)
	}
	return cert
}

func (id *identity) issue(t *testing.T, leaf tlsutil.Leaf) tls.Certificate {
	t.Helper()
	cert, err := id.ca.Issue(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// start runs the program with the files.
func (id *identity) start(t *testing.T, args ...string) *daemon.Daemon {
	t.Helper()
	return startDaemon(t, "tls", append([]string{"-address", "127.0.0.1:0", "-cert", id.cert, "-key", id.key}, args...)...)
}

// mutual returns the configuration of a client that shows a certificate.
func (id *identity) mutual(t *testing.T, cert tls.Certificate) *tls.Config {
	t.Helper()
	config, err := tlsutil.MutualClient(&tlsutil.Material{Certificate: cert, Roots: id.ca.Pool()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// client returns the configuration of a client that shows none.
func (id *identity) client(t *testing.T) *tls.Config {
	t.Helper()
	config, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: id.ca.Pool()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// dialTLS connects, and gives everything else a deadline.
func dialTLS(t *testing.T, addr string, config *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: limit}, "tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantRefused checks that the server refuses the client, and why.
func wantRefused(t *testing.T, addr string, config *tls.Config, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	conn := dialTLS(t, addr, config)
	if _, err := tlsutil.Confirm(ctx, conn); !errors.Is(err, want) {
		t.Errorf("Confirm = %v, want %v", err, want)
	}
}

// With -clients only those who show a certificate of that authority are served.
func TestClients(t *testing.T) {
	server, clients, strangers := newIdentity(t), newIdentity(t), newIdentity(t)
	d := server.start(t, "-clients", clients.root)
	client := tlsutil.Leaf{Name: "client", Client: true}

	conn := dialTLS(t, d.Addr, server.mutual(t, clients.issue(t, client)))
	echoes(t, conn)
	if v := conn.ConnectionState().Version; v != tls.VersionTLS13 {
		t.Errorf("the version is %s", tls.VersionName(v))
	}
	wantRefused(t, d.Addr, server.client(t), tlsutil.ErrNoClientCert)
	wantRefused(t, d.Addr, server.mutual(t, strangers.issue(t, client)), tlsutil.ErrUnknownAuthority)
	forServers := clients.issue(t, tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true})
	wantRefused(t, d.Addr, server.mutual(t, forServers), tlsutil.ErrRefused)
	d.End(t)
	if log := d.Stderr.String(); !strings.Contains(log, "client didn't provide a certificate") {
		t.Errorf("the log is\n%s", log)
	}
}

// Certificates of clients themselves, rather than of an authority, do as well.
func TestClientsByTheirOwnCertificates(t *testing.T) {
	server := newIdentity(t)
	own, err := tlsutil.SelfSigned(tlsutil.Leaf{Name: "client", Client: true})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "client.pem")
	if err := tlsutil.WriteFiles(own, file, file+".key"); err != nil {
		t.Fatal(err)
	}
	d := server.start(t, "-clients", file)
	echoes(t, dialTLS(t, d.Addr, server.mutual(t, own)))
	other, err := tlsutil.SelfSigned(tlsutil.Leaf{Name: "client", Client: true})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, d.Addr, server.mutual(t, other), tlsutil.ErrUnknownAuthority)
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

// A certificate that was renewed is shown by the same process, and connections that
// were open before go on.
func TestRenewal(t *testing.T) {
	id := newIdentity(t)
	d := id.start(t, "-reload", "10ms")
	before := dialTLS(t, d.Addr, id.client(t))
	echoes(t, before)
	renewed := id.renew(t)
	until(t, "the renewed certificate", func() bool {
		conn := dialTLS(t, d.Addr, id.client(t))
		echoes(t, conn)
		return bytes.Equal(conn.ConnectionState().PeerCertificates[0].Raw, renewed.Certificate[0])
	})
	echoes(t, before)
	if log := d.Stderr.String(); !strings.Contains(log, "files are in use") {
		t.Errorf("the log is\n%s", log)
	}

	// A file that cannot be used is told, and what was in use stays so.
	if err := os.WriteFile(id.cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the record", func() bool { return strings.Contains(d.Stderr.String(), "level=ERROR") })
	echoes(t, dialTLS(t, d.Addr, id.client(t)))
	d.End(t)
}

// The authority of the clients is renewed too: those of the earlier one are refused then,
// although they hold a ticket of a session.
func TestRenewalOfTheClientsAuthority(t *testing.T) {
	server, earlier, later := newIdentity(t), newIdentity(t), newIdentity(t)
	d := server.start(t, "-clients", earlier.root, "-reload", "10ms")
	leaf := tlsutil.Leaf{Name: "client", Client: true}
	was := server.mutual(t, earlier.issue(t, leaf))
	for range 2 { // the second time with a ticket
		echoes(t, dialTLS(t, d.Addr, was))
	}
	if err := tlsutil.WriteFiles(later.ca.Certificate, earlier.root, earlier.root+".key"); err != nil {
		t.Fatal(err)
	}
	until(t, "the new authority", func() bool { return strings.Contains(d.Stderr.String(), "files are in use") })
	wantRefused(t, d.Addr, was, tlsutil.ErrUnknownAuthority)
	echoes(t, dialTLS(t, d.Addr, server.mutual(t, later.issue(t, leaf))))
	d.End(t)
}

// A TLS connection that is idle is closed, and the end of the program closes one too.
func TestEndOfTLSConnections(t *testing.T) {
	id := newIdentity(t)
	d := id.start(t, "-idle", "100ms")
	conn := dialTLS(t, d.Addr, id.client(t))
	echoes(t, conn)
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle connection: %d bytes, %v, want the end", n, err)
	}
	d.End(t)

	d = id.start(t)
	conn = dialTLS(t, d.Addr, id.client(t))
	echoes(t, conn)
	d.End(t)
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("at the end of the program: %d bytes, %v, want the end", n, err)
	}
}

// A client that speaks HTTP by ALPN or none is served: the program speaks neither.
func TestNoApplicationProtocol(t *testing.T) {
	id := newIdentity(t)
	d := id.start(t)
	config := id.client(t)
	config.NextProtos = []string{"h2", "http/1.1"}
	conn := dialTLS(t, d.Addr, config)
	echoes(t, conn)
	if p := conn.ConnectionState().NegotiatedProtocol; p != "" {
		t.Errorf("negotiated %q", p)
	}
	d.End(t)
}

// Files that cannot be used are one line that names the file, and holds nothing of it.
func TestBrokenFiles(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	secret, err := os.ReadFile(id.key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	torn, empty := filepath.Join(dir, "torn.pem"), filepath.Join(dir, "empty.pem")
	for name, contents := range map[string][]byte{torn: secret[:len(secret)/2], empty: nil} {
		if err := os.WriteFile(name, contents, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, cert, key, clients, want string }{
		{"torn key", id.cert, torn, "", torn},
		{"key of another certificate", id.cert, other.key, "", other.key},
		{"key as the certificate", id.key, id.key, "", id.key},
		{"certificate as the key", id.cert, id.cert, "", id.cert},
		{"empty certificate", empty, id.key, "", empty},
		{"missing key", id.cert, filepath.Join(dir, "none"), "", "none"},
		{"folder", id.cert, dir, "", dir},
		{"empty clients", id.cert, id.key, empty, empty},
		{"torn clients", id.cert, id.key, torn, torn},
		{"missing clients", id.cert, id.key, filepath.Join(dir, "none"), "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"-network", "tls", "-address", "127.0.0.1:0", "-cert", tt.cert, "-key", tt.key}
			if tt.clients != "" {
				args = append(args, "-clients", tt.clients)
			}
			var stdout, stderr bytes.Buffer
			if status := run(t.Context(), args, &stdout, &stderr); status != 1 || stdout.Len() > 0 {
				t.Errorf("exit status %d, stdout %q, want 1 and nothing", status, &stdout)
			}
			s := stderr.String()
			if !strings.HasPrefix(s, "echod: ") || strings.Count(s, "\n") != 1 || !strings.Contains(s, tt.want) {
				t.Errorf("stderr %q, want one line with %q", s, tt.want)
			}
			if line := strings.Split(string(secret), "\n")[1]; strings.Contains(s, line[:16]) {
				t.Errorf("stderr %q holds the key", s)
			}
		})
	}
}
