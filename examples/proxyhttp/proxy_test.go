package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
)

// startFront runs the front before a backend of the test.
func startFront(t *testing.T, backend http.HandlerFunc) (front *daemon.Daemon, backendAddr string) {
	t.Helper()
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().String()
	return daemon.Start(t, run, "http", "-listen", "127.0.0.1:0", "-backend", addr, "-files", "files"), addr
}

// The backend gets what the client sent, but for the headers of one connection, and for
// those by which a client would be taken for another. Neither is there a trick by which
// a client could have the true ones removed.
func TestHeaders(t *testing.T) {
	var seen http.Header
	var host string
	front, backend := startFront(t, func(w http.ResponseWriter, r *http.Request) {
		seen, host = r.Header, r.Host
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-End", "1")
	})
	client := newClient(t)
	client.Transport.(*http.Transport).DisableCompression = true
	resp, _ := get(t, client, "GET", "http://"+front.Addr+"/backend?a=1",
		"X-Forwarded-For", "192.0.2.66",
		"X-Forwarded-Host", "forged.example",
		"X-Forwarded-Proto", "https",
		"X-Forwarded-Prefix", "/forged",
		"X_Forwarded_For", "192.0.2.66",
		"X-Real-Ip", "192.0.2.66",
		"Forwarded", "for=192.0.2.66",
		"Connection", "X-Forwarded-For, X-Forwarded-Host, X-Hop",
		"X-Hop", "1",
		"Keep-Alive", "1",
		"Proxy-Connection", "close",
		"Proxy-Authorization", "Basic eDp5",
		"Te", "gzip",
		"X-End", "1",
		"Cookie", "a=1",
		"User-Agent", "test",
	)
	front.End(t)
	want := http.Header{
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Host":  {front.Addr},
		"X-Forwarded-Proto": {"http"},
		"X-End":             {"1"},
		"Cookie":            {"a=1"},
		"User-Agent":        {"test"},
	}
	for name, values := range want {
		if !slices.Equal(seen[name], values) {
			t.Errorf("%s: %q, want %q", name, seen[name], values)
		}
		delete(seen, name)
	}
	if len(seen) > 0 || host != backend {
		t.Errorf("Host %q, and also %v", host, seen)
	}
	if resp.Header.Get("X-Hop") != "" || resp.Header.Get("X-End") != "1" {
		t.Errorf("the response has %v", resp.Header)
	}
}

// A stream arrives as the backend flushes it, whether its length is known or not.
func TestStream(t *testing.T) {
	next := make(chan struct{}, 1)
	front, _ := startFront(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			w.Header().Set("Content-Length", "3")
		}
		for _, piece := range []string{"a", "b", "c"} {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			io.WriteString(w, piece)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
	})
	client := newClient(t)
	for _, query := range []string{"", "?length"} {
		next <- struct{}{}
		resp, err := client.Get("http://" + front.Addr + "/backend" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for i, want := range []string{"a", "b", "c"} {
			if i > 0 {
				next <- struct{}{}
			}
			b := make([]byte, 1)
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != want {
				t.Fatalf("%q, %v, want %q", b, err, want)
			}
		}
		if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
			t.Errorf("and then %q, %v", rest, err)
		}
	}
	client.CloseIdleConnections()
	front.End(t)
}

// An upgraded connection carries bytes both ways until one
// end closes it.
func TestUpgrade(t *testing.T) {
	ended := make(chan error, 1)
	front, _ := startFront(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			http.Error(w, "Upgrade Required", http.StatusUpgradeRequired)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, err = io.Copy(conn, rw)
		ended <- err
	})
	conn, err := net.Dial("tcp", front.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /backend HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", front.Addr)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	for _, line := range []string{"ping\n", "pong\n"} {
		io.WriteString(conn, line)
		if got, err := r.ReadString('\n'); got != line || err != nil {
			t.Fatalf("%q, %v, want %q", got, err, line)
		}
	}
	conn.Close()
	select {
	case <-ended:
	case <-time.After(limit):
		t.Error("the backend's end is still open")
	}
	front.End(t)
}

// Only a WebSocket is upgraded. What the client would send as HTTP/2 on the connection would reach
// the backend past the front, with whatever it claims.
func TestOtherUpgrades(t *testing.T) {
	front, _ := startFront(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", []string{r.Header.Get("Connection"), r.Header.Get("Upgrade"), r.Header.Get("HTTP2-Settings")})
	})
	client := newClient(t)
	for _, protocol := range []string{"h2c", "H2C", "websocket, h2c", "TLS/1.0"} {
		resp, body := get(t, client, "GET", "http://"+front.Addr+"/backend",
			"Connection", "Upgrade, HTTP2-Settings", "Upgrade", protocol, "HTTP2-Settings", "AAMAAABkAAQAAP__")
		if want := `["" "" ""]`; resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d, the backend got %s, want %s", protocol, resp.StatusCode, body, want)
		}
	}
	client.CloseIdleConnections()
	front.End(t)
}

// A response that the backend breaks off does not pass for a whole one.
func TestHalfAResponse(t *testing.T) {
	front, _ := startFront(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	resp, err := newClient(t).Get("http://" + front.Addr + "/backend")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "half" || err == nil {
		t.Errorf("%q, %v, want the half and an error", b, err)
	}
	front.End(t)
}

// Headers are bounded in both directions.
func TestHugeHeaders(t *testing.T) {
	huge := strings.Repeat("x", 256<<10)
	front, _ := startFront(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "huge" {
			w.Header().Set("X-Huge", huge)
		}
	})
	client := newClient(t)
	for _, tt := range []struct {
		query, header string
		want          int
	}{{"", "", 200}, {"?huge", "", 502}, {"", huge, 431}} {
		// A connection that is refused amid a request may break before its answer is read.
		resp, err := rawGet(t, front.Addr, "/backend"+tt.query, tt.header)
		if err != nil || resp.StatusCode != tt.want {
			t.Errorf("%s with a header of %d bytes: %v, %v, want %d", tt.query, len(tt.header), resp, err, tt.want)
		}
	}
	client.CloseIdleConnections()
	front.End(t)
}

// rawGet sends a request and reads its response, although the request may not have gone out
// whole.
func rawGet(t *testing.T, addr, path, header string) (*http.Response, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Huge: %s\r\n\r\n", path, header)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// A request that is in flight when the signal comes is answered, and the program ends
// then.
func TestGracefulStop(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	front, _ := startFront(t, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		select {
		case <-release:
			io.WriteString(w, "late, but there")
		case <-r.Context().Done():
		}
	})
	client := newClient(t)
	type answer struct {
		body string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		resp, err := client.Get("http://" + front.Addr + "/backend")
		if err != nil {
			answered <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		answered <- answer{string(b), err}
	}()
	<-begun
	ended := make(chan struct{})
	go func() {
		front.End(t)
		close(ended)
	}()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := net.Dial("tcp", front.Addr)
		if err != nil {
			break // nobody listens any more
		}
		conn.Close()
		<-again.C
	}
	close(release)
	if got := <-answered; got.body != "late, but there" || got.err != nil {
		t.Errorf("%+v", got)
	}
	<-ended
}
