package tlsutil_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// lessonHTTPS serves HTTPS with a certificate that no system trusts.
func lessonHTTPS(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refusals are wanted
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// A client refuses a server whose certificate comes from nobody that it trusts, and is
// made to trust it by its roots, which the client of httptest has. A transport with a TLS
// configuration of its own speaks HTTP/1.1 alone, unless it is told otherwise.
func TestLessonTrust(t *testing.T) {
	server := lessonHTTPS(t)
	trusting := x509.NewCertPool()
	trusting.AddCert(server.Certificate())
	others := newCA(t, "others").Pool() // as the roots of a system are
	for _, tt := range []struct {
		name   string
		client *http.Client
		want   string
		err    error
	}{
		{"the client of httptest", server.Client(), "HTTP/2.0", nil},
		{"other roots", newClient(t, &tls.Config{RootCAs: others}), "", tlsutil.ErrUnknownAuthority},
		{"its roots", newClient(t, &tls.Config{RootCAs: trusting}), "HTTP/2.0", nil},
		{"another name", newClient(t, &tls.Config{RootCAs: trusting, ServerName: "elsewhere.test"}), "", tlsutil.ErrWrongHost},
	} {
		got, err := get(tt.client, server.URL)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v, want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	plain := newClient(t, &tls.Config{RootCAs: trusting})
	plain.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	if got, err := get(plain, server.URL); got != "HTTP/1.1" || err != nil {
		t.Errorf("without ForceAttemptHTTP2: %q, %v", got, err)
	}
}

// InsecureSkipVerify makes the error go away, and with it what TLS is for: whoever sits on
// the way is taken for the server. Trusting its one certificate costs a line more.
func TestLessonSkippingIsNotTrusting(t *testing.T) {
	server, impostor := lessonHTTPS(t), serveHTTP(t, plainServer.config(t, newParties(t).server, nil), true)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for _, tt := range []struct {
		name             string
		config           *tls.Config
		server, impostor error
	}{
		{"skipping", &tls.Config{InsecureSkipVerify: true}, nil, nil},
		{"trusting", &tls.Config{RootCAs: roots}, nil, tlsutil.ErrUnknownAuthority},
	} {
		client := newClient(t, tt.config)
		if _, err := get(client, server.URL); !errors.Is(err, tt.server) {
			t.Errorf("%s, the server: %v, want %v", tt.name, err, tt.server)
		}
		if _, err := get(client, "https://"+impostor); !errors.Is(err, tt.impostor) {
			t.Errorf("%s, the impostor: %v, want %v", tt.name, err, tt.impostor)
		}
	}
}

// Dialing makes the handshake too, and its context limits both: a server that is not
// trusted is refused by Dial, and what was agreed on can be told at once.
func TestLessonDial(t *testing.T) {
	p := newParties(t)
	addr := serveHTTP(t, plainServer.config(t, p.server, nil), true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: p.ca.Pool(), ServerName: "server.example", MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	must(t, err)
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	if state.Version != tls.VersionTLS13 || tls.CipherSuiteName(state.CipherSuite) == "" {
		t.Errorf("%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	}
	// A chain is there because this client has verified one. Who did not has none, so
	// that tlsutil.Describe looks before it tells.
	if chain := state.VerifiedChains[0]; chain[len(chain)-1].Subject.CommonName != "the CA" {
		t.Errorf("the root is %v", chain[len(chain)-1].Subject)
	}

	dialer.Config = &tls.Config{RootCAs: newCA(t, "others").Pool(), ServerName: "server.example"}
	if conn, err := dialer.DialContext(ctx, "tcp", addr); !errors.Is(tlsutil.Explain(err), tlsutil.ErrUnknownAuthority) {
		t.Errorf("DialContext = %v, %v, want %v", conn, err, tlsutil.ErrUnknownAuthority)
	}
	cancel()
	if _, err := dialer.DialContext(ctx, "tcp", addr); !errors.Is(err, context.Canceled) {
		t.Errorf("DialContext with a context that has ended: %v", err)
	}
}
