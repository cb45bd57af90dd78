package tlsutil_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// serveHTTP serves with a configuration, by ServeTLS or over a listener of crypto/tls. The
// handler tells the protocol and the caller.
func serveHTTP(t testing.TB, config *tls.Config, serveTLS bool) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{
		ReadHeaderTimeout: patience,
		ErrorLog:          log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := "nobody"
			if len(r.TLS.PeerCertificates) > 0 {
				name = r.TLS.PeerCertificates[0].DNSNames[0]
			}
			fmt.Fprint(w, r.Proto, " ", name)
		}),
	}
	served := make(chan error, 1)
	go func() {
		if serveTLS {
			server.TLSConfig = config
			served <- server.ServeTLS(l, "", "")
		} else {
			served <- server.Serve(tls.NewListener(l, config))
		}
	}()
	t.Cleanup(func() {
		must(t, server.Close())
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served: %v", err)
		}
	})
	return l.Addr().String()
}

// newClient makes an HTTP client with its own transport, which keeps HTTP/2.
func newClient(t testing.TB, config *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// get requests a page, over a connection of its own.
func get(client *http.Client, url string) (string, error) {
	defer client.CloseIdleConnections()
	r, err := client.Get(url)
	if err != nil {
		return "", tlsutil.Explain(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// HTTP/2 is spoken through GetConfigForClient, also when the source changes.
func TestHTTP2(t *testing.T) {
	p, other := newParties(t), newParties(t)
	both := pool(p.ca.Certificate, other.ca.Certificate)
	for _, serveTLS := range []bool{true, false} {
		for name, server := range map[string]maker{"mutual": mutualServer, "plain": plainServer} {
			src := change(p.server)
			clientSrc := change(p.client)
			addr := serveHTTP(t, server.config(t, src, nil), serveTLS)
			client := newClient(t, mutualClient.config(t, clientSrc, &tlsutil.Options{ServerName: "127.0.0.1"}))
			want := "HTTP/2.0 client.example"
			if name == "plain" {
				want = "HTTP/2.0 nobody"
			}
			for i, m := range []*tlsutil.Material{
				p.server, p.server,
				{Certificate: other.server.Certificate, Roots: both, Epoch: "2"},
				{Certificate: p.server.Certificate, Roots: p.ca.Pool(), Epoch: "3"},
			} {
				src.Store(m)
				clientSrc.Store(&tlsutil.Material{Certificate: p.client.Certificate, Roots: both, Epoch: m.Epoch})
				if got, err := get(client, "https://"+addr); got != want || err != nil {
					t.Errorf("%s, ServeTLS: %t, %d: %q, %v, want %q", name, serveTLS, i, got, err, want)
				}
			}
		}
	}
}

// The servers of httptest show the certificate of the source, though a client that dials
// an address sends no server name, and though they add one to a configuration without.
func TestHTTPTest(t *testing.T) {
	p := newParties(t)
	for name, maker := range map[string]maker{"mutual": mutualServer, "plain": plainServer} {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = maker.config(t, p.server, nil)
		server.StartTLS()
		defer server.Close()
		if _, err := get(newClient(t, mutualClient.config(t, p.client, nil)), server.URL); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that has taken HTTP/2 away speaks HTTP/1.1.
func TestHTTP1(t *testing.T) {
	p := newParties(t)
	for _, serveTLS := range []bool{true, false} {
		addr := serveHTTP(t, mutualServer.config(t, p.server, &tlsutil.Options{NextProtos: []string{}}), serveTLS)
		client := newClient(t, mutualClient.config(t, p.client, nil))
		if got, err := get(client, "https://"+addr); got != "HTTP/1.1 client.example" || err != nil {
			t.Errorf("ServeTLS: %t: %q, %v", serveTLS, got, err)
		}
	}
}

// http.Transport dials addresses: a static client knows them, one whose source changes has
// to be told.
func TestHTTPByAddress(t *testing.T) {
	p := newParties(t)
	addr := serveHTTP(t, mutualServer.config(t, p.server, nil), true)
	for _, tt := range []struct {
		name string
		src  tlsutil.Source
		o    *tlsutil.Options
		want error
	}{
		{"static", p.client, nil, nil},
		{"changing", change(p.client), nil, tlsutil.ErrWrongHost},
		{"changing, told", change(p.client), &tlsutil.Options{ServerName: "127.0.0.1"}, nil},
		{"static, another", p.client, &tlsutil.Options{ServerName: "127.0.0.2"}, tlsutil.ErrWrongHost},
		{"changing, another", change(p.client), &tlsutil.Options{ServerName: "127.0.0.2"}, tlsutil.ErrWrongHost},
	} {
		client := newClient(t, mutualClient.config(t, tt.src, tt.o))
		for range 2 {
			if _, err := get(client, "https://"+addr); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	}
}

// By a name, which the transport takes from the URL and crypto/tls tells.
func TestHTTPByName(t *testing.T) {
	p := newParties(t)
	addr := serveHTTP(t, mutualServer.config(t, p.server, nil), true)
	for _, kind := range kinds {
		for host, want := range map[string]error{"server.example": nil, "other.example": tlsutil.ErrWrongHost} {
			client := newClient(t, mutualClient.config(t, kind.source(p.client), nil))
			dialer := net.Dialer{Timeout: patience}
			client.Transport.(*http.Transport).DialContext = dialerTo(&dialer, addr)
			if _, err := get(client, "https://"+host+"/"); !errors.Is(err, want) {
				t.Errorf("%s, %s: %v, want %v", kind.name, host, err, want)
			}
		}
	}
}

// A client without a certificate, or with a foreign one, can tell why from the error of the
// request. With HTTP/2 it may be that of the write which the refusal has cut off.
func TestHTTPRefusalIsExplained(t *testing.T) {
	p, stranger := newParties(t), newParties(t)
	addr := serveHTTP(t, mutualServer.config(t, p.server, nil), true)
	for name, tt := range map[string]struct {
		config *tls.Config
		want   error
	}{
		"no certificate": {plainClient.config(t, p.client, nil), tlsutil.ErrNoClientCert},
		"foreign CA":     {mutualClient.config(t, &tlsutil.Material{Certificate: stranger.client.Certificate, Roots: p.ca.Pool()}, nil), tlsutil.ErrUnknownAuthority},
	} {
		for _, http2 := range []bool{true, false} {
			client := newClient(t, tt.config)
			client.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
			_, err := get(client, "https://"+addr)
			if http2 && err != nil && !errors.Is(err, tt.want) {
				continue
			}
			if h, ok := errors.AsType[*tlsutil.HandshakeError](err); !errors.Is(err, tt.want) || !ok || !h.Remote {
				t.Errorf("%s, HTTP/2: %t: %v, want %v", name, http2, err, tt.want)
			}
		}
	}
}

// Plain HTTP on a port of HTTPS gets an answer in plain text (D15), and HTTPS on a port of
// HTTP an error that tells.
func TestHTTPAndHTTPS(t *testing.T) {
	p := newParties(t)
	addr := serveHTTP(t, mutualServer.config(t, p.server, nil), true)
	r, err := (&http.Client{Timeout: patience}).Get("http://" + addr)
	must(t, err)
	r.Body.Close()
	if r.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %s", r.Status)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	client := newClient(t, mutualClient.config(t, p.client, nil))
	if _, err := get(client, "https://"+l.Addr().String()); !errors.Is(err, tlsutil.ErrNotTLS) {
		t.Errorf("HTTPS of a server of HTTP: %v", err)
	}
	must(t, server.Close())
	<-served
}
