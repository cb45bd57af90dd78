package httpmw_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

const (
	hintStyle  = "</static/style.css>; rel=preload; as=style"
	hintScript = "</app.js?v=1,2>; rel=preload; as=script"
)

// hintLines returns Link headers as they stand on the wire.
func hintLines(links ...string) string {
	var b strings.Builder
	for _, l := range links {
		b.WriteString("Link: " + l + "\r\n")
	}
	return b.String()
}

func hintEarly(links ...string) string {
	return "HTTP/1.1 103 Early Hints\r\n" + hintLines(links...) + "\r\n"
}

// hintFinal is what the handlers of these tests answer, with the headers that they set.
func hintFinal(links ...string) string {
	return "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: text/plain\r\n" + hintLines(links...) +
		"Set-Cookie: secret\r\nContent-Length: 4\r\n\r\npage"
}

// hintSite sets headers, calls f, and answers with its error, or "page".
func hintSite(f func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Set-Cookie", "secret")
		text := "page"
		if err := f(w, r); err != nil {
			text = err.Error()
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		io.WriteString(w, text)
	})
}

func TestEarlyHints(t *testing.T) {
	style := httpmw.Hint{Target: "/static/style.css", As: "style"}
	script := httpmw.Hint{Target: "/app.js?v=1,2", As: "script"}
	for _, tt := range []struct {
		name  string
		links []string // set before
		calls [][]httpmw.Hint
		want  string
	}{
		{"one", nil, [][]httpmw.Hint{{style}}, hintEarly(hintStyle) + hintFinal(hintStyle)},
		{"two", nil, [][]httpmw.Hint{{style, script}}, hintEarly(hintStyle, hintScript) + hintFinal(hintStyle, hintScript)},
		{"none", nil, [][]httpmw.Hint{{}}, hintFinal()},
		{"no calls", nil, nil, hintFinal()},
		{"without As", nil, [][]httpmw.Hint{{{Target: "/"}}}, hintEarly("</>; rel=preload") + hintFinal("</>; rel=preload")},
		{
			"a font", nil,
			[][]httpmw.Hint{{{Target: "/f.woff2", As: "font"}}},
			hintEarly("</f.woff2>; rel=preload; as=font; crossorigin") + hintFinal("</f.woff2>; rel=preload; as=font; crossorigin"),
		},
		{"twice in a call", nil, [][]httpmw.Hint{{style, style, {Target: "/static/style.css", As: "image"}}}, hintEarly(hintStyle) + hintFinal(hintStyle)},
		{"twice in two calls", nil, [][]httpmw.Hint{{style}, {style}}, hintEarly(hintStyle) + hintFinal(hintStyle)},
		{"two calls", nil, [][]httpmw.Hint{{style}, {style, script}}, hintEarly(hintStyle) + hintEarly(hintScript) + hintFinal(hintStyle, hintScript)},
		{"as path and URL", nil, [][]httpmw.Hint{{style, {Target: "http://EXAMPLE.com:80/static/style.css"}}}, hintEarly(hintStyle) + hintFinal(hintStyle)},
		{"as URL", nil, [][]httpmw.Hint{{{Target: "http://example.com/static/style.css", As: "style"}}}, hintEarly(hintStyle) + hintFinal(hintStyle)},
		{"as URL without a path", nil, [][]httpmw.Hint{{{Target: "http://example.com?a"}}}, hintEarly("</?a>; rel=preload") + hintFinal("</?a>; rel=preload")},
		{"in a header that is there", []string{hintStyle}, [][]httpmw.Hint{{style}}, hintFinal(hintStyle)},
		{
			"in a header that is there, in other words",
			[]string{`</a>; title="<,;rel=preload", <http://example.com/static/style.css>;as="style" ; REL="next Preload"`},
			[][]httpmw.Hint{{style}},
			hintFinal(`</a>; title="<,;rel=preload", <http://example.com/static/style.css>;as="style" ; REL="next Preload"`),
		},
		{
			"named in a text",
			[]string{`</a>; title="\", </static/style.css>; rel=preload, "`, `</static/style.css>; title="; rel=preload"`},
			[][]httpmw.Hint{{style}},
			hintEarly(hintStyle) + hintFinal(`</a>; title="\", </static/style.css>; rel=preload, "`, `</static/style.css>; title="; rel=preload"`, hintStyle),
		},
		{
			"beside a header that is there",
			[]string{"</static/style.css>; rel=canonical; rel=preload", "<broken"},
			[][]httpmw.Hint{{style}},
			hintEarly(hintStyle) + hintFinal("</static/style.css>; rel=canonical; rel=preload", "<broken", hintStyle),
		},
	} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/1.0"} {
			conn := bodyServeTCP(t, hintSite(func(w http.ResponseWriter, r *http.Request) error {
				if tt.links != nil {
					w.Header()["Link"] = tt.links
				}
				for _, hints := range tt.calls {
					if err := httpmw.EarlyHints(w, r, hints...); err != nil {
						return err
					}
				}
				return nil
			}))()
			if _, err := io.WriteString(conn, "POST / "+proto+"\r\nHost: example.com\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if proto == "HTTP/1.0" { // no 1xx (RFC 9110 section 15.2)
				want = strings.Replace(want[strings.LastIndex(want, "HTTP/1.1"):], "1.1", "1.0", 1)
			} else {
				want = strings.Replace(want, "Content-Length: 4\r\n", "Content-Length: 4\r\nConnection: close\r\n", 1)
			}
			if got := bodyDate.ReplaceAllString(string(got), ""); !hintSame(got, want) {
				t.Errorf("%s, %s: %q, want %q", tt.name, proto, got, want)
			}
		}
	}
}

