package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

func TestMain(m *testing.M) {
	os.Exit(rig.Main(m, map[string]func(){"gcp": main}))
}

// serve starts the program on a port that was free a moment ago, and returns when it
// listens there. The framework does not tell its port, so another process may have come
// first; then the next one is tried.
func serve(t *testing.T, env ...string) (p *rig.Program, url string) {
	t.Helper()
	for range 10 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		p := rig.Start(t, "gcp", append(env, "PORT="+port)...)
		if listens(t, p, addr) {
			return p, "http://" + addr
		}
	}
	t.Fatal("the program found no port")
	return nil, ""
}

// listens waits until the program takes connections, or ends because it cannot.
func listens(t *testing.T, p *rig.Program, addr string) bool {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	limit := time.After(rig.Limit)
	for {
		if conn, err := net.DialTimeout("tcp", addr, rig.Limit); err == nil {
			conn.Close()
			return true
		}
		select {
		case <-p.Ended():
			if !strings.Contains(p.Stderr.String(), "address already in use") {
				t.Fatalf("the program ended: %s", p.Stderr)
			}
			return false
		case <-limit:
			t.Fatal("the program does not listen")
		case <-again.C:
		}
	}
}

// post sends a request, and returns the status, the state of the feed and the body.
func post(t *testing.T, url, body string) (status int, state, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get(xkcd.FeedHeader), string(b)
}

func TestRequests(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk, rig.Tea)
	f.Fail(http.StatusServiceUnavailable)
	p, url := serve(t, "FUNCTION_TARGET=LatestXKCD", xkcd.FeedVariable+"="+f.URL)
	check := func(body string, wantStatus int, wantState, want string) {
		t.Helper()
		status, state, answer := post(t, url, body)
		if status != wantStatus || state != wantState || !strings.HasPrefix(answer, `{"title":"`+want+`",`) {
			t.Errorf("%s: %d, %s, %s", body, status, state, answer)
		}
	}
	check("{}", 200, "unavailable", "xkcd.com")
	f.Publish(rig.Walk, rig.Tea)
	check("{}", 200, "fresh", "A walk")
	check(`{"previous":true}`, 200, "fresh", `Tea \u0026 toast`)
	check(`{"refresh":true}`, 200, "fresh", "A walk")
	check("previous", 400, "", "xkcd.com")
	f.Fail(http.StatusServiceUnavailable)
	check("", 200, "stale", "A walk")
	want := `whole: 503|whole: 200|since "v2": 304|refresh: 200|since "v2": 503`
	if got := strings.Join(f.Requests(), "|"); got != want {
		t.Errorf("the feed was asked %s, want %s", got, want)
	}
	p.Log(t, func(log string) bool {
		return strings.Count(log, `"severity":"INFO"`) == 6 && strings.Count(log, `"feed_error"`) == 2
	})
}

// Without a target each function is served by its name.
func TestRequestsByName(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk)
	_, url := serve(t, xkcd.FeedVariable+"="+f.URL)
	if status, _, answer := post(t, url+"/LatestXKCD", "{}"); status != 200 || !strings.HasPrefix(answer, `{"title":"A walk",`) {
		t.Errorf("%d, %s", status, answer)
	}
	if status, _, _ := post(t, url+"/", "{}"); status != 404 {
		t.Errorf("%d", status)
	}
}

func TestFunctionThatDoesNotExist(t *testing.T) {
	t.Setenv("FUNCTION_TARGET", "Oldest")
	t.Setenv("PORT", "1")
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), nil, &stdout, &stderr)
	if want := "cmd: no matching function found with name: \"Oldest\"\n"; status != 1 || stderr.String() != want {
		t.Errorf("status %d, %s", status, &stderr)
	}
}

func TestWrongUse(t *testing.T) {
	for _, tt := range []struct {
		name, port string
		args       []string
		status     int
		stderr     string
	}{
		{"a word", "http", nil, 1, "cmd: PORT is \"http\", and no port\n"},
		{"zero", "0", nil, 1, "cmd: PORT is \"0\", and no port\n"},
		{"too large", "65536", nil, 1, "cmd: PORT is \"65536\", and no port\n"},
		{"an argument", "", []string{"x"}, 2, "cmd: unexpected argument \"x\"\n"},
		{"a flag", "", []string{"-x"}, 2, "flag provided but not defined: -x\nUsage of cmd:\n"},
		{"help", "", []string{"-h"}, 0, "Usage of cmd:\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PORT", tt.port)
			var stdout, stderr bytes.Buffer
			if status := run(t.Context(), tt.args, &stdout, &stderr); status != tt.status || stderr.String() != tt.stderr || stdout.Len() != 0 {
				t.Errorf("status %d, %q, %q", status, &stdout, &stderr)
			}
		})
	}
}
