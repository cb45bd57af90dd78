package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/backend/service"
	"github.com/netparts/netparts/internal/daemon"
)

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// startBoth runs the backend and the front.
func startBoth(t *testing.T) (backend, front *daemon.Daemon) {
	t.Helper()
	backend = daemon.Start(t, service.Run, "http", "-listen", "127.0.0.1:0")
	front = daemon.Start(t, run, "http", "-listen", "127.0.0.1:0", "-backend", backend.Addr, "-files", "files")
	return backend, front
}

// newClient returns a client whose connections end with the test.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: limit}
}

// get asks for a URL and reads the response to its end. Header has names and values in turn.
func get(t *testing.T, client *http.Client, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header[header[i]] = []string{header[i+1]}
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// One port: files by their names, the page of the backend below its path, and nothing with
// a dot.
func TestFront(t *testing.T) {
	backend, front := startBoth(t)
	client := newClient(t)
	for _, tt := range []struct {
		method, path string
		status       int
		kind, part   string // of the response
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "<h1>The front</h1>"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8", "line-height"},
		{"GET", "/hiking.svg", 200, "image/svg+xml", "A tent"},
		{"GET", "/sage.svg", 200, "image/svg+xml", "sage"},
		{"HEAD", "/style.css", 200, "text/css; charset=utf-8", ""},
		{"POST", "/style.css", 405, "text/plain; charset=utf-8", ""},
		{"GET", "/backend", 200, "text/html; charset=utf-8", "<h1>The backend</h1>"},
		{"GET", "/backend/", 200, "text/html; charset=utf-8", "<h1>The backend</h1>"},
		{"GET", "/backend/this/is/a/test", 200, "text/html; charset=utf-8", "<h1>The backend</h1>"},
		{"GET", "/backend/.x", 200, "text/html; charset=utf-8", "<h1>The backend</h1>"}, // whose names are its own
		{"GET", "/%62ackend", 200, "text/html; charset=utf-8", "<h1>The backend</h1>"},
		{"HEAD", "/backend", 200, "text/html; charset=utf-8", ""},
		{"POST", "/backend", 405, "text/plain; charset=utf-8", ""}, // says the backend
		{"GET", "/backends", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/BACKEND", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "//backend", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/missing", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/.secret", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/%2esecret", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/%252esecret", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/.dir/secret", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/.dir/", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"GET", "/backend/../.secret", 400, "text/plain; charset=utf-8", "Bad Request\n"},
		{"GET", "/backend/%2e%2e/admin", 400, "text/plain; charset=utf-8", "Bad Request\n"},
		{"GET", "/backend%2f..%2fadmin", 400, "text/plain; charset=utf-8", "Bad Request\n"},
		{"GET", `/backend/..%5cadmin`, 400, "text/plain; charset=utf-8", "Bad Request\n"},
		{"GET", "/a/..", 400, "text/plain; charset=utf-8", "Bad Request\n"},
		{"TRACE", "/backend", 405, "text/plain; charset=utf-8", ""},
	} {
		resp, body := get(t, client, tt.method, "http://"+front.Addr+tt.path)
		if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.kind || !strings.Contains(body, tt.part) {
			t.Errorf("%s %s: %d, %q, %.100q, want %d, %q, %q", tt.method, tt.path, resp.StatusCode, resp.Header.Get("Content-Type"), body, tt.status, tt.kind, tt.part)
		}
	}
	client.CloseIdleConnections()
	front.End(t)
	backend.End(t)
	if strings.Contains(backend.Stderr.String(), "secret") || strings.Contains(backend.Stderr.String(), "admin") {
		t.Errorf("the backend has seen what is not its own:\n%s", backend.Stderr)
	}
}

// The backend logs the client whom the front has seen, and not whom a client pretends to be.
func TestForwardedFor(t *testing.T) {
	backend, front := startBoth(t)
	client := newClient(t)
	get(t, client, "GET", "http://"+front.Addr+"/backend/honest")
	get(t, client, "GET", "http://"+front.Addr+"/backend/forged", "X-Forwarded-For", "192.0.2.66")
	get(t, client, "GET", "http://"+backend.Addr+"/direct", "X-Forwarded-For", "192.0.2.66")
	client.CloseIdleConnections()
	front.End(t)
	backend.End(t)
	lines := strings.Split(strings.TrimSuffix(backend.Stderr.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d records:\n%s", len(lines), backend.Stderr)
	}
	for i, want := range [][]string{
		{`"uri":"/backend/honest"`, `"x_forwarded_for":"127.0.0.1"`, `"remote_addr":"127.0.0.1"`},
		{`"uri":"/backend/forged"`, `"x_forwarded_for":"127.0.0.1"`, `"remote_addr":"127.0.0.1"`},
		// Who reaches the backend without the front can claim anything.
		{`"uri":"/direct"`, `"x_forwarded_for":"192.0.2.66"`, `"remote_addr":"127.0.0.1"`},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("no %s in %s", part, lines[i])
			}
		}
	}
}

// over returns a context that has ended: a program that would serve, where it should
// refuse to, ends at once.
func over(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"argument"},
		{"-listen", ""},
		{"-backend", ""},
		{"-backend", "localhost"},
		{"-backend", ":8080"},
		{"-backend", "localhost:"},
		{"-backend", "localhost:0"},
		{"-backend", "localhost:65536"},
		{"-backend", "localhost:-1"},
		{"-backend", "localhost:http"},
		{"-backend", "user@localhost:8080"},
		{"-backend", "local host:8080"},
		{"-backend", "localhost/backend:8080"},
		{"-backend", "localhost?a:8080"},
		{"-backend", "http://localhost:8080"},
		{"-files", ""},
		{"-no-such-flag"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(over(t), args, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, &stdout)
		}
		if !strings.Contains(stderr.String(), "Usage of proxyhttp") {
			t.Errorf("%q: stderr %q has no usage", args, &stderr)
		}
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &stdout, &stderr); status != 0 {
		t.Errorf("-h: exit status %d", status)
	}
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// What keeps the program from serving is told at once, in one line that says what it is
// about.
func TestFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	none := filepath.Join(t.TempDir(), "none")
	for name, tt := range map[string]struct {
		args   []string
		stdout io.Writer
		want   string
	}{
		"taken port":       {[]string{"-listen", l.Addr().String(), "-files", "files"}, io.Discard, l.Addr().String()},
		"no port":          {[]string{"-listen", "nowhere", "-files", "files"}, io.Discard, "nowhere"},
		"missing folder":   {[]string{"-files", none}, io.Discard, "name the one with the files by -files"},
		"file as a folder": {[]string{"-files", filepath.Join("files", "style.css")}, io.Discard, "style.css"},
		"no first line":    {[]string{"-listen", "127.0.0.1:0", "-files", "files"}, brokenOutput{}, "broken pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			status := run(over(t), tt.args, tt.stdout, &stderr)
			s := stderr.String()
			if status != 1 || !strings.HasPrefix(s, "proxyhttp: ") || strings.Count(s, "\n") != 1 || !strings.Contains(s, tt.want) {
				t.Errorf("exit status %d, stderr %q, want 1 and one line with %q", status, s, tt.want)
			}
		})
	}
}
