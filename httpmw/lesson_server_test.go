package httpmw_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// lessonLimits starts a server on a port of its own choice, and ends it with the test.
func lessonLimits(t *testing.T, srv *http.Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a taken port is told here, before anything is served
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- httpmw.Run(ctx, srv, l, patience) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return l.Addr().String()
}

// A server limits how long a client may take for the headers of a request, and how long
// it may hold a connection between two of them; how long a handler may take is said for
// the handler. A client that asks gets its answer, one that does not ask is cut.
func TestLessonServer(t *testing.T) {
	handler := httpmw.Chain(
		httpmw.Timeout(2*time.Minute, nil),
		httpmw.DrainAndClose(nil),
		httpmw.MaxBody(lessonLimit),
	)(lessonMethods())
	srv := httpmw.NewServer(handler, nil)
	srv.IdleTimeout = 5 * time.Minute
	addr := lessonLimits(t, srv)

	transport := new(http.Transport)
	client := &http.Client{Transport: transport, Timeout: patience}
	defer transport.CloseIdleConnections()
	for _, tt := range []struct {
		method, body string
		status       int
		want         string
	}{
		{http.MethodGet, "", 200, "Hello, friend!"},
		{http.MethodPost, "<world>", 200, "Hello, &lt;world&gt;!"},
		{http.MethodHead, "", 200, ""}, // what GET would answer, without its body
		{http.MethodPut, "", 405, "Method Not Allowed\n"},
	} {
		resp, got := lessonDo(t, client, false, tt.method, "http://"+addr, strings.NewReader(tt.body))
		if resp.StatusCode != tt.status || got != tt.want {
			t.Errorf("%s: %d, %q, want %d, %q", tt.method, resp.StatusCode, got, tt.status, tt.want)
		}
	}
}

// A client that begins a request and does not go on is cut after the one limit, and one
// that says nothing between two requests after the other. Without them both would hold a
// connection and a goroutine for as long as they like.
func TestLessonSlowClients(t *testing.T) {
	for _, tt := range []struct {
		name, sent, want string
		after            time.Duration
	}{
		{"says nothing", "", "", 10 * time.Second},
		{"ends in the middle of its headers", "GET / HTTP/1.1\r\nHost: a.example\r\n", "", 10 * time.Second},
		{"asks once", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.1 200 OK\r\n", 5 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := httpmw.NewServer(lessonMethods(), nil)
			srv.ReadHeaderTimeout, srv.IdleTimeout = 10*time.Second, 5*time.Minute
			var network memnet.Network
			l, err := network.Listen("tcp", "127.0.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(l) }()
			conn, err := network.Dial("tcp", "127.0.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begin := time.Now()
			if _, err := io.WriteString(conn, tt.sent); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn) // ends because the server ends the connection
			if err != nil || !bytes.HasPrefix(got, []byte(tt.want)) || tt.want == "" && len(got) > 0 {
				t.Errorf("a client that %s: %q, %v, want %q", tt.name, got, err, tt.want)
			}
			if after := time.Since(begin); after != tt.after {
				t.Errorf("a client that %s is cut after %v, want %v", tt.name, after, tt.after)
			}
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; err != http.ErrServerClosed {
				t.Errorf("Serve: %v, want %v", err, http.ErrServerClosed)
			}
		})
	}
}