// hintSame compares responses whose headers may stand in any order, the responses in order.
func hintSame(a, b string) bool {
	as, bs := strings.Split(a, "\r\n\r\n"), strings.Split(b, "\r\n\r\n")
	return slices.EqualFunc(as, bs, bodySameLines)
}

// hintRefused are targets for a request to example.com over http.
var hintRefused = []string{
	"", "style.css", "./a", "?a", "#a", "/a#b", "http://example.com/#", "//evil.example/a", "//example.com/a", "/\\evil.example/a", "\\\\evil.example",
	"/a\\b", "http:x", "http:/a", "http:", "http://", "http:///a", "https://example.com/a", "ftp://example.com/a", "http://evil.example/a",
	"http://example.com:8080/a", "http://example.com:443/a", "http://u@example.com/a", "http://u:p@example.com/a", "http://example.com@evil.example/a",
	"http://example.com.evil.example/a", "http://example.com//evil.example/a", "javascript:alert(1)", "data:text/css,a",
	"/a b", " /a", "/a\n", "/a\r\nSet-Cookie: x=y", "/a\x00", "/a\x7f", "/é", "/a>b", "/a<b", "/a\"b", "/a{b}", "/%zz", "/a`", "/a|b", "/a^b",
	"http://[::1/a", "http://example.com:x/a",
}

// One target that is refused keeps all back, and the response is as it would be without.
func TestEarlyHintsOfOtherAuthorities(t *testing.T) {
	for _, target := range hintRefused {
		w := httptest.NewRecorder()
		w.Header().Set("Link", "</kept>; rel=next")
		r := httptest.NewRequest("GET", "/", http.NoBody)
		err := httpmw.EarlyHints(hintNot1xx{w, t}, r, httpmw.Hint{Target: "/fine"}, httpmw.Hint{Target: target})
		if err == nil {
			t.Errorf("EarlyHints of %q = nil, want an error", target)
		}
		if err == nil || !strings.HasPrefix(err.Error(), "httpmw: ") {
			t.Errorf("EarlyHints of %q = %v, want an error of httpmw", target, err)
		}
		if got := w.Header()["Link"]; !slices.Equal(got, []string{"</kept>; rel=next"}) {
			t.Errorf("EarlyHints of %q left Link: %q", target, got)
		}
		if err := httpmw.Push(hintNoPush{w, t}, r, "/fine", target); err == nil {
			t.Errorf("Push of %q = nil, want an error", target)
		}
	}
	for _, as := range []string{"a b", "style; rel=x", "style\r\nX: y", "\"style\"", "a,b", "é"} {
		w := httptest.NewRecorder()
		err := httpmw.EarlyHints(hintNot1xx{w, t}, httptest.NewRequest("GET", "/", http.NoBody), httpmw.Hint{Target: "/fine", As: as})
		if err == nil || len(w.Header()) != 0 {
			t.Errorf("EarlyHints as %q = %v with headers %v, want an error and none", as, err, w.Header())
		}
	}
}

// hintNot1xx fails a test that sends a header.
type hintNot1xx struct {
	http.ResponseWriter
	t *testing.T
}

func (h hintNot1xx) WriteHeader(status int) { h.t.Errorf("status %d was sent", status) }

// hintNoPush fails a test that pushes.
type hintNoPush struct {
	http.ResponseWriter
	t *testing.T
}

func (h hintNoPush) Push(target string, _ *http.PushOptions) error {
	h.t.Errorf("%q was pushed", target)
	return nil
}

