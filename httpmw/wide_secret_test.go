package httpmw_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// Requests as they come over the wire, and what is logged of them.
func TestWideEventRawRequests(t *testing.T) {
	const headers = "Host: example.com\r\nUser-Agent: agent\r\n"
	tests := []struct {
		name, line, headers string
		want                wideRecord
	}{
		{"chunked", "POST /x HTTP/1.1", headers + "Transfer-Encoding: chunked\r\n\r\n0\r\n", wideRecord{method: "POST", content: -1}},
		{"length", "PUT /x HTTP/1.1", headers + "Content-Length: 3\r\n\r\nabc", wideRecord{method: "PUT", content: 3}},
		{"HTTP/1.0", "GET /x HTTP/1.0", headers, wideRecord{proto: "HTTP/1.0"}},
		{"no host", "GET /x HTTP/1.0", "User-Agent: agent\r\n", wideRecord{proto: "HTTP/1.0", noHost: true}},
		{"other method", "BREW /x HTTP/1.1", headers, wideRecord{method: "BREW"}},
		{"CONNECT", "CONNECT example.com:443 HTTP/1.1", headers, wideRecord{method: "CONNECT", host: "example.com:443", uri: "-"}},
		{"CONNECT with user", "CONNECT user:secret@example.com:443 HTTP/1.1", headers, wideRecord{method: "CONNECT", host: "example.com:443", uri: "-"}},
		{"OPTIONS *", "OPTIONS * HTTP/1.1", headers, wideRecord{method: "OPTIONS", uri: "*"}},
		{"absolute form", "GET http://user:secret@host/x HTTP/1.1", headers, wideRecord{host: "host"}},
		{"opaque form", "GET http:user:secret@host/x HTTP/1.1", headers, wideRecord{uri: "-"}},
		{"path's escapes", "GET /a%2Fb%20c HTTP/1.1", headers, wideRecord{uri: "/a%2Fb%20c"}},
		{"path without escapes", "GET /\u00e9\"\\<> HTTP/1.1", headers, wideRecord{uri: "/%C3%A9%22%5C%3C%3E"}},
		{"control characters", "GET /%0aINJECT%1b[31m HTTP/1.1", headers, wideRecord{uri: "/%0aINJECT%1b[31m"}},
		{"control characters and more", "GET /%0aINJECT%1b[31m\" HTTP/1.1", headers, wideRecord{uri: "/%0AINJECT%1B%5B31m%22"}},
		{"line separator", "GET /%e2%80%a8 HTTP/1.1", headers, wideRecord{uri: "/%e2%80%a8"}},
		{"raw line separator", "GET /\u2028 HTTP/1.1", headers, wideRecord{uri: "/%E2%80%A8"}},
		{"invalid UTF-8", "GET /\xff HTTP/1.1", headers, wideRecord{uri: "/%FF"}},
		{"token in query", "GET /x?access_token=secret HTTP/1.1", headers, wideRecord{uri: "/x?redacted"}},
		{"named parameter", "GET /x?page=2 HTTP/1.1", headers, wideRecord{uri: "/x?page=2"}},
		{"repeated, and others", "GET /x?page=2&token=secret&page=3&page HTTP/1.1", headers, wideRecord{uri: "/x?page=2&page=3&page&redacted"}},
		{"named with an empty value", "GET /x?page= HTTP/1.1", headers, wideRecord{uri: "/x?page="}},
		{"encoded name", "GET /x?p%61ge=%0a%32&to%6ben=secret HTTP/1.1", headers, wideRecord{uri: "/x?page=%0A2&redacted"}},
		{"other case", "GET /x?Page=secret HTTP/1.1", headers, wideRecord{uri: "/x?redacted"}},
		{"bare", "GET /x?secret HTTP/1.1", headers, wideRecord{uri: "/x?redacted"}},
		{"empty", "GET /x? HTTP/1.1", headers, wideRecord{}},
		{"empty parameters", "GET /x?&& HTTP/1.1", headers, wideRecord{}},
		{"semicolon", "GET /x?page=2;token=secret HTTP/1.1", headers, wideRecord{uri: "/x?redacted"}},
		{"malformed value", "GET /x?page=%zzsecret HTTP/1.1", headers, wideRecord{uri: "/x?redacted"}},
		{"malformed name", "GET /x?page%=secret&page=1 HTTP/1.1", headers, wideRecord{uri: "/x?page=1&redacted"}},
		{"second question mark", "GET /x?page=1?token=secret HTTP/1.1", headers, wideRecord{uri: "/x?page=1%3Ftoken%3Dsecret"}},
		{"headers", "GET /x HTTP/1.1", headers + "Cookie: a=secret\r\nAuthorization: Basic c2VjcmV0\r\n" +
			"Referer: http://x/?secret\r\nX-Request-Id: secret\r\nProxy-Authorization: secret\r\n", wideRecord{}},
		{"tab in user agent", "GET /x HTTP/1.1", "Host: example.com\r\nUser-Agent: a\tb\u2028\xff\u202e\"\\\u00e9\r\n", wideRecord{agent: `a\\tb\\u2028\\xff\\u202e\"\\é`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines, text := newWideLines(), newWideLines()
			logger := slog.New(slog.NewMultiHandler(slog.NewJSONHandler(lines, nil), slog.NewTextHandler(text, nil)))
			opts := &httpmw.WideEventOptions{Query: []string{"page"}}
			s := wideServer(t, "HTTP/1.1", httpmw.WideEvent(logger, opts)(http.HandlerFunc(
				func(http.ResponseWriter, *http.Request) {})))
			wideRaw(t, s, tt.line+"\r\nConnection: close\r\n"+tt.headers+"\r\n")
			tt.want.status = 200
			line := lines.next(t)
			want := tt.want.line()
			if tt.want.uri == "-" { // none
				want = strings.Replace(want, `"uri":"-"`, `"uri":""`, 1)
			}
			if got := wideSame(line); got != want {
				t.Errorf("the record is\n%s, want\n%s", got, want)
			}
			if !strings.Contains(tt.want.uri, "secret") { // as part of what was asked for
				wideNoSecret(t, line)
				wideNoSecret(t, text.next(t))
			}
		})
	}
}

