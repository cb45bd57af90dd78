package tlsutil_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// What Explain does not know it leaves alone, and what is explained, too.
func TestExplainLeavesAlone(t *testing.T) {
	explained := &tlsutil.HandshakeError{Reason: tlsutil.ErrExpired, Err: io.EOF}
	for _, err := range []error{
		nil, io.EOF, net.ErrClosed, explained, tlsutil.ErrPinMismatch,
		fmt.Errorf("mine: %w", tlsutil.ErrAddressMismatch),
		fmt.Errorf("mine: %w", explained),
		&net.OpError{Op: "remote error", Err: errors.New("tls: something new")},
		&net.OpError{Op: "read", Err: tls.AlertError(48)},
		&net.OpError{Op: "local error", Err: tls.AlertError(48)},
		tls.AlertError(48),
		&tls.CertificateVerificationError{Err: io.EOF},
	} {
		if got := tlsutil.Explain(err); got != err {
			t.Errorf("Explain(%v) = %v", err, got)
		}
	}
	for _, reason := range []error{
		tlsutil.ErrNoClientCert, tlsutil.ErrUnknownAuthority, tlsutil.ErrExpired, tlsutil.ErrWrongUsage, tlsutil.ErrWrongHost,
		tlsutil.ErrPinMismatch, tlsutil.ErrAddressMismatch, tlsutil.ErrVersion, tlsutil.ErrNotTLS, tlsutil.ErrRefused,
	} {
		// An alert within does not make something else of it.
		err := errors.Join(&net.OpError{Op: "remote error", Err: tls.AlertError(45)}, reason)
		if got := tlsutil.Explain(err); got != err {
			t.Errorf("Explain(%v) = %v", err, got)
		}
	}
}

// Each alert about certificates and versions has a reason; others have none. They come
// here as crypto/tls receives them.
func TestExplainAlerts(t *testing.T) {
	want := map[byte]error{
		42: tlsutil.ErrRefused, 43: tlsutil.ErrRefused, 44: tlsutil.ErrRefused, 45: tlsutil.ErrExpired, 46: tlsutil.ErrRefused,
		48: tlsutil.ErrUnknownAuthority, 49: tlsutil.ErrRefused, 70: tlsutil.ErrVersion, 116: tlsutil.ErrNoClientCert,
	}
	for code := range 256 {
		if code == 0 {
			continue // close_notify
		}
		a, b := memnet.Pipe()
		client := tls.Client(soon(t, a, nil), &tls.Config{ServerName: "server.example"})
		server := soon(t, b, nil)
		go func() {
			readHello(server)
			_, _ = server.Write([]byte{21, 3, 3, 0, 2, 2, byte(code)}) // a fatal alert
		}()
		err := client.Handshake()
		got := tlsutil.Explain(err)
		if reason := want[byte(code)]; reason != nil {
			remote(reason).check(t, fmt.Sprint("alert ", code), got)
			if !errors.Is(got, err) {
				t.Errorf("alert %d: %v does not match its cause", code, got)
			}
		} else if got != err {
			t.Errorf("alert %d: explained as %v", code, got)
		}
		a.Close()
		b.Close()
	}
}

// An alert may stand behind the error of what it was that failed: net/http puts the
// handshake with a proxy into an error of dialing.
func TestExplainAlertOfProxy(t *testing.T) {
	p := newParties(t)
	proxy := listen(t, mutualServer.config(t, p.server, nil))
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "https", Host: proxy}),
		TLSClientConfig: &tls.Config{RootCAs: p.ca.Pool(), MaxVersion: tls.VersionTLS12},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://server.example/", nil)
	must(t, err)
	response, err := transport.RoundTrip(request)
	if err == nil {
		response.Body.Close()
	}
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "proxyconnect" {
		t.Fatalf("%v, want an error of dialing the proxy", err)
	}
	remote(tlsutil.ErrVersion).check(t, "client", tlsutil.Explain(err))
}

// Both the reason and the cause match, and both stand in the text.
func TestHandshakeError(t *testing.T) {
	cause := x509.UnknownAuthorityError{}
	err := tlsutil.Explain(fmt.Errorf("dialing: %w", cause))
	if !errors.Is(err, tlsutil.ErrUnknownAuthority) || !errors.Is(err, cause) {
		t.Errorf("%v does not match its reason and its cause", err)
	}
	if got, want := err.Error(), "tlsutil: unknown certificate authority: dialing: x509: certificate signed by unknown authority"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	h := &tlsutil.HandshakeError{Reason: tlsutil.ErrExpired, Remote: true, Err: io.EOF}
	if got, want := h.Error(), "tlsutil: certificate expired or not yet valid, says the peer: EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
