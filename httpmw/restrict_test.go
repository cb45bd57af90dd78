package httpmw_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/netparts/netparts/httpmw"
)

// secret is in every file that a test restricts, and in no other.
const secret = "SECRET"

// restrictFiles has restricted files in several depths, for several prefixes.
func restrictFiles() fstest.MapFS {
	files := fstest.MapFS{}
	for _, name := range []string{"pub.txt", "dir/pub.txt", "dir/sub/pub.txt", ".well-known/acme-challenge/x", "100%.txt", "a+b", "index/index.html"} {
		files[name] = &fstest.MapFile{Data: []byte("public " + name), Mode: 0o644}
	}
	for _, name := range []string{".secret", ".dir/secret", "dir/.secret", "dir/sub/.deep/er/secret", "...", "dir/.well-known2", ".%2e"} {
		files[name] = &fstest.MapFile{Data: []byte(secret + " " + name), Mode: 0o644}
	}
	return files
}

// restrictRaw sends a request line and headers as they are, and returns the response as it
// is, without the Date.
func restrictRaw(tb testing.TB, srv *httptest.Server, line string, headers ...string) string {
	tb.Helper()
	conn := connect(tb, "tcp", srv.Listener.Addr().String())
	defer conn.Close()
	headers = append([]string{line, "Host: example.com", "Connection: close"}, headers...)
	if _, err := fmt.Fprintf(conn, "%s\r\n\r\n", strings.Join(headers, "\r\n")); err != nil {
		tb.Fatal(err)
	}
	var kept strings.Builder
	in := bufio.NewReader(conn)
	for {
		text, err := in.ReadString('\n')
		if !strings.HasPrefix(text, "Date: ") {
			kept.WriteString(text)
		}
		if err == io.EOF {
			return kept.String()
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// restrictStatus returns the status of a raw response.
func restrictStatus(tb testing.TB, raw string) int {
	tb.Helper()
	status, err := strconv.Atoi(strings.Fields(raw + " - -")[1])
	if err != nil {
		tb.Fatalf("no response: %q", raw)
	}
	return status
}

// restrictGet sends a request with Go's client, which leaves the path alone, and returns
// the status and all of the response but the Date.
func restrictGet(tb testing.TB, srv *httptest.Server, method, path string, headers ...string) (int, string) {
	tb.Helper()
	u, err := url.Parse(srv.URL + path)
	if err != nil {
		tb.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Header: http.Header{}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := srv.Client().Do(req.WithContext(tb.Context()))
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if srv.EnableHTTP2 != (resp.ProtoMajor == 2) {
		tb.Fatalf("served with %s", resp.Proto)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	var all bytes.Buffer
	fmt.Fprintln(&all, resp.Proto, resp.Status)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		if name != "Date" {
			fmt.Fprintln(&all, name, resp.Header[name])
		}
	}
	fmt.Fprintf(&all, "%s", body)
	return resp.StatusCode, all.String()
}

// A restrictCase is a request's path, as it stands in the request line.
type restrictCase struct {
	path    string
	blocked bool
}

var restrictTables = []struct {
	name, prefix string
	opts         *httpmw.RestrictOptions
	cases        []restrictCase
}{
	{"dot", ".", nil, []restrictCase{
		{"/", false},
		{"/pub.txt", false},
		{"/a.b/c.d", false},
		{"/.secret", true},
		{"/.dir/secret", true},
		{"/.dir/", true},
		{"/dir/.secret", true},
		{"/dir/sub/.deep/er/secret", true},
		{"/pub.txt?x=/.secret", false}, // a query is no path

		// Navigation.
		{"/.", false},
		{"/..", false},
		{"/./pub.txt", false},
		{"/../pub.txt", false},
		{"/dir/../pub.txt", false},
		{"/dir/..", false},
		{"/.dir/../pub.txt", true}, // though it is clean in the end
		{"/...", true},
		{"/.../pub.txt", true},
		{"/..;/pub.txt", true},
		{"/.;/pub.txt", true},
		{"/..secret", true},

		// What others take for a separator.
		{"//pub.txt", false},
		{"//.secret", true},
		{"///dir//.secret", true},
		{`/dir\pub.txt`, false},
		{`/dir\.secret`, true},
		{`/\.secret`, true},
		{`/.\pub.txt`, false},
		{`/..\pub.txt`, false},
		{"/dir%5c.secret", true},
		{"/dir%2f.secret", true},
		{"/x%00.secret", true},
		{"/%00.secret", true},
		{"/x%00", false},
		{"/.%00", false},

		// Decoded once, by net/http, twice, three and four times.
		{"/%2esecret", true},
		{"/%2Edir/secret", true},
		{"/%2e%2e/pub.txt", false},
		{"/%252esecret", true},
		{"/%252e%252e/pub.txt", false},
		{"/dir%252f%252esecret", true},
		{"/dir%252f.secret", true},
		{"/dir%255c.secret", true},
		{"/dir%2500.secret", true},
		{"/%25252esecret", true},
		{"/%2525252esecret", true},
		{"/%252525252esecret", true},
		{"/%25252e", false},
		{"/%2525252e", false},
		{"/%252525252e", true}, // would go on
		{"/pub%25252520.txt", false},
		{"/pub%2525252520.txt", true},
		{"/%25%32%65secret", true},
		{"/%25%32%35%32%65secret", true},
		{"/%2%2565secret", false}, // no valid URL, see below
		{"/%25%25%32%65secret", false},
		{"/%25%32%25%36%35secret", true},
		{"/%252%2565secret", true},

		// "%" that is no encoding.
		{"/100%25", false},
		{"/100%25.txt", false},
		{"/%25zz/pub.txt", false},
		{"/%25zz/.secret", true},
		{"/%25zz/%252esecret", true},
		{"/%252", false},
		{"/%25/%252", false},
		{"/a+b", false},
		{"/a+.secret", false},
		{"/a%252b.secret", false},

		// UTF-8, and what is not.
		{"/caf%c3%a9", false},
		{"/caf%25c3%25a9", false},
		{"/%25e2%2582%25ac", false},
		{"/%25f0%259f%2598%2580/%2520", false},
		{"/caf%e9", false},         // Latin-1
		{"/caf%e9%25zz", false},    // the same, and nothing to decode
		{"/caf%25e9", true},        // decoding again gave it
		{"/caf%e9%2520", true},     //
		{"/%25e2%2582/x", true},    // cut short
		{"/%25e2%2582", true},      //
		{"/%25ed%25a0%2580", true}, // half a surrogate pair
		{"/%c0%aesecret", true},
		{"/%c0%ae%c0%ae/pub.txt", true},
		{"/dir%c0%af.secret", true},
		{"/%e0%80%aesecret", true},
		{"/%f0%80%80%aesecret", true},
		{"/%f8%80%80%80%aesecret", true},
		{"/%fc%80%80%80%80%aesecret", true},
		{"/%c1%9c", true},
		{"/%25c0%25aesecret", true},
		{"/%25e0%2580%25aesecret", true},
		{"/%2525c0%2525aesecret", true},
		{"/%c0.", false},
		{"/%c2%80", false},
		{"/%e0%a0%80", false},
		{"/%f0%90%80%80", false},
		{"/%e0%80", false},
		{"/%ff", false},
	}},
	{"dot, exempt", ".", &httpmw.RestrictOptions{Exempt: []string{".well-known", ".x"}}, []restrictCase{
		{"/.well-known", false},
		{"/.well-known/acme-challenge/x", false},
		{"/a/.x/b", false},
		{"/%2ewell-known/x", false},
		{"/%252ewell-known/x", false},
		{"/.well%252dknown/x", true}, // as it stands there it is another name
		{"/.well-known%252fx", true}, // so is this
		{"/.well-known%252e", true},
		{`/.well-known\x`, false},
		{"/.well-known/.secret", true},
		{"/.well-known2", true},
		{"/.well-know", true},
		{"/.Well-known", true},
		{"/.secret", true},
		{"/.xx", true},
	}},
	{"dot, final", ".", &httpmw.RestrictOptions{AllowEncodedPercent: true}, []restrictCase{
		{"/.secret", true},
		{"/%2esecret", true},
		{"/%252esecret", false},
		{"/%25252525252esecret", false},
		{"/%25c0%25ae", false},
		{"/%c0%aesecret", true},
	}},
	{"underscore", "_", nil, []restrictCase{
		{"/_x", true},
		{"/a/_", true},
		{"/x_", false},
		{"/.git", false},
		{"/%255fx", true},
	}},
	{"private-", "private-", nil, []restrictCase{
		{"/private-x", true},
		{"/private-", true},
		{"/private", false},
		{"/a/private", false},
		{"/PRIVATE-x", false}, // byte for byte
		{"/private%252dx", true},
		{"/p%2572ivate-x", true},
		{"/not-private-x", false},
		{"/private/-x", false},
	}},
	{"two dots", "..", nil, []restrictCase{
		{"/..", false},
		{"/.x", false},
		{"/..x", true},
	}},
	{"two bytes", "é", nil, []restrictCase{
		{"/%c3%a9cole", true},
		{"/%c3%a8re", false},
		{"/%c3", false},
		{"/%25c3%25a9cole", true},
		{"/%c3%25a9cole", true},
		{"/%25c3%25a8re", false},
		{"/%e0%83%a9cole", true}, // overlong
	}},
}

func TestRestrictPrefix(t *testing.T) {
	var handlers []http.Handler
	reached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, table := range restrictTables {
		handlers = append(handlers, httpmw.RestrictPrefix(table.prefix, table.opts)(reached))
	}
	choose := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.Header.Get("Table"))
		if err != nil {
			panic(err)
		}
		handlers[i].ServeHTTP(w, r)
	})
	h1, h2 := serve(t, choose, false), serve(t, choose, true)
	for i, table := range restrictTables {
		for _, tt := range table.cases {
			t.Run(table.name+" "+tt.path, func(t *testing.T) {
				header := "Table: " + strconv.Itoa(i)
				want := http.StatusNoContent
				if tt.blocked {
					want = http.StatusNotFound
				}
				_, err := url.ParseRequestURI(tt.path)
				if err != nil {
					want = http.StatusBadRequest // by net/http itself
				}
				if got := restrictStatus(t, restrictRaw(t, h1, "GET "+tt.path+" HTTP/1.1", header)); got != want {
					t.Errorf("HTTP/1.1: status %d, want %d", got, want)
				}
				if err != nil {
					return
				}
				if got, _ := restrictGet(t, h2, "GET", tt.path, header); got != want {
					t.Errorf("HTTP/2: status %d, want %d", got, want)
				}
			})
		}
	}
}

// Whatever the method is, and whichever form of a request line.
func TestRestrictPrefixRequestLines(t *testing.T) {
	files := httpmw.RestrictPrefix(".", nil)(http.FileServerFS(restrictFiles()))
	h1, h2 := serve(t, files, false), serve(t, files, true)
	missing := restrictRaw(t, h1, "GET /missing HTTP/1.1")
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "get", "X"} {
		want := missing
		if method == "HEAD" {
			want = restrictRaw(t, h1, "HEAD /missing HTTP/1.1")
		}
		for _, path := range []string{"/.secret", "/dir/.secret", "/%252esecret", "http://example.com/.secret", "http://example.com/%2edir/secret"} {
			if got := restrictRaw(t, h1, method+" "+path+" HTTP/1.1"); got != want {
				t.Errorf("%s %s:\n%s\nwant\n%s", method, path, got, want)
			}
		}
		if method == "CONNECT" { // has no path in HTTP/2
			continue
		}
		if got, all := restrictGet(t, h2, method, "/.secret"); got != http.StatusNotFound {
			t.Errorf("HTTP/2, %s: %s", method, all)
		}
	}
	for line, want := range map[string]int{
		"GET http://example.com HTTP/1.1":             200, // the root
		"GET http://example.com/dir/pub.txt HTTP/1.1": 200,
		"GET http:.secret HTTP/1.1":                   404, // opaque: there is no path
		"GET http:dir/pub.txt HTTP/1.1":               404,
		"GET .secret HTTP/1.1":                        400,
		"OPTIONS * HTTP/1.1":                          200, // net/http's own answer
		"GET * HTTP/1.1":                              404, // a file that is not there
		"CONNECT example.com:443 HTTP/1.1":            200, // no path: the root
		"GET /#/.secret HTTP/1.1":                     404, // a request has no fragments
		"GET /pub.txt#.secret HTTP/1.1":               404,
		"GET /.secret HTTP/1.0":                       404,
	} {
		raw := restrictRaw(t, h1, line)
		if got := restrictStatus(t, raw); got != want || strings.Contains(raw, secret) {
			t.Errorf("%s: status %d, want %d\n%s", line, got, want, raw)
		}
	}
}