// wideNoSecret fails if a record holds the word "secret", as it is or encoded.
func wideNoSecret(t testing.TB, line string) {
	t.Helper()
	line = strings.ToLower(line)
	for _, word := range []string{
		"secret", "user:", url.QueryEscape("user:"), hex.EncodeToString([]byte("secret")),
		strings.ToLower(base64.StdEncoding.EncodeToString([]byte("secret"))),
	} {
		if strings.Contains(line, word) {
			t.Errorf("%q is in the record %s", word, line)
		}
	}
}

// What a request can be that no client of HTTP/1.1 sends over TCP.
func TestWideEventOddRequests(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   wideRecord
	}{
		{"IPv4", func(r *http.Request) { r.RemoteAddr = "192.0.2.7:123" }, wideRecord{remote: "192.0.2.7"}},
		{"IPv6 with zone", func(r *http.Request) { r.RemoteAddr = "[fe80::1%eth0]:123" }, wideRecord{remote: "fe80::1%eth0"}},
		{"Unix socket", func(r *http.Request) { r.RemoteAddr = "@" }, wideRecord{remote: "@"}},
		{"abstract Unix socket", func(r *http.Request) { r.RemoteAddr = "@a:b" }, wideRecord{remote: "@a:b"}},
		{"control characters in an address", func(r *http.Request) { r.RemoteAddr = "@\x1b" }, wideRecord{remote: `@\x1b`}},
		{"path of a Unix socket", func(r *http.Request) { r.RemoteAddr = "/run/a:1" }, wideRecord{remote: "/run/a:1"}},
		{"no address", func(r *http.Request) { r.RemoteAddr = "" }, wideRecord{noPeer: true}},
		{"no port", func(r *http.Request) { r.RemoteAddr = "pipe" }, wideRecord{remote: "pipe"}},
		{"user in the host", func(r *http.Request) { r.Host = "user:secret@example.com" }, wideRecord{}},
		{"user in the URL", func(r *http.Request) { r.URL.User = url.UserPassword("user", "secret") }, wideRecord{}},
		{"RequestURI", func(r *http.Request) { r.RequestURI = "http://user:secret@host/?secret" }, wideRecord{}},
		{"fragment", func(r *http.Request) { r.URL.Fragment = "secret" }, wideRecord{}},
		{"raw path of another path", func(r *http.Request) { r.URL.RawPath = "/secret\n" }, wideRecord{}},
		{"no URL", func(r *http.Request) { r.URL = nil }, wideRecord{uri: "-"}},
		{"proto", func(r *http.Request) { r.Proto = "HTTP/1.1\x1b[31m" }, wideRecord{proto: `HTTP/1.1\x1b[31m`}},
		{"host", func(r *http.Request) { r.Host = "a\nb" }, wideRecord{host: `a\nb`}},
		{"method", func(r *http.Request) { r.Method = "GET\r\n" }, wideRecord{method: `GET\r\n`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/x", nil)
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("User-Agent", "agent")
			tt.change(r)
			line := wideDirect(t, nil, r, func(http.ResponseWriter, *http.Request) {})
			tt.want.status = 200
			want := strings.Replace(tt.want.line(), `"uri":"-"`, `"uri":""`, 1)
			if got := wideSame(line); got != want {
				t.Errorf("the record is\n%s, want\n%s", got, want)
			}
			wideNoSecret(t, line)
		})
	}
}

