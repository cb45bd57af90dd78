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

	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
	"github.com/netparts/netparts/internal/daemon"
)

const (
	walkJSON = `{"title":"A walk","url":"https://comics.example/2/","published":"Tue, 03 Mar 2026 08:00:00 +0000"}` + "\n"
	teaJSON  = `{"title":"Tea \u0026 toast","url":"https://comics.example/1/","published":"Mon, 02 Mar 2026 08:00:00 +0000"}` + "\n"
)

func TestMain(m *testing.M) {
	os.Exit(rig.Main(m, map[string]func(){"azure": main}))
}

// send sends a request as the host does.
func send(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
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

func TestRequests(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk, rig.Tea)
	p := rig.Start(t, "azure", portVariable+"=0", xkcd.FeedVariable+"="+f.URL)
	url := p.FirstURL(t)
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("the program listens on %s", url)
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", functionPath, "{}", 200, walkJSON},
		{"POST", functionPath, `{"previous":true}`, 200, teaJSON},
		{"POST", strings.ToLower(functionPath), "", 200, walkJSON},
		{"POST", functionPath + "?code=key", "{}", 200, walkJSON},
		{"POST", functionPath, "{", 400, `{"title":"xkcd.com","url":"https://xkcd.com/","published":""}` + "\n"},
		{"GET", functionPath, "", 405, "Method Not Allowed\n"},
		{"GET", "/", "", 404, "404 page not found\n"}, // the host asks whether it is up
		{"POST", functionPath + "/", "{}", 404, "404 page not found\n"},
	} {
		resp, body := send(t, tt.method, url+tt.path, tt.body)
		if resp.StatusCode != tt.status || body != tt.want {
			t.Errorf("%s %s %s: %d, %q, want %d, %q", tt.method, tt.path, tt.body, resp.StatusCode, body, tt.status, tt.want)
		}
	}
	want := "whole: 200|" + strings.Repeat(`since "v1": 304|`, 3)
	if got := strings.Join(f.Requests(), "|") + "|"; got != want {
		t.Errorf("the feed was asked %s, want %s", got, want)
	}
}

// The program in the process of its test, where the race detector looks on, answers
// several requests at once.
func TestRequestsAtOnce(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk, rig.Tea)
	t.Setenv(portVariable, "0")
	t.Setenv(xkcd.FeedVariable, f.URL)
	d := daemon.Start(t, run, "http")
	done := make(chan string)
	const callers = 10
	for range callers {
		go func() {
			resp, err := http.Post("http://"+d.Addr+functionPath, "application/json", strings.NewReader(`{"previous":true}`))
			if err != nil {
				done <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				done <- err.Error()
				return
			}
			done <- string(b)
		}()
	}
	for range callers {
		if got := <-done; got != teaJSON {
			t.Errorf("%s", got)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	d.End(t)
	if n := strings.Count(d.Stderr.String(), `"status_code":200`); n != callers {
		t.Errorf("%d records, want %d:\n%s", n, callers, d.Stderr)
	}
}

func TestWrongUse(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, err := net.SplitHostPort(busy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, port, feed string
		args             []string
		status           int
		stderr           string // how it begins
	}{
		{"no port", "", "", nil, 1, "azure: FUNCTIONS_CUSTOMHANDLER_PORT is not set: the host of Azure Functions sets it\n"},
		{"a word", "http", "", nil, 1, "azure: FUNCTIONS_CUSTOMHANDLER_PORT is \"http\", and no port\n"},
		{"too large", "65536", "", nil, 1, "azure: FUNCTIONS_CUSTOMHANDLER_PORT is \"65536\", and no port\n"},
		{"an address", "127.0.0.1:80", "", nil, 1, "azure: FUNCTIONS_CUSTOMHANDLER_PORT is \"127.0.0.1:80\", and no port\n"},
		{"a port that is taken", port, "", nil, 1, "azure: listen tcp 127.0.0.1:" + port + ": "},
		{"no URL", "0", "comics", nil, 1, "azure: xkcd: the URL of the feed is no http or https URL\n"},
		{"an argument", "0", "", []string{"x"}, 2, "azure: unexpected argument \"x\"\n"},
		{"a flag", "0", "", []string{"-x"}, 2, "flag provided but not defined: -x\n"},
		{"help", "0", "", []string{"-h"}, 0, "Usage of azure:\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(portVariable, tt.port)
			t.Setenv(xkcd.FeedVariable, tt.feed)
			var stdout, stderr bytes.Buffer
			if status := run(t.Context(), tt.args, &stdout, &stderr); status != tt.status || !strings.HasPrefix(stderr.String(), tt.stderr) || stdout.Len() != 0 {
				t.Errorf("status %d, %q, %q", status, &stdout, &stderr)
			}
			if n := strings.Count(stderr.String(), "\n"); tt.status == 1 && n != 1 {
				t.Errorf("%d lines: %s", n, &stderr)
			}
		})
	}
}
