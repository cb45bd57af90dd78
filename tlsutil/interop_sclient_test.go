package tlsutil_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tlsutil"
)

// write writes a certificate and its key to files of a name.
func write(t testing.TB, cert tls.Certificate, dir, name string) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	must(t, tlsutil.WriteFiles(cert, certFile, keyFile))
	return certFile, keyFile
}

// openssl s_client talks to a mutual server, resumes its session, and is refused with a
// wrong certificate and without one.
func TestInteropSClient(t *testing.T) {
	openssl := interop.Command(t, "openssl", "openssl")
	p, stranger := newParties(t), newParties(t)
	dir := t.TempDir()
	roots, _ := write(t, p.ca.Certificate, dir, "ca")
	goodCert, goodKey := write(t, p.client.Certificate, dir, "good")
	badCert, badKey := write(t, stranger.client.Certificate, dir, "bad")
	usageCert, usageKey := write(t, p.server.Certificate, dir, "usage")
	session := filepath.Join(dir, "session")

	server := mutualServer.config(t, p.server, &tlsutil.Options{NextProtos: []string{}, Address: true})
	for _, tt := range []struct {
		name    string
		args    []string
		want    reason
		resumed bool
		says    string // in what s_client prints
	}{
		{name: "good", args: []string{"-cert", goodCert, "-key", goodKey, "-sess_out", session}, says: "welcome"},
		{name: "resumed", args: []string{"-cert", goodCert, "-key", goodKey, "-sess_in", session}, resumed: true, says: "welcome"},
		{name: "foreign CA", args: []string{"-cert", badCert, "-key", badKey}, want: local(tlsutil.ErrUnknownAuthority), says: "unknown ca"},
		{name: "wrong usage", args: []string{"-cert", usageCert, "-key", usageKey}, want: local(tlsutil.ErrWrongUsage), says: "bad certificate"},
		{name: "no certificate", want: local(tlsutil.ErrNoClientCert), says: "certificate required"},
		{name: "TLS 1.2", args: []string{"-cert", goodCert, "-key", goodKey, "-tls1_2"}, want: local(tlsutil.ErrVersion), says: "protocol version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer l.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			args := append([]string{
				"s_client", "-connect", l.Addr().String(), "-CAfile", roots, "-verify_return_error",
				"-servername", "server.example", "-verify_hostname", "server.example", "-quiet",
			}, tt.args...)
			cmd := exec.CommandContext(ctx, openssl, args...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			must(t, cmd.Start())

			must(t, l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
			accepted, err := l.Accept()
			conn := tls.Server(soon(t, accepted, err), server)
			err = tlsutil.Explain(conn.Handshake())
			if err == nil {
				_, err = io.WriteString(conn, "welcome\n")
			}
			tt.want.check(t, "server", err)
			if conn.ConnectionState().DidResume != tt.resumed {
				t.Errorf("resumed = %t, want %t", !tt.resumed, tt.resumed)
			}
			must(t, conn.Close())
			err = cmd.Wait()
			if (err == nil) != (tt.want.err == nil) || !strings.Contains(out.String(), tt.says) {
				t.Errorf("s_client ended with %v, and said %s", err, out.String())
			}
		})
	}
}

// A mutual client talks to openssl s_server, and is refused with a wrong certificate. It
// refuses a server with one, too.
func TestInteropSServer(t *testing.T) {
	openssl := interop.Command(t, "openssl", "openssl")
	p, stranger := newParties(t), newParties(t)
	bad := &tlsutil.Material{Certificate: stranger.client.Certificate, Roots: p.ca.Pool()}
	none := &tlsutil.Material{Roots: p.ca.Pool()}
	for _, tt := range []struct {
		name   string
		server tls.Certificate
		client *tls.Config
		args   []string
		want   reason
	}{
		{name: "good", server: p.server.Certificate, client: mutualClient.config(t, p.client, dialed)},
		{name: "good, changing", server: p.server.Certificate, client: mutualClient.config(t, change(p.client), dialed)},
		{name: "foreign CA", server: p.server.Certificate, client: mutualClient.config(t, bad, dialed), want: remote(tlsutil.ErrUnknownAuthority)},
		{name: "no certificate", server: p.server.Certificate, client: plainClient.config(t, none, dialed), want: remote(tlsutil.ErrNoClientCert)},
		{name: "wrong server", server: stranger.server.Certificate, client: mutualClient.config(t, p.client, dialed), want: local(tlsutil.ErrUnknownAuthority)},
		{name: "wrong server, changing", server: stranger.server.Certificate, client: mutualClient.config(t, change(p.client), dialed), want: local(tlsutil.ErrUnknownAuthority)},
		{name: "wrong usage of the server", server: p.client.Certificate, client: mutualClient.config(t, p.client, nil), want: local(tlsutil.ErrWrongUsage)},
		{name: "TLS 1.2", server: p.server.Certificate, args: []string{"-tls1_2"}, client: mutualClient.config(t, p.client, dialed), want: remote(tlsutil.ErrVersion)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			roots, _ := write(t, p.ca.Certificate, dir, "ca")
			cert, key := write(t, tt.server, dir, "server")
			addr := startSServer(t, openssl, append([]string{"-CAfile", roots, "-cert", cert, "-key", key}, tt.args...)...)
			raw, err := net.Dial("tcp", addr)
			client := tt.client.Clone()
			if client.ServerName == "" {
				client.ServerName = "127.0.0.1"
			}
			conn := tls.Client(soon(t, raw, err), client)
			var got []byte
			// s_server says nothing, so that Confirm would wait; what it reverses tells.
			if err = conn.Handshake(); err == nil {
				if _, err = io.WriteString(conn, "olleh\n"); err == nil {
					got = make([]byte, len("hello\n"))
					_, err = io.ReadFull(conn, got)
				}
			}
			tt.want.check(t, "client", tlsutil.Explain(err))
			if err == nil && string(got) != "hello\n" {
				t.Errorf("s_server answered %q", got)
			}
		})
	}
}

// startSServer starts a server that requires certificates and reverses lines, until the end
// of the test.
func startSServer(t *testing.T, openssl string, args ...string) (addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	cmd := exec.CommandContext(ctx, openssl, append([]string{
		"s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-verify_return_error", "-rev",
	}, args...)...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	read := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed
	})
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
			go func() {
				defer close(read)
				_, _ = io.Copy(io.Discard, out)
			}()
			return address
		}
	}
	close(read)
	t.Fatalf("s_server does not listen: %v", lines.Err())
	return ""
}