// What an authority is compared with.
func TestEarlyHintsOfTheOwnAuthority(t *testing.T) {
	for _, tt := range []struct {
		host, target string
		tls          bool
	}{
		{"example.com", "http://example.com/a", false},
		{"example.com:80", "http://example.com/a", false},
		{"example.com", "http://Example.COM:80/a", false},
		{"example.com:", "http://example.com/a", false},
		{"example.com:8080", "http://example.com:8080/a", false},
		{"example.com", "https://example.com/a", true},
		{"example.com:443", "HTTPS://example.com/a", true},
		{"[::1]:443", "https://[::1]/a", true},
		{"example.com", "/a", true},
	} {
		r := httptest.NewRequest("GET", "/", http.NoBody)
		r.Host = tt.host
		if tt.tls {
			r.TLS = new(tls.ConnectionState)
		}
		w := httptest.NewRecorder()
		if err := httpmw.EarlyHints(w, r, httpmw.Hint{Target: tt.target}); err != nil {
			t.Errorf("%s: %v", tt.host, err)
		}
		if got := w.Header().Get("Link"); got != "</a>; rel=preload" {
			t.Errorf("%s, %s: Link: %s, want that of /a", tt.host, tt.target, got)
		}
	}
	for _, tt := range [][2]string{{"example.com:8080", "http://example.com/a"}, {"example.com", "http://example.com:8080/a"}, {"[::1]", "http://[::2]/a"}} {
		r := httptest.NewRequest("GET", "/", http.NoBody)
		r.Host = tt[0]
		if err := httpmw.EarlyHints(httptest.NewRecorder(), r, httpmw.Hint{Target: tt[1]}); err == nil {
			t.Errorf("%s from %s = nil, want an error", tt[1], tt[0])
		}
	}
}

// It is too late, and a second status would be in the log of the server.
func TestEarlyHintsAfterTheResponseBegan(t *testing.T) {
	conn := bodyServeTCP(t, bodyWrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		if err := httpmw.EarlyHints(w, r, httpmw.Hint{Target: "/a"}); err == nil {
			t.Error("EarlyHints after the response began = nil, want an error")
		}
	}), bodyRecord))()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, want := bodyAnswer(t, bufio.NewReader(conn), "GET"), "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("response = %q, want %q", got, want)
	}
}

// Headers that were not set before are not there afterwards.
func TestEarlyHintsRestoreHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	if err := httpmw.EarlyHints(w, httptest.NewRequest("GET", "/", http.NoBody), httpmw.Hint{Target: "/a"}); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(w.Header()), "map[Link:[</a>; rel=preload]]"; got != want {
		t.Errorf("headers = %s, want %s", got, want)
	}
}

// net/http panics below if the goroutine that it belongs to has ended. The headers must
// be what they were.
func TestEarlyHintsRestoreHeadersAfterAPanic(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Length", "3")
	w.Header().Set("X", "y")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_ = httpmw.EarlyHints(hintPanics{w}, httptest.NewRequest("GET", "/", http.NoBody), httpmw.Hint{Target: "/a"})
	}()
	if got := fmt.Sprint(w.Header()); got != "map[Content-Length:[3] X:[y]]" {
		t.Errorf("headers = %s", got)
	}
}

type hintPanics struct{ http.ResponseWriter }

func (hintPanics) WriteHeader(int) { panic("net/http's") }

func TestEarlyHintsOverHTTP2(t *testing.T) {
	client, url, _ := bodyHTTP2(t, bodyWrap(hintSite(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Length", "4")
		return httpmw.EarlyHints(w, r, httpmw.Hint{Target: "/static/style.css", As: "style"})
	}), bodyRecord))
	var early []textproto.MIMEHeader
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code != 103 {
				t.Errorf("status %d, want 103", code)
			}
			early = append(early, header)
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, "GET", url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if string(b) != "page" || err != nil || resp.Proto != "HTTP/2.0" {
		t.Errorf("%s %q, %v, want page", resp.Proto, b, err)
	}
	if got := fmt.Sprint(early); got != "[map[Link:["+hintStyle+"]]]" {
		t.Errorf("early = %s, want only the link", got)
	}
	if resp.Header.Get("Link") != hintStyle || resp.Header.Get("Cache-Control") != "no-store" || resp.ContentLength != 4 {
		t.Errorf("headers = %v", resp.Header)
	}
}

// However a target is written, what goes out is one line, and a link to the same host.
func FuzzEarlyHints(f *testing.F) {
	f.Add("/static/style.css", "style") // fine
	f.Add("http://example.com/a?b", "") // fine, as a URL
	for _, target := range hintRefused {
		f.Add(target, "style")
	}
	f.Fuzz(func(t *testing.T, target, as string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://example.com/page", http.NoBody)
		err := httpmw.EarlyHints(w, r, httpmw.Hint{Target: target, As: as})
		links := w.Header()["Link"]
		if err != nil {
			if len(links) != 0 {
				t.Errorf("an error, and Link: %q", links)
			}
			return
		}
		if len(links) != 1 || strings.Count(links[0], "<") != 1 || strings.ContainsAny(links[0], "\r\n\"\\") {
			t.Fatalf("Link: %q", links)
		}
		link, _, ok := strings.Cut(strings.TrimPrefix(links[0], "<"), ">; rel=preload")
		u, err := r.URL.Parse(link)
		if err != nil || !ok || u.Scheme != "http" || u.Host != "example.com" || u.User != nil {
			t.Errorf("EarlyHints of %q leads to %v, %v", target, u, err)
		}
		before := len(links)
		if err := httpmw.EarlyHints(w, r, httpmw.Hint{Target: target, As: as}); err != nil || len(w.Header()["Link"]) != before {
			t.Errorf("a second time: %v, Link: %q", err, w.Header()["Link"])
		}
	})
}
