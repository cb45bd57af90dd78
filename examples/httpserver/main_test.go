package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
)

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// start runs the program on a port of its own choice.
func start(t *testing.T, scheme string, args ...string) *daemon.Daemon {
	t.Helper()
	return daemon.Start(t, run, scheme, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
}

// newClient returns a client of one protocol, with or without TLS.
func newClient(t *testing.T, http2 bool, id *identity) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	switch {
	case !http2:
		transport.Protocols.SetHTTP1(true)
	case id == nil:
		transport.Protocols.SetUnencryptedHTTP2(true)
	default:
		transport.Protocols.SetHTTP2(true)
	}
	if id != nil {
		transport.TLSClientConfig = id.client(t)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: limit}
}

// send sends a request and reads the response to its end.
func send(t *testing.T, c *http.Client, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
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

// routeTests are what a client gets from the folder of this repository.
var routeTests = []struct {
	path        string
	status      int
	contentType string
	part        string // of the body
	pattern     string // in the record
}{
	{"/", 200, "text/html; charset=utf-8", "<h1>A walk</h1>", "/{$}"},
	{"/2", 200, "text/html; charset=utf-8", "<h1>At home</h1>", "/2"},
	{"/static/style.css", 200, "text/css; charset=utf-8", "line-height", "/static/"},
	{"/static/hiking.svg", 200, "image/svg+xml", "A walker", "/static/"},
	{"/static/sage.svg", 200, "image/svg+xml", "Sage", "/static/"},
	{"/static/", 200, "text/html; charset=utf-8", "<h1>A walk</h1>", "/static/"},
	{"/static/.secret", 404, "text/plain; charset=utf-8", "404 page not found\n", "/static/"},
	{"/static/.dir/secret", 404, "text/plain; charset=utf-8", "404 page not found\n", "/static/"},
	{"/static/missing", 404, "text/plain; charset=utf-8", "404 page not found\n", "/static/"},
	{"/static/style.css/below", 404, "text/plain; charset=utf-8", "404 page not found\n", "/static/"},
	{"/favicon.ico", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
	{"/3", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
	{"/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "# TYPE http_requests_total counter\n", "/metrics"},
	{"/metrics/", 200, "text/plain; version=0.0.4; charset=utf-8", "# TYPE http_requests_total counter\n", "/metrics/{$}"},
}

func TestRoutes(t *testing.T) {
	id := newIdentity(t)
	for _, tt := range []struct {
		name  string
		http2 bool
		id    *identity
		proto string
	}{
		{"HTTP 1", false, nil, "HTTP/1.1"},
		{"HTTP 2 without TLS", true, nil, "HTTP/2.0"},
		{"HTTP 1 over TLS", false, id, "HTTP/1.1"},
		{"HTTP 2 over TLS", true, id, "HTTP/2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scheme, args := "http", []string{"-files", "files"}
			if tt.id != nil {
				scheme, args = "https", append(args, "-cert", id.cert, "-key", id.key)
			}
			d := start(t, scheme, args...)
			client := newClient(t, tt.http2, tt.id)
			for _, route := range routeTests {
				resp, body := send(t, client, http.MethodGet, scheme+"://"+d.Addr+route.path)
				if resp.StatusCode != route.status || !strings.Contains(body, route.part) || resp.Proto != tt.proto {
					t.Errorf("GET %s: %d over %s, want %d over %s, body with %q:\n%.200s", route.path, resp.StatusCode, resp.Proto, route.status, tt.proto, route.part, body)
				}
				if got := resp.Header.Get("Content-Type"); got != route.contentType {
					t.Errorf("GET %s: Content-Type %q, want %q", route.path, got, route.contentType)
				}
				if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
					t.Errorf("GET %s: X-Content-Type-Options %q", route.path, got)
				}
				head, body := send(t, client, http.MethodHead, scheme+"://"+d.Addr+route.path)
				if head.StatusCode != route.status || body != "" || head.Header.Get("Content-Type") != route.contentType {
					t.Errorf("HEAD %s: %d, %q, body %q", route.path, head.StatusCode, head.Header.Get("Content-Type"), body)
				}
			}
			client.CloseIdleConnections() // which the program would wait for a second for
			d.End(t)
			checkRecords(t, d.Stderr.String(), tt.proto)
		})
	}
}

// checkRecords checks that each request of TestRoutes has one line in the log, and nothing
// else has one.
func checkRecords(t *testing.T, log, proto string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(log) {
		var record struct {
			Msg        string
			StatusCode int `json:"status_code"`
			Method     string
			URI        string
			Pattern    string
			Proto      string
			Duration   time.Duration
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%v in the log:\n%s", err, log)
		}
		if record.Msg != "request" || record.Duration <= 0 || record.Proto != proto {
			t.Errorf("the record %s", line)
		}
		got = append(got, fmt.Sprint(record.Method, record.URI, record.StatusCode, record.Pattern))
	}
	var want []string
	for _, tt := range routeTests {
		for _, method := range []string{"GET", "HEAD"} {
			want = append(want, fmt.Sprint(method, tt.path, tt.status, tt.pattern))
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("the records are of\n%s\nwant\n%s", g, w)
	}
}

// The counts are of patterns, however many paths were asked for.
func TestMetrics(t *testing.T) {
	d := start(t, "http", "-files", "files")
	client := newClient(t, false, nil)
	for _, path := range []string{"/", "/", "/2", "/static/style.css", "/static/.secret", "/a", "/b"} {
		send(t, client, http.MethodGet, "http://"+d.Addr+path)
	}
	send(t, client, http.MethodPost, "http://"+d.Addr+"/2")
	_, text := send(t, client, http.MethodGet, "http://"+d.Addr+"/metrics")
	for _, want := range []string{
		`http_requests_total{method="GET",class="2xx",pattern="/{$}"} 2`,
		`http_requests_total{method="GET",class="2xx",pattern="/2"} 1`,
		`http_requests_total{method="POST",class="4xx",pattern="/2"} 1`,
		`http_requests_total{method="GET",class="2xx",pattern="/static/"} 1`,
		`http_requests_total{method="GET",class="4xx",pattern="/static/"} 1`,
		`http_requests_total{method="GET",class="4xx",pattern="unmatched"} 2`,
		`http_request_duration_seconds_count{method="GET",class="2xx",pattern="/{$}"} 2`,
		`http_requests_in_flight 1`, // the one that asks
		`http_open_connections 1`,
		`http_hijacked_connections_total 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	d.End(t)
}

// A request that is in flight when the signal comes ends well, and the program with it;
// others are refused by then.
func TestGracefulStop(t *testing.T) {
	for name, tt := range map[string]struct {
		http2 bool
		size  int64
	}{
		"HTTP 1": {false, 32 << 20}, // more than the kernel holds for a client that does not read
		"HTTP 2": {true, 8 << 20},   // more than the client's window
	} {
		t.Run(name, func(t *testing.T) {
			dir := newFolder(t, map[string]string{"large": ""})
			if err := os.Truncate(filepath.Join(dir, "large"), tt.size); err != nil {
				t.Fatal(err)
			}
			d := start(t, "http", "-files", dir)
			resp, err := newClient(t, tt.http2, nil).Get("http://" + d.Addr + "/static/large")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			ended := make(chan struct{})
			go func() {
				d.End(t)
				close(ended)
			}()
			refused(t, d.Addr)
			if n, err := io.Copy(io.Discard, resp.Body); n != tt.size || err != nil {
				t.Errorf("%d bytes of %d, %v", n, tt.size, err)
			}
			<-ended
		})
	}
}

// until calls f until it reports true.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); !f(); <-again.C {
		if time.Since(begin) > limit {
			t.Fatalf("%s: waited for %v", what, limit)
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
		{"-cert", "c.pem"},
		{"-key", "k.pem"},
		{"-cert", "", "-key", "k.pem"},
		{"-cert", "c.pem", "-key", ""},
		{"-cert", "", "-key", ""}, // variables of a script that are empty
		{"-files", ""},
		{"-no-such-flag"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(over(t), args, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, &stdout)
		}
		if !strings.Contains(stderr.String(), "Usage of httpserver") {
			t.Errorf("%q: stderr %q has no usage", args, &stderr)
		}
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &stdout, &stderr); status != 0 {
		t.Errorf("-h: exit status %d", status)
	}
}

// What keeps the program from serving is told at once, in one line that says what it is
// about.
func TestFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	id, other := newIdentity(t), newIdentity(t)
	none := filepath.Join(t.TempDir(), "none")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"taken port":                 {[]string{"-listen", taken, "-files", "files"}, taken},
		"no port":                    {[]string{"-listen", "nowhere", "-files", "files"}, "nowhere"},
		"missing folder":             {[]string{"-files", none}, "-files"},
		"missing folder by default":  {nil, `there is no folder "./files"`},
		"file as the folder":         {[]string{"-files", id.cert}, id.cert},
		"missing certificate":        {[]string{"-files", "files", "-cert", none, "-key", id.key}, none},
		"missing key":                {[]string{"-files", "files", "-cert", id.cert, "-key", none}, none},
		"key of another certificate": {[]string{"-files", "files", "-cert", id.cert, "-key", other.key}, other.key},
		"key as the certificate":     {[]string{"-files", "files", "-cert", id.key, "-key", id.key}, id.key},
	} {
		t.Run(name, func(t *testing.T) {
			args := tt.args
			if args == nil {
				t.Chdir(t.TempDir())
				args = []string{"-listen", "127.0.0.1:0"}
			}
			var stdout, stderr bytes.Buffer
			if status := run(over(t), args, &stdout, &stderr); status != 1 || stdout.Len() > 0 {
				t.Errorf("exit status %d, stdout %q, want 1 and nothing", status, &stdout)
			}
			s := stderr.String()
			if !strings.HasPrefix(s, "httpserver: ") || strings.Count(s, "\n") != 1 || !strings.Contains(s, tt.want) {
				t.Errorf("stderr %q, want one line with %q", s, tt.want)
			}
		})
	}
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Nobody would learn the port if the first line cannot be written.
func TestFirstLineThatFails(t *testing.T) {
	var stderr bytes.Buffer
	status := run(over(t), []string{"-listen", "127.0.0.1:0", "-files", "files"}, brokenOutput{}, &stderr)
	if want := "httpserver: broken pipe\n"; status != 1 || stderr.String() != want {
		t.Errorf("exit status %d, stderr %q, want 1 and %q", status, &stderr, want)
	}
}

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("HTTPSERVER_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// program starts the program as a process, and returns its address.
func program(t *testing.T, stderr io.Writer, files string) (cmd *exec.Cmd, addr string) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-listen", "127.0.0.1:0", "-files", files)
	cmd.Env = append(os.Environ(), "HTTPSERVER_TEST_MAIN=1")
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, daemon.FirstLine(t, stdout, "http")
}

// Both signals end the program well.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		var stderr bytes.Buffer
		cmd, addr := program(t, &stderr, "files")
		if resp, _ := send(t, newClient(t, false, nil), http.MethodGet, "http://"+addr+"/"); resp.StatusCode != 200 {
			t.Errorf("%v: status %s", sig, resp.Status)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v, stderr %q", sig, err, &stderr)
		}
	}
}
