package httpmw_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// redirectRaw sends a request as it is to a server with handler, and returns the response.
func redirectRaw(t *testing.T, handler http.Handler, raw string) *http.Response {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.DisableGeneralOptionsHandler = true // "OPTIONS *" is for handler too
	srv.Start()
	defer srv.Close()
	conn := connect(t, "tcp", srv.Listener.Addr().String())
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	resp.Body.Close()
	return resp
}

func TestRedirectHTTPS(t *testing.T) {
	handler := httpmw.RedirectHTTPS("example.com", "Other.example:8443", "[2001:db8::1]:8443", "[2001:DB8:0::2]", "third.example:443")
	const host = "Host: example.com\r\n\r\n"
	tests := []struct {
		name     string
		raw      string // without Host and what follows if it ends in HTTP/1.1
		status   int
		location string
	}{
		{"plain", "GET / HTTP/1.1", 301, "https://example.com/"},
		{"path and query", "GET /a/b?x=1&y=2 HTTP/1.1", 301, "https://example.com/a/b?x=1&y=2"},
		{"head", "HEAD /a HTTP/1.1", 301, "https://example.com/a"},
		{"post", "POST /a HTTP/1.1", 308, "https://example.com/a"},
		{"method unknown", "BREW /a HTTP/1.1", 308, "https://example.com/a"},
		{"options of a path", "OPTIONS /a HTTP/1.1", 308, "https://example.com/a"},
		{"port of the listener", "GET /a HTTP/1.1\r\nHost: example.com:8080\r\n\r\n", 301, "https://example.com/a"},
		{"empty port", "GET /a HTTP/1.1\r\nHost: example.com:\r\n\r\n", 301, "https://example.com/a"},
		{"upper case", "GET /a HTTP/1.1\r\nHost: EXAMPLE.Com\r\n\r\n", 301, "https://example.com/a"},
		{"dot of the root", "GET /a HTTP/1.1\r\nHost: example.com.:80\r\n\r\n", 301, "https://example.com/a"},
		{"other port", "GET /a HTTP/1.1\r\nHost: other.example\r\n\r\n", 301, "https://other.example:8443/a"},
		{"port 443", "GET /a HTTP/1.1\r\nHost: third.example\r\n\r\n", 301, "https://third.example/a"},
		{"IPv6", "GET /a HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", 301, "https://[2001:db8::1]:8443/a"},
		{"IPv6 written otherwise", "GET /a HTTP/1.1\r\nHost: [2001:0DB8:0::0002]\r\n\r\n", 301, "https://[2001:db8::2]/a"},
		{"IPv6 with text behind", "GET /a HTTP/1.1\r\nHost: [2001:db8::2].evil.example\r\n\r\n", 421, ""},
		{"IPv6 that does not end", "GET /a HTTP/1.1\r\nHost: [2001:db8::2\r\n\r\n", 421, ""},

		{"forged host", "GET /a HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, ""},
		{"host that begins alike", "GET /a HTTP/1.1\r\nHost: example.com.evil.example\r\n\r\n", 421, ""},
		{"host that ends alike", "GET /a HTTP/1.1\r\nHost: evilexample.com\r\n\r\n", 421, ""},
		{"user in the host", "GET /a HTTP/1.1\r\nHost: example.com@evil.example\r\n\r\n", 400, ""},
		{"host behind a user", "GET /a HTTP/1.1\r\nHost: evil.example@example.com\r\n\r\n", 400, ""},
		{"port that is a host", "GET /a HTTP/1.1\r\nHost: example.com:80@evil.example\r\n\r\n", 400, ""},
		{"port beyond", "GET /a HTTP/1.1\r\nHost: example.com:65536\r\n\r\n", 421, ""},
		{"two dots", "GET /a HTTP/1.1\r\nHost: example.com..\r\n\r\n", 421, ""},
		{"dot alone", "GET /a HTTP/1.1\r\nHost: .\r\n\r\n", 421, ""},
		{"empty host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", 421, ""},
		{"no host", "GET /a HTTP/1.0\r\n\r\n", 421, ""},
		{"host that only folds to it", "GET /a HTTP/1.1\r\nHost: \u212Belvin.example\r\n\r\n", 400, ""},

		{"absolute form", "GET http://example.com/a?b HTTP/1.1\r\nHost: evil.example\r\n\r\n", 301, "https://example.com/a?b"},
		{"absolute form without a path", "GET http://example.com HTTP/1.1", 301, "https://example.com/"},
		{"absolute form with a query alone", "GET http://example.com?x HTTP/1.1", 301, "https://example.com/?x"},
		{"absolute form of another host", "GET http://evil.example/a HTTP/1.1", 421, ""},
		{"absolute form with a user", "GET http://user:secret@example.com/a HTTP/1.1", 301, "https://example.com/a"},
		{"opaque", "GET http:example.com HTTP/1.1", 400, ""},

		{"two slashes", "GET //evil.example/ HTTP/1.1", 301, "https://example.com//evil.example/"},
		{"backslash", "GET /\\evil.example HTTP/1.1", 301, "https://example.com/%5Cevil.example"},
		{"line break", "GET /%0d%0aLocation:%20https://evil.example HTTP/1.1", 301, "https://example.com/%0d%0aLocation:%20https://evil.example"},
		{"user in the path", "GET /@evil.example HTTP/1.1", 301, "https://example.com/@evil.example"},
		{"dots", "GET /a/../b/./c HTTP/1.1", 301, "https://example.com/a/../b/./c"},
		{"encoded slash", "GET /a%2Fb%2fc HTTP/1.1", 301, "https://example.com/a%2Fb%2fc"},
		{"other letters", "GET /\u00e4 HTTP/1.1", 301, "https://example.com/%C3%A4"},
		{"fragment", "GET /a#b HTTP/1.1", 301, "https://example.com/a%23b"},
		{"fragment behind the query", "GET /a?b#c HTTP/1.1", 301, "https://example.com/a?b%23c"},
		{"query as it is", "GET /?a=%2f&b=+&&c;d=[1]{}|\\^`'!$()*,/:@?% HTTP/1.1", 301, "https://example.com/?a=%2f&b=+&&c;d=[1]{}|\\^`'!$()*,/:@?%"},
		{"query of what a query has not", "GET /?\"<\u00e4> HTTP/1.1", 301, "https://example.com/?%22%3C%C3%A4%3E"},
		{"empty query", "GET /a? HTTP/1.1", 301, "https://example.com/a?"},

		{"options of all", "OPTIONS * HTTP/1.1", 400, ""},
		{"connect", "CONNECT example.com:443 HTTP/1.1", 400, ""},
		{"connect with a path", "CONNECT /a HTTP/1.1", 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := tt.raw
			if strings.HasSuffix(raw, " HTTP/1.1") {
				raw += "\r\n" + host
			}
			resp := redirectRaw(t, handler, raw)
			locations := resp.Header.Values("Location")
			if tt.location == "" && len(locations) == 0 {
				locations = []string{""}
			}
			if resp.StatusCode != tt.status || len(locations) != 1 || locations[0] != tt.location {
				t.Errorf("%q: %d, Location %q, want %d, %q", raw, resp.StatusCode, locations, tt.status, tt.location)
			}
		})
	}
}

