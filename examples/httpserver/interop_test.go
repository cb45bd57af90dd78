package main

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/internal/interop"
)

// output runs a program and returns all that it prints.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// startBoth runs the program without TLS and with it.
func startBoth(t *testing.T) (plain, secure *daemon.Daemon, id *identity) {
	t.Helper()
	id = newIdentity(t)
	plain = start(t, "http", "-files", "files")
	secure = start(t, "https", "-files", "files", "-cert", id.cert, "-key", id.key)
	t.Cleanup(func() {
		plain.End(t)
		secure.End(t)
	})
	return plain, secure, id
}

func TestInteropCurl(t *testing.T) {
	curl := interop.Command(t, "curl", "curl")
	plain, secure, id := startBoth(t)
	for _, tt := range []struct {
		name    string
		url     string
		args    []string
		version string
	}{
		{"HTTP 1", "http://" + plain.Addr, []string{"--http1.1"}, "1.1"},
		{"HTTP 2 without TLS", "http://" + plain.Addr, []string{"--http2-prior-knowledge"}, "2"},
		{"HTTP 1 that offers an upgrade", "http://" + plain.Addr, []string{"--http2"}, "1.1"},
		{"HTTP 1 over TLS", "https://" + secure.Addr, []string{"--http1.1"}, "1.1"},
		{"HTTP 2 over TLS", "https://" + secure.Addr, []string{"--http2"}, "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			get := func(path string, args ...string) string {
				t.Helper()
				all := append([]string{"--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--cacert", id.root, "--path-as-is"}, tt.args...)
				return output(t, curl, append(append(all, args...), tt.url+path)...)
			}
			const end = "%{http_code} %{http_version}"
			for _, route := range []struct{ path, part, end string }{
				{"/", "<h1>A walk</h1>", "200 " + tt.version},
				{"/2", "<h1>At home</h1>", "200 " + tt.version},
				{"/static/style.css", "line-height", "200 " + tt.version},
				{"/static/.secret", "404 page not found", "404 " + tt.version},
				{"/static/%2esecret", "404 page not found", "404 " + tt.version},
				{"/static/.dir/secret", "404 page not found", "404 " + tt.version},
				{"/metrics", "http_requests_total{", "200 " + tt.version},
			} {
				if out := get(route.path, "--write-out", end); !strings.Contains(out, route.part) || !strings.HasSuffix(out, route.end) {
					t.Errorf("%s: want %q and %q in\n%s", route.path, route.part, route.end, out)
				}
			}
			// Curl shows informational responses as they come.
			if out := get("/", "--include"); !strings.HasPrefix(out, "HTTP/"+tt.version+" 103") || !strings.Contains(out, "\nHTTP/"+tt.version+" 200") {
				t.Errorf("with its headers, / is\n%s", out)
			}
		})
	}
}

// Nghttp takes pushes, and tells each frame.
func TestInteropNghttpSeesThePushes(t *testing.T) {
	nghttp := interop.Command(t, "nghttp", "nghttp2-client")
	plain, secure, _ := startBoth(t)
	for _, url := range []string{"http://" + plain.Addr + "/", "https://" + secure.Addr + "/"} {
		// -y: the certificate is of an authority that nghttp cannot be told of.
		out := output(t, nghttp, "-nvy", "--timeout=20", url)
		for _, path := range []string{"/static/style.css", "/static/hiking.svg"} {
			// The fields of a frame stand before it.
			promise := regexp.MustCompile(`recv \(stream_id=\d+\) :path: ` + regexp.QuoteMeta(path) + `\n(.* recv \(stream_id=.*\n)*.* recv PUSH_PROMISE frame`)
			if !promise.MatchString(out) {
				t.Errorf("%s: no promise of %s in\n%s", url, path, out)
			}
		}
		if n := strings.Count(out, "recv PUSH_PROMISE frame"); n != 2 {
			t.Errorf("%s: %d promises, want 2", url, n)
		}
		if n := strings.Count(out, ":status: 200"); n != 3 {
			t.Errorf("%s: %d responses with 200, want the page and two pushes:\n%s", url, n, out)
		}

		out = output(t, nghttp, "-nvy", "--no-push", "--timeout=20", url)
		if strings.Contains(out, "PUSH_PROMISE") || !strings.Contains(out, ":status: 103") || !strings.Contains(out, ":status: 200") {
			t.Errorf("%s: without pushes:\n%s", url, out)
		}
	}
}

func TestInteropH2load(t *testing.T) {
	h2load := interop.Command(t, "h2load", "nghttp2-client")
	plain, secure, _ := startBoth(t)
	for _, tt := range []struct {
		url  string
		args []string
	}{
		{"http://" + plain.Addr, nil},
		{"http://" + plain.Addr, []string{"--h1"}},
		{"https://" + secure.Addr, nil},
		{"https://" + secure.Addr, []string{"--h1"}},
	} {
		args := append([]string{"-n", "2000", "-c", "10", "-m", "10"}, tt.args...)
		out := output(t, h2load, append(args, tt.url+"/", tt.url+"/static/hiking.svg")...)
		for _, want := range []string{
			"2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout",
			", 0 4xx, 0 5xx\n", // of HTTP/2 it takes the 103 of "/" for a 3xx
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s %q: no %q in\n%s", tt.url, tt.args, want, out)
			}
		}
	}
}
