package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

func init() {
	caddy.RegisterModule(new(ready))
}

// certified gets a token for each certificate that Caddy has ready for use.
var certified = make(chan struct{}, 10)

// ready is a module for tests: it handles Caddy's events by saying so to the test, which
// need not ask again and again then.
type ready struct{}

var _ caddyevents.Handler = (*ready)(nil)

// CaddyModule tells Caddy the name of the module, and how to make one.
func (*ready) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_ready", New: func() caddy.Module { return new(ready) }}
}

// Handle implements [caddyevents.Handler].
func (*ready) Handle(context.Context, caddy.Event) error {
	certified <- struct{}{}
	return nil
}

// secure returns a configuration for a server with HTTPS by Caddy's own authority. Plain
// HTTP is on httpPort, which would be 80 otherwise. The default for install_trust is true:
// Caddy would ask the system to trust that authority from now on.
func secure(t *testing.T, site object, httpPort, httpsPort int) object {
	t.Helper()
	site["listen"] = []string{hostPort("127.0.0.1", httpsPort)}
	site["protocols"] = []string{"h1", "h2"}
	config := configuration(object{"site": site})
	apps := config["apps"].(object)
	apps["http"].(object)["http_port"] = httpPort
	apps["pki"] = object{"certificate_authorities": object{"local": object{"install_trust": false}}}
	apps["events"] = object{"subscriptions": []object{
		{"events": []string{"cached_managed_cert"}, "handlers": []object{{"handler": "test_ready"}}},
	}}
	config["storage"] = object{"module": "file_system", "root": filepath.ToSlash(t.TempDir())}
	return config
}

// loopback returns a client that finds every name at 127.0.0.1 and trusts what roots say.
func loopback(t *testing.T, roots *x509.CertPool) *http.Client {
	t.Helper()
	client := newClient(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	})
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.ForceAttemptHTTP2 = true
	return client
}

// root returns the certificate of Caddy's authority, as the admin API tells it.
func root(t *testing.T) []byte {
	t.Helper()
	status, answer := api(t, http.MethodGet, "/pki/ca/local", "")
	var authority struct {
		Root string `json:"root_certificate"`
	}
	if err := json.Unmarshal([]byte(answer), &authority); err != nil || status != 200 {
		t.Fatal(status, answer, err)
	}
	return []byte(authority.Root)
}

// A route for a host is what turns HTTPS on: Caddy knows then which name a certificate is
// for. For localhost, and for names that no public authority would sign, it has an authority
// of its own. A client that is to come in trusts the certificate of that authority.
func TestAutomaticHTTPS(t *testing.T) {
	ports := freePorts(t, 2)
	site := respond("over {http.request.scheme}")
	site["routes"].([]object)[0]["match"] = []object{{"host": []string{"localhost"}}}
	config := secure(t, site, ports, ports+1)
	load(t, config)
	select {
	case <-certified:
	case <-time.After(limit):
		t.Fatal("no certificate")
	}
	insecureURL, url := "http://"+hostPort("localhost", ports), "https://"+hostPort("localhost", ports+1)

	// Without its root nobody trusts the authority: the system was not asked to.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := loopback(t, x509.NewCertPool()).Do(req); err == nil {
		t.Errorf("an unknown authority was trusted: %d", resp.StatusCode)
		resp.Body.Close()
	} else if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("got %v, want that the authority is unknown", err)
	}

	pem := root(t)
	stored, err := os.ReadFile(filepath.Join(config["storage"].(object)["root"].(string), "pki/authorities/local/root.crt"))
	if err != nil || string(stored) != string(pem) {
		t.Errorf("the admin API and the storage differ: %s\n%s, %v", pem, stored, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate: %q", pem)
	}
	client := loopback(t, roots)
	resp, body := do(t, client, http.MethodGet, url, "", nil)
	if body != "over https" || resp.Proto != "HTTP/2.0" || resp.TLS.PeerCertificates[0].DNSNames[0] != "localhost" {
		t.Errorf("%s over %s, for %q", body, resp.Proto, resp.TLS.PeerCertificates[0].DNSNames)
	}

	// Who comes without TLS is sent to the other port, with the whole URL.
	resp, _ = do(t, client, http.MethodGet, insecureURL+"/a?b=c", "", nil)
	if got, want := resp.Header.Get("Location"), url+"/a?b=c"; resp.StatusCode != http.StatusPermanentRedirect || got != want {
		t.Errorf("%d to %q, want 308 to %q", resp.StatusCode, got, want)
	}
}

// An address to listen on says nothing about names, so Caddy serves plain HTTP there, even
// if the address is localhost.
func TestListenAloneIsPlain(t *testing.T) {
	port := freePorts(t, 1)
	load(t, configuration(object{"plain": respond("over {http.request.scheme}", hostPort("localhost", port))}))
	resp, body := do(t, newClient(t, nil), http.MethodGet, "http://"+hostPort("localhost", port), "", nil)
	if body != "over http" || resp.TLS != nil {
		t.Errorf("%q", body)
	}
	conn, err := tls.Dial("tcp", hostPort("localhost", port), &tls.Config{ServerName: "localhost"})
	if err == nil {
		conn.Close()
		t.Fatal("the server speaks TLS")
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); !ok || !strings.Contains(err.Error(), "HTTP") && !strings.Contains(err.Error(), "TLS") {
		t.Errorf("got %v, want an answer that is not TLS", err)
	}
}