// The end of a redirect is the other listener: over TLS it would begin again.
func TestRedirectHTTPSNotOverTLS(t *testing.T) {
	r := httptest.NewRequest("GET", "https://example.com/a", nil)
	r.TLS = new(tls.ConnectionState)
	w := httptest.NewRecorder()
	httpmw.RedirectHTTPS("example.com").ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest || w.Header().Get("Location") != "" {
		t.Errorf("over TLS: %d, Location %q, want 421 and none", w.Code, w.Header().Get("Location"))
	}
}

func TestRedirectHTTPSOverHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(httpmw.RedirectHTTPS("example.com"))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	for _, tt := range []struct {
		host, method string
		status       int
		location     string
	}{
		{"example.com", "GET", 301, "https://example.com//evil.example/%2F?x"},
		{"example.com:80", "PUT", 308, "https://example.com//evil.example/%2F?x"},
		{"evil.example", "GET", 421, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+"//evil.example/%2F?x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		resp, err := instrumentClients(t)["HTTP/2"].Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); resp.ProtoMajor != 2 || resp.StatusCode != tt.status || got != tt.location {
			t.Errorf("%s of %s: %s %d, Location %q, want %d, %q", tt.method, tt.host, resp.Proto, resp.StatusCode, got, tt.status, tt.location)
		}
	}
}

