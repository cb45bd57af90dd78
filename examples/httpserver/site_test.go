package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// A file may take longer than a page, as long as its client goes on reading.
func TestSlowDownload(t *testing.T) {
	const size = 1 << 20 // more than the network holds for a client that does not read
	files := os.DirFS(newFolder(t, map[string]string{"large": strings.Repeat("x", size)}))
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		l, err := network.Listen("tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() {
			server := httpmw.NewServer(newHandler(files, slog.New(slog.DiscardHandler), new(httpmw.ConnGauge)), nil)
			served <- httpmw.Run(ctx, server, l, time.Second)
		}()
		transport := &http.Transport{DialContext: network.DialContext}
		resp, err := (&http.Client{Transport: transport}).Get("http://127.0.0.1/static/large")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var n int64
		for range 10 {
			time.Sleep(pageTime / 2)
			m, err := io.CopyN(io.Discard, resp.Body, size/20)
			if n += m; err != nil {
				t.Fatalf("after %d bytes: %v", n, err)
			}
		}
		m, err := io.Copy(io.Discard, resp.Body)
		if n += m; n != size || err != nil {
			t.Errorf("%d bytes of %d, %v", n, size, err)
		}
		transport.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// A brokenFS has a bug.
type brokenFS struct{}

func (brokenFS) Open(string) (fs.File, error) { panic("a bug") }

// A bug is a 500, which the record and the counts show, and the next request is served.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	handler := newHandler(brokenFS{}, slog.New(slog.NewJSONHandler(&log, nil)), new(httpmw.ConnGauge))
	for _, path := range []string{"/2", "/static/file"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 500 || strings.Contains(w.Body.String(), "bug") {
			t.Errorf("%s: %d, %q", path, w.Code, w.Body)
		}
	}
	if n := strings.Count(log.String(), `"status_code":500`); n != 2 {
		t.Errorf("%d records of a 500 in\n%s", n, &log)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`http_requests_total{method="GET",class="5xx",pattern="/2"} 1`,
		`http_requests_total{method="GET",class="5xx",pattern="/static/"} 1`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+want+"\n") {
			t.Errorf("no line %s in\n%s", want, w.Body)
		}
	}
}

// A body that no route wants is refused by its length, whatever the route says.
func TestLongBody(t *testing.T) {
	d := start(t, "http", "-files", "files")
	client := newClient(t, false, nil)
	for size, want := range map[int]int{maxBody: 405, maxBody + 1: 413} {
		resp, err := client.Post("http://"+d.Addr+"/2", "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != want {
			t.Errorf("%d bytes: %s, %v, want %d", size, resp.Status, err, want)
		}
	}
	d.End(t)
}
