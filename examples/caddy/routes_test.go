package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// startBackend starts the program behind, which says what reached it.
func startBackend(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "backend: %s for %s", r.URL.Path, strings.Join(r.Header["X-Forwarded-For"], " and "))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// front returns the server of caddy.toml, with addresses and a folder that tests can use.
func front(t *testing.T, backend string) object {
	t.Helper()
	server := adapted(t)["apps"].(object)["http"].(object)["servers"].(object)["test_server"].(object)
	server["listen"] = []string{"127.0.0.1:0"}
	handler(server, 0, 0)["upstreams"] = []object{{"dial": backend}}
	handler(server, 1, 1)["root"] = folder(t)
	return server
}

// handler returns a handler of a route of a server.
func handler(server object, route, i int) object {
	return server["routes"].([]any)[route].(object)["handle"].([]any)[i].(object)
}

// folder returns the path of the files.
func folder(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("files")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// caddy.toml does what it says: a program and a folder on one port.
func TestRoutes(t *testing.T) {
	server := front(t, startBackend(t))
	load(t, configuration(object{"front": server}))
	for _, tt := range []struct {
		path   string
		status int
		part   string // of the body
	}{
		{"/", 200, "<h1>In front</h1>"},
		{"/index.html", 200, "<h1>In front</h1>"},
		{"/style.css", 200, "line-height"},
		{"/sage.svg", 200, "Sage in a pot"},
		{"/hiking.svg", 200, "A walker"},
		{"/backend", 200, "backend: /backend for"},
		{"/backend/", 200, "backend: /backend/ for"},
		{"/backend/this/is/a/test", 200, "backend: /backend/this/is/a/test for"},
		{"/backend/.x", 200, "backend: /backend/.x for"}, // the guard is in the other route
		{"/backends", 404, ""},
		{"/missing", 404, ""},
		{"/.secret", 404, ""},
		{"/.dir/secret", 404, ""},
		{"/files/.secret", 404, ""}, // there is no such file: this alone would prove nothing
	} {
		status, body := get(t, "front", tt.path)
		if status != tt.status || !strings.Contains(body, tt.part) {
			t.Errorf("GET %s: %d, want %d and %q:\n%s", tt.path, status, tt.status, tt.part, body)
		}
	}

	// Without the guard the same paths give the files away.
	route := server["routes"].([]any)[1].(object)
	route["handle"] = route["handle"].([]any)[1:]
	load(t, configuration(object{"front": server}))
	for _, path := range []string{"/.secret", "/.dir/secret"} {
		want, err := os.ReadFile(filepath.Join("files", path))
		if err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, "front", path); status != 200 || body != string(want) {
			t.Errorf("GET %s without the guard: %d %q, want 200 %q", path, status, body, want)
		}
	}
}

// The order of routes is the order in the file. A route without a matcher fits every
// request, and file_server answers every one: what stands behind it is never reached.
func TestDefaultRouteFirst(t *testing.T) {
	server := front(t, startBackend(t))
	slices.Reverse(server["routes"].([]any))
	load(t, configuration(object{"front": server}))
	if status, _ := get(t, "front", "/"); status != 200 {
		t.Errorf("GET /: %d", status)
	}
	if status, body := get(t, "front", "/backend"); status != 404 {
		t.Errorf("GET /backend: %d %q, want 404 from the files", status, body)
	}
}

// Who wants the guard for the program behind as well gives it a route of its own in front.
// A handler that does not answer lets the routes go on.
func TestGuardForAll(t *testing.T) {
	server := front(t, startBackend(t))
	guard := object{"handle": []object{{"handler": "restrict_prefix"}}} // "." is the default
	server["routes"] = append([]any{guard}, server["routes"].([]any)...)
	load(t, configuration(object{"front": server}))
	for path, want := range map[string]int{"/backend": 200, "/backend/.x": 404, "/": 200, "/.secret": 404} {
		if status, body := get(t, "front", path); status != want {
			t.Errorf("GET %s: %d, want %d: %s", path, status, want, body)
		}
	}
}

// The program behind sees Caddy as its peer. Caddy says whom it serves in X-Forwarded-For,
// and does not pass on what the client says there, for a client may say anything. So the
// program may believe the header if its peer is Caddy, and only then.
func TestForwardedFor(t *testing.T) {
	load(t, configuration(object{"front": front(t, startBackend(t))}))
	url := "http://" + address(t, "front") + "/backend"
	for name, forged := range map[string][]string{"none": nil, "forged": {"203.0.113.9"}} {
		_, body := do(t, newClient(t, nil), http.MethodGet, url, "", http.Header{"X-Forwarded-For": forged})
		if want := "backend: /backend for 127.0.0.1"; body != want {
			t.Errorf("%s: %q, want %q", name, body, want)
		}
	}
}