func TestRedirectHTTPSPanics(t *testing.T) {
	for _, hosts := range [][]string{
		nil,
		{""},
		{"https://example.com"},
		{"example.com/a"},
		{"example.com:http"},
		{"example.com:0"},
		{"example.com:080"},
		{"example.com:+80"},
		{"example.com:65536"},
		{"example.com:"},
		{"example.com."},
		{"example.com.:80"},
		{":443"},
		{"*.example.com"},
		{"b\u00fccher.example"},
		{"\u212Aelvin.example"},
		{"::1"},
		{"[::1"},
		{"::1]"},
		{"[fe80::1%eth0]"},
		{"[127.0.0.1]"},
		{"[]"},
		{"user@example.com"},
		{"a b"},
		{"example..com"},
		{strings.Repeat("a", 64) + ".com"},
		{strings.Repeat("abc.", 64) + "com"},
		{"example.com:1", "EXAMPLE.com:2"},
	} {
		func() {
			defer func() {
				if v, ok := recover().(string); !ok || !strings.HasPrefix(v, "httpmw: ") {
					t.Errorf("RedirectHTTPS(%q) panics with %q, want a message", hosts, v)
				}
			}()
			httpmw.RedirectHTTPS(hosts...)
		}()
	}
	httpmw.RedirectHTTPS("example.com", "example.com:443", "EXAMPLE.COM") // the same thrice
}

// Whatever a client sends, the Location is one of the hosts.
func FuzzRedirectHTTPS(f *testing.F) {
	f.Add("GET", "example.com", "/a?b")                     // as usual
	f.Add("GET", "example.com", "//evil.example/")          // a host in the path
	f.Add("GET", "example.com", "/\\evil.example")          // what browsers take for a slash
	f.Add("GET", "example.com:80", "/%0d%0aX:y?\r\n")       // a header in the path
	f.Add("POST", "[2001:db8::1]:80", "http://u:p@h/?#")    // absolute
	f.Add("GET", "example.com@evil.example", "/")           // a user in the host
	f.Add("OPTIONS", "example.com", "*")                    // no path
	f.Add("CONNECT", "example.com:443", "example.com:443")  // no path either
	f.Add("GET", "EXAMPLE.com.", "http:opaque")             // no host
	f.Add("GET", "example.com", "@evil.example/..//\x80?#") // no slash first
	hosts := []string{"example.com", "[2001:db8::1]:8443"}
	handler := httpmw.RedirectHTTPS(hosts...)
	f.Fuzz(func(t *testing.T, method, host, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			if u, err = url.Parse(target); err != nil {
				return // net/http refuses it too
			}
		}
		if u.Host != "" {
			host = u.Host
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, &http.Request{Method: method, URL: u, Host: host, Header: make(http.Header)})
		location, found := w.Header()["Location"]
		if !found {
			if w.Code != 400 && w.Code != 421 {
				t.Errorf("%d without a Location", w.Code)
			}
			return
		}
		to, err := url.Parse(location[0])
		if err != nil && !strings.Contains(err.Error(), "invalid URL escape") {
			t.Fatalf("Location %q: %v", location[0], err)
		}
		for _, host := range hosts {
			if strings.HasPrefix(location[0], "https://"+host+"/") && (err != nil || to.Host == host && to.User == nil && to.Fragment == "") {
				return
			}
		}
		t.Errorf("Location %q is at none of %q", location[0], hosts)
	})
}

func BenchmarkRedirectHTTPS(b *testing.B) {
	handler := httpmw.RedirectHTTPS("example.com")
	r := httptest.NewRequest("GET", "http://example.com/a/b?c=d", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, r)
	}
}