// Strings are cut at 1,024 bytes of what is logged, between runes and between escapes.
func TestWideEventCut(t *testing.T) {
	a := func(n int) string { return strings.Repeat("a", n) }
	for _, tt := range []struct{ name, agent, want string }{
		{"fits", a(1024), a(1024)},
		{"one too many", a(1025), a(1024) + "..."},
		{"huge", a(60_000), a(1024) + "..."},
		{"rune fits", a(1022) + "é", a(1022) + "é"},
		{"rune does not fit", a(1023) + "é", a(1023) + "..."},
		{"rune of four bytes", a(1021) + "😀", a(1021) + "..."},
		{"escape fits", a(1020) + "\xff", a(1020) + `\xff`},
		{"escape does not fit", a(1021) + "\xff", a(1021) + "..."},
		{"long escape", a(1015) + "\U000e0001", a(1015) + "..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/x", nil)
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("User-Agent", tt.agent)
			line := wideDirect(t, nil, r, func(http.ResponseWriter, *http.Request) {})
			wideRecord{status: 200, agent: strings.ReplaceAll(tt.want, `\`, `\\`)}.want(t, line)
		})
	}
	for _, tt := range []struct{ name, target, want string }{
		{"fits", "/" + a(1023), "/" + a(1023)},
		{"one too many", "/" + a(1024), "/" + a(1023) + "..."},
		{"huge", "/" + a(60_000), "/" + a(1023) + "..."},
		{"escape fits", "/" + a(1020) + "%0a", "/" + a(1020) + "%0a"},
		{"escape fits, more does not", "/" + a(1020) + "%0ab", "/" + a(1020) + "%0a..."},
		{"one digit does not fit", "/" + a(1021) + "%0a", "/" + a(1021) + "..."},
		{"two digits do not fit", "/" + a(1022) + "%0a", "/" + a(1022) + "..."},
		{"query", "/?page=" + a(1017), "/?page=" + a(1017)},
		{"query is too long", "/?page=" + a(1018), "/?page=" + a(1017) + "..."},
		{"many parameters", "/?" + strings.Repeat("page=1&", 9000) + "token=secret", "/?" + strings.Repeat("page=1&", 146) + "..."},
		{"other parameters", "/?" + strings.Repeat("token=secret&", 9000), "/?redacted"},
	} {
		t.Run("uri "+tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.target, nil)
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("User-Agent", "agent")
			line := wideDirect(t, &httpmw.WideEventOptions{Query: []string{"page"}}, r, func(http.ResponseWriter, *http.Request) {})
			wideRecord{status: 200, uri: tt.want}.want(t, line)
		})
	}
}

// With HTTP/2 other bytes arrive in the header fields that make the request's line.
func TestWideEventSecretsHTTP2(t *testing.T) {
	lines := newWideLines()
	s := wideServer(t, "HTTP/2.0", httpmw.WideEvent(lines.json(), nil)(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) {})))
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/%0aINJECT%1b[31m?secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "example.com"
	req.Header = http.Header{
		"User-Agent": {"agent\u2028"}, "Cookie": {"a=secret"}, "Authorization": {"Bearer secret"},
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	line := lines.next(t)
	wideRecord{status: 200, proto: "HTTP/2.0", uri: "/%0aINJECT%1b[31m?redacted", agent: `agent\\u2028`}.want(t, line)
	wideNoSecret(t, line)
}

// FuzzWideEvent states what holds for whatever arrives: the record is one line without
// control characters and of a bounded length, valid JSON, and has no secret.
func FuzzWideEvent(f *testing.F) {
	f.Add("GET", "/", "page=1", "agent", "example.com", "127.0.0.1:1")   // an ordinary one
	f.Add("GET\n", "/\x1b[31m", "a;b", "\u2028", "user:SeCrEt@host", "") // control characters
	f.Add("", "", "&&=&page=%zz&p%61ge=%0a", "\xff\xfe", "@", "@")       // empty and invalid
	f.Add("CONNECT", "*", "page", strings.Repeat("é", 2000), "[::1]:80", "[::1%a]:1")
	f.Add("GET", "//a/../%", strings.Repeat("page=1&", 500), "\\x\"", "a", "[")
	f.Fuzz(func(t *testing.T, method, path, query, agent, host, remote string) {
		const secret = "S3CR3TMARK"
		for _, s := range []string{method, path, query, agent, host, remote} {
			if strings.Contains(s, secret) {
				t.Skip("it has the mark itself")
			}
		}
		var b bytes.Buffer
		logger := slog.New(slog.NewMultiHandler(slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)))
		r := &http.Request{
			Method: method, Host: "u:" + secret + "@" + host, RemoteAddr: remote, Proto: method,
			URL: &url.URL{
				Path: path, RawPath: query, RawQuery: query + "&token=" + secret + "&" + secret,
				User: url.UserPassword(secret, secret), Fragment: secret,
			},
			RequestURI: secret,
			Header: http.Header{
				"User-Agent": {agent}, "Cookie": {secret}, "Authorization": {secret}, agent: {secret},
			},
		}
		if agent == "User-Agent" {
			r.Header.Set("User-Agent", agent)
		}
		h := httpmw.WideEvent(logger, &httpmw.WideEventOptions{Query: []string{"page"}})
		h(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(httptest.NewRecorder(), r)
		wideWellFormed(t, b.Bytes(), secret)
	})
}

// wideWellFormed checks a record as JSON and a record as text.
func wideWellFormed(t *testing.T, b []byte, secret string) {
	t.Helper()
	for _, c := range string(b) {
		if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 || c == '\u2028' {
			t.Fatalf("%q is in %q", c, b)
		}
	}
	if bytes.Contains(b, []byte(secret)) {
		t.Fatalf("the secret is in %s", b)
	}
	if n := bytes.Count(b, []byte("\n")); n != 2 || len(b) > 2*(6*2*1027+500) {
		t.Fatalf("%d lines with %d bytes", n, len(b))
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil || len(fields) != 14 {
		t.Fatalf("%d fields, %v, in %s", len(fields), err, line)
	}
}