// hidden is a table for two servers: one path and what each has to answer.
var hidden = []struct {
	path   string
	status int
}{
	{"/style.css", 200},
	{"/a%20file", 200},
	{"/.secret", 404},
	{"/.dir/secret", 404},
	{"/.dir/", 404},
	{"/.dir", 404},
	{"/.missing", 404},
	{"/%2esecret", 404},
	{"/%2Esecret", 404},
	{"/%252esecret", 404},
	{"/%25252esecret", 404},
	{"/.dir%2fsecret", 404},
	{"/%2edir%2fsecret", 404},
	{"//.secret", 404},
	{"/./.secret", 404},
	{"/x/../.secret", 404},
	{"/x/..%2f.secret", 404},
	{"/..%5c.secret", 404},
	{"/%5c.secret", 404},
	{"/%c0%aesecret", 404},
	{"/.dir/../style.css", 404}, // another server may take another way through this
	{"/.well-known", 200},       // exempt
	{"/.well-known2", 404},
}

// One rule, two servers: middleware for net/http and the module of Caddy, which runs it over
// a bridge, hide the same paths. Each answers for a hidden path exactly as it does for a
// missing one, so that nobody learns what there is.
func TestSameRuleForBoth(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("files")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a file", ".well-known", ".well-known2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guard := httpmw.RestrictPrefix(".", &httpmw.RestrictOptions{Exempt: []string{".well-known"}})
	plain := httptest.NewServer(guard(http.FileServerFS(os.DirFS(dir))))
	t.Cleanup(plain.Close)
	load(t, configuration(object{"front": object{
		"listen": []string{"127.0.0.1:0"},
		"routes": []object{{"handle": []object{
			{"handler": "restrict_prefix", "exempt": []string{".well-known"}},
			{"handler": "file_server", "root": dir},
		}}},
	}}))

	client := newClient(t, nil)
	for name, url := range map[string]string{"net/http": plain.URL, "Caddy": "http://" + address(t, "front")} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			absent := answer(t, client, method, url+"/missing")
			for _, tt := range hidden {
				got := answer(t, client, method, url+tt.path)
				if got.Status != tt.status {
					t.Errorf("%s: %s %s: %d, want %d", name, method, tt.path, got.Status, tt.status)
				}
				if tt.status == 404 && !reflect.DeepEqual(got, absent) {
					t.Errorf("%s: %s %s: %+v\nand what is missing: %+v", name, method, tt.path, got, absent)
				}
			}
		}
	}
}

// A reply is all that a client can see of an answer but the time.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

func answer(t *testing.T, client *http.Client, method, url string) reply {
	t.Helper()
	resp, body := do(t, client, method, url, "", nil)
	resp.Header.Del("Date")
	return reply{resp.StatusCode, resp.Header, body}
}

// A page for errors is shown for what is hidden as it is for what is missing.
func TestErrorPage(t *testing.T) {
	server := front(t, "127.0.0.1:1")
	server["errors"] = object{"routes": []object{{"handle": []object{
		{"handler": "static_response", "status_code": "{http.error.status_code}", "body": "nothing at {http.request.uri}: {http.error.message}, {http.error.status_text}"},
	}}}}
	load(t, configuration(object{"front": server}))
	for _, path := range []string{"/missing", "/.secret"} {
		if status, body := get(t, "front", path); status != 404 || body != "nothing at "+path+": Not Found, Not Found" {
			t.Errorf("GET %s: %d %q", path, status, body)
		}
	}
}

// The log says what was restricted, and by which prefix. A line cannot be forged by a path
// with line breaks.
func TestRestrictedIsLogged(t *testing.T) {
	config := configuration(object{"front": front(t, "127.0.0.1:1")})
	config["logging"].(object)["logs"].(object)["default"].(object)["level"] = "DEBUG"
	load(t, config)
	before := len(log.since(0))
	get(t, "front", "/.secret%0A%7B%22level%22:%22error%22%7D")
	get(t, "front", "/style.css")

	type record struct{ Level, Logger, Msg, Prefix, Path string }
	var restricted []record
	for line := range bytes.Lines(log.since(before)) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Logger == "http.handlers.restrict_prefix" || r.Level == "error" {
			restricted = append(restricted, r)
		}
	}
	want := []record{{"debug", "http.handlers.restrict_prefix", "restricted", ".", "/.secret\n{\"level\":\"error\"}"}}
	if !reflect.DeepEqual(restricted, want) {
		t.Errorf("%+v, want %+v", restricted, want)
	}
}
