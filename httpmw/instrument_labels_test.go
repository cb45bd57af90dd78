package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

func TestInstrumentHosts(t *testing.T) {
	l := newInstrumentLog()
	h := httpmw.Instrument(l, &httpmw.InstrumentOptions{
		Hosts: []string{"Example.COM", "www.example.com.", "[2001:DB8::1]", "::1", "192.0.2.1"},
	})(http.NotFoundHandler())
	for _, tt := range []struct{ host, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.com", "example.com"},
		{"example.com:8080", "example.com"},
		{"example.com.", "example.com"},
		{"example.com.:443", "example.com"},
		{"example.com:", "example.com"},
		{"www.example.com", "www.example.com"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:DB8::1]:80", "2001:db8::1"},
		{"[::1]:80", "::1"},
		{"192.0.2.1:80", "192.0.2.1"},
		{"", ""},
		{".", ""},
		{":80", ""},
		{"[", ""},
		{"[::1", ""},
		{"example.com..", ""},
		{"example.org", ""},
		{"a.example.com", ""},
		{"exámple.com", ""},
		{strings.Repeat("a", 257), ""},
		{strings.Repeat("a", 1<<20) + ":80", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = tt.host
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got := l.next(t).Host; got != tt.want {
			t.Errorf("the host %.40q is labelled %q, want %q", tt.host, got, tt.want)
		}
	}
}

func TestInstrumentMistakesPanic(t *testing.T) {
	hosts := func(h ...string) func() {
		return func() { httpmw.Instrument(newInstrumentLog(), &httpmw.InstrumentOptions{Hosts: h}) }
	}
	for _, tt := range []struct {
		name string
		call func()
		want string
	}{
		{"no observer", func() { httpmw.Instrument(nil, nil) }, "nil Observer"},
		{"host with port", hosts("a", "example.com:80"), `"example.com:80"`},
		{"address with port", hosts("[::1]:80"), `"[::1]:80"`},
		{"empty host", hosts(""), `""`},
		{"half an address", hosts("[::1"), `"[::1"`},
		{"long host", hosts(strings.Repeat("a", 257)), `"aaaa`},
		{"metrics", func() { httpmw.Instrument(&httpmw.Metrics{Namespace: "a-b"}, nil) }, `"a-b"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "httpmw: ") || !strings.Contains(got, tt.want) {
					t.Errorf("the panic's value is %q, want httpmw: and %q", got, tt.want)
				}
			}()
			tt.call()
		})
	}
}

func TestInstrumentPatternOfTheOptions(t *testing.T) {
	l := newInstrumentLog()
	var pattern string
	h := httpmw.Instrument(l, &httpmw.InstrumentOptions{Pattern: func(r *http.Request) string {
		if pattern == "panic" {
			panic("as intended")
		}
		return pattern
	}})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Pattern = "not this" }))
	for _, tt := range []struct{ pattern, want string }{{"/a", "/a"}, {"", "unmatched"}, {"panic", "unmatched"}} {
		pattern = tt.pattern
		func() {
			defer func() { _ = recover() }() // the last one's
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		if got := l.next(t); got.Pattern != tt.want || got.Status != 200 {
			t.Errorf("Pattern() = %q: got %+v, want the pattern %q", tt.pattern, got, tt.want)
		}
	}
}

// When http.ServeMux redirects CONNECT to a subtree, r.Pattern is what the client asked for.
func TestInstrumentBelievesNoPatternOfTheClient(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/users/{id}/", http.NotFoundHandler())
	mux.Handle("/", http.NotFoundHandler())
	mux.Handle("CONNECT /tunnels/", http.NotFoundHandler())
	l := newInstrumentLog()
	addr := instrumentServer(t, httpmw.Instrument(l, nil)(mux))
	conn := connect(t, "tcp", addr)
	br := bufio.NewReader(conn)
	for _, tt := range []struct {
		method, path, want string
		status             int
	}{
		{"CONNECT", "/users/4711", "unmatched", 307},
		{"GET", "/users/4711", "/users/{id}/", 307},
		{"CONNECT", "/", "/", 404},
		{"CONNECT", "/tunnels/x", "CONNECT /tunnels/", 404},
	} {
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", tt.method, tt.path)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if o := l.next(t); o.Pattern != tt.want || o.Status != tt.status {
			t.Errorf("%s %s: got %+v, want pattern %q and status %d", tt.method, tt.path, o, tt.want, tt.status)
		}
	}
}
