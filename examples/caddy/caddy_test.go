package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Caddy runs in the process of these tests, as a library. There is one of it in a process,
// so no two tests run at once.

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// asProgram is the variable that turns the test binary into the program itself, so that
// tests of the commands need not build it.
const asProgram = "CADDY_AS_PROGRAM"

// home is where Caddy keeps what it keeps, and admin the socket of the admin API.
var home, admin string

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(runTests(m))
}

// runTests gives Caddy a home of its own, so that nothing is left behind.
func runTests(m *testing.M) int {
	var err error
	if home, err = os.MkdirTemp("", "caddy"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(home)
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "AppData", "CADDY_ADMIN"} {
		if err := os.Setenv(name, home); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	// Caddy has looked at the environment before.
	caddy.ConfigAutosavePath = filepath.Join(caddy.AppConfigDir(), "autosave.json")
	caddy.DefaultStorage.Path = caddy.AppDataDir()

	// A socket in the file system, for a port would have to be known beforehand.
	admin = "unix/" + filepath.ToSlash(filepath.Join(home, "admin"))
	caddy.DefaultAdminListen = admin
	return m.Run()
}

// object is a JSON object.
type object = map[string]any

// configuration is a whole configuration with the given servers, that writes only below
// home.
func configuration(servers object) object {
	return object{
		"admin":   object{"listen": admin, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"writer": object{"output": "test_journal"}}}},
		"apps":    object{"http": object{"servers": servers}},
	}
}

// respond is a server that answers everything with a text.
func respond(body string, listen ...string) object {
	return object{
		"listen": listen,
		"routes": []object{{"handle": []object{{"handler": "static_response", "body": body}}}},
	}
}

// load runs a configuration until the test ends.
func load(t *testing.T, config object) {
	t.Helper()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := caddy.Load(encode(t, config), true); err != nil {
		t.Fatal(err)
	}
	log.settle(t)
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// address returns where the server of a name listens, also if it was told port 0.
func address(t *testing.T, server string) string {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		t.Fatal(err)
	}
	s := app.(*caddyhttp.App).Servers[server]
	if s == nil || len(s.Listeners()) == 0 {
		t.Fatalf("the server %q does not listen", server)
	}
	return s.Listeners()[0].Addr().String()
}

// freePorts returns the first of n ports in a row that are free on 127.0.0.1. They are not
// among those that systems give to port 0. Where a test can do with port 0 it does, since
// Caddy sets SO_REUSEPORT: two that take the same port would share it, without an error.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first := 20000 + rand.IntN(10000)
		free := 0
		for free < n && !listens("127.0.0.1", first+free) && canListen(first+free) {
			free++
		}
		if free == n {
			return first
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

func canListen(port int) bool {
	l, err := net.Listen("tcp", hostPort("127.0.0.1", port))
	return err == nil && l.Close() == nil
}

// listens reports whether a connection to a port succeeds.
func listens(host string, port int) bool {
	c, err := net.DialTimeout("tcp", hostPort(host, port), limit)
	return err == nil && c.Close() == nil
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// newClient returns a client that follows no redirects and connects by dial, if that is
// not nil.
func newClient(t *testing.T, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// onSocket returns a client that connects to a Unix socket, whatever the URL says.
func onSocket(t *testing.T, path string) *http.Client {
	t.Helper()
	return newClient(t, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	})
}

// do sends a request and reads the response to its end.
func do(t *testing.T, client *http.Client, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
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

// get asks the server of a name.
func get(t *testing.T, server, path string) (status int, body string) {
	t.Helper()
	resp, body := do(t, newClient(t, nil), http.MethodGet, "http://"+address(t, server)+path, "", nil)
	return resp.StatusCode, body
}

// api sends a request to the admin API. A body is JSON unless its type is given.
func api(t *testing.T, method, path, body string, contentType ...string) (status int, answer string) {
	t.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	if len(contentType) > 0 {
		header["Content-Type"] = contentType
	}
	resp, answer := apiHeader(t, method, path, body, header)
	return resp.StatusCode, answer
}

// apiHeader is api with a header.
func apiHeader(t *testing.T, method, path, body string, header http.Header) (resp *http.Response, answer string) {
	t.Helper()
	resp, answer = do(t, onSocket(t, strings.TrimPrefix(admin, "unix/")), method, "http://admin"+path, body, header)
	log.settle(t)
	return resp, strings.TrimSuffix(answer, "\n")
}

// eventually waits for what happens by itself.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	timeout := time.After(limit)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !happened() {
		select {
		case <-again.C:
		case <-timeout:
			t.Fatalf("it did not happen that %s", what)
		}
	}
}
