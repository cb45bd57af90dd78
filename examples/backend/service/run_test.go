package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/backend/service"
	"github.com/netparts/netparts/internal/daemon"
)

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// get asks for a path and returns the response with its body.
func get(t *testing.T, addr, method, path string, forwarded ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["X-Forwarded-For"] = forwarded
	req.Close = true
	client := &http.Client{Transport: &http.Transport{}, Timeout: limit}
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

// Every path has the page, and its record both addresses: of who has connected, and of
// whom that claims to have asked.
func TestPageAndRecord(t *testing.T) {
	d := daemon.Start(t, service.Run, "http", "-listen", "127.0.0.1:0")
	long := strings.Repeat("192.0.2.1, ", 99) + "192.0.2.1"
	tests := []struct {
		method, path string
		status       int
		forwarded    []string
		claim        string // in the record
	}{
		{"GET", "/", 200, nil, ""},
		{"GET", "/backend/this/is/a/test", 200, []string{"198.51.100.7"}, "198.51.100.7"},
		{"GET", "/a", 200, []string{"10.0.0.1", "198.51.100.7"}, "10.0.0.1, 198.51.100.7"},
		{"GET", "/b", 200, []string{`x" remote_addr="me` + "\u202e\t\xff"}, `x" remote_addr="me???`},
		{"GET", "/c", 200, []string{long, "198.51.100.7"}, "..." + (long + ", 198.51.100.7")[len(long+", 198.51.100.7")-256:]},
		{"HEAD", "/", 200, nil, ""},
		{"POST", "/", 405, nil, ""},
	}
	for _, tt := range tests {
		resp, body := get(t, d.Addr, tt.method, tt.path, tt.forwarded...)
		if resp.StatusCode != tt.status || tt.method == "GET" && !strings.Contains(body, "<h1>The backend</h1>") {
			t.Errorf("%s %s: %d, %.80q", tt.method, tt.path, resp.StatusCode, body)
		}
		if got := resp.Header.Get("Content-Type"); tt.status == 200 && got != "text/html; charset=utf-8" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, got)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s %s: X-Content-Type-Options %q", tt.method, tt.path, got)
		}
		// Links of the page belong to whoever has passed it on.
		for _, link := range []string{`href="/style.css"`, `src="/hiking.svg"`} {
			if tt.method == "GET" && !strings.Contains(body, link) {
				t.Errorf("no %s in %s", link, body)
			}
		}
	}
	d.End(t)
	lines := strings.Split(strings.TrimSuffix(d.Stderr.String(), "\n"), "\n")
	if len(lines) != len(tests) {
		t.Fatalf("%d records, want %d:\n%s", len(lines), len(tests), d.Stderr)
	}
	for i, tt := range tests {
		var record struct {
			RemoteAddr string `json:"remote_addr"`
			Claim      string `json:"x_forwarded_for"`
			URI        string
			StatusCode int `json:"status_code"`
		}
		if err := json.Unmarshal([]byte(lines[i]), &record); err != nil {
			t.Fatal(err)
		}
		if record.RemoteAddr != "127.0.0.1" || record.Claim != tt.claim || record.URI != tt.path || record.StatusCode != tt.status {
			t.Errorf("%s %s: %s", tt.method, tt.path, lines[i])
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
	for _, args := range [][]string{{"argument"}, {"-listen", ""}, {"-no-such-flag"}} {
		var stdout, stderr bytes.Buffer
		if status := service.Run(over(t), args, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, &stdout)
		}
		if !strings.Contains(stderr.String(), "Usage of backend") {
			t.Errorf("%q: stderr %q has no usage", args, &stderr)
		}
	}
	var stdout, stderr bytes.Buffer
	if status := service.Run(t.Context(), []string{"-h"}, &stdout, &stderr); status != 0 {
		t.Errorf("-h: exit status %d", status)
	}
}

// What keeps the program from serving is told at once, in one line.
func TestFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, tt := range map[string]struct {
		listen string
		stdout io.Writer
		want   string
	}{
		"taken port":      {l.Addr().String(), io.Discard, l.Addr().String()},
		"no port":         {"nowhere", io.Discard, "nowhere"},
		"no first line":   {"127.0.0.1:0", brokenOutput{}, "broken pipe"},
		"port of letters": {"127.0.0.1:web-", io.Discard, "web-"},
	} {
		var stderr bytes.Buffer
		status := service.Run(over(t), []string{"-listen", tt.listen}, tt.stdout, &stderr)
		s := stderr.String()
		if status != 1 || !strings.HasPrefix(s, "backend: ") || strings.Count(s, "\n") != 1 || !strings.Contains(s, tt.want) {
			t.Errorf("%s: exit status %d, stderr %q, want 1 and one line with %q", name, status, s, tt.want)
		}
	}
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
