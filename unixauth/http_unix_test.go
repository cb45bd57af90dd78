//go:build linux || darwin || freebsd

package unixauth_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/netparts/netparts/unixauth"
)

// A handler that knows whose request it is. A client needs nothing but the path.
func ExampleListener() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "http")
	policy, err := unixauth.NewPolicy(unixauth.Self(), unixauth.Root())
	if err != nil {
		log.Fatal(err)
	}
	l, err := unixauth.Listen(path, unixauth.Options{Mode: 0o600})
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{
		ConnContext: unixauth.ConnContext,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			peer, ok := unixauth.CredFromContext(r.Context())
			fmt.Fprintf(w, "You are this user: %t\n", ok && int(peer.UID) == os.Geteuid())
		}),
	}
	go srv.Serve(&unixauth.Listener{Listener: l, Policy: policy})
	defer srv.Close()

	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://unix/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		log.Fatal(err)
	}
	// Output:
	// You are this user: true
}

// CredFrom finds the peer where a connection was handed over, wrapped or not.
func ExampleCredFrom() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	policy, err := unixauth.NewPolicy(unixauth.Self())
	if err != nil {
		log.Fatal(err)
	}
	inner, err := unixauth.Listen(filepath.Join(dir, "s"), unixauth.Options{})
	if err != nil {
		log.Fatal(err)
	}
	l := &unixauth.Listener{Listener: inner, Policy: policy}
	defer l.Close()

	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	peer, ok := unixauth.CredFrom(conn)
	fmt.Println(ok, int(peer.UID) == os.Geteuid())
	// Output:
	// true true
}

// ConnContext is all that it takes for a server to know its peers.
func ExampleConnContext() {
	srv := &http.Server{
		ConnContext: unixauth.ConnContext,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			peer, ok := unixauth.CredFromContext(r.Context())
			if !ok {
				http.Error(w, "who are you?", http.StatusForbidden)
				return
			}
			fmt.Fprintln(w, "hello,", peer)
		}),
	}
	fmt.Println(srv.ConnContext != nil)
	// Output:
	// true
}

// A context that no peer was added to has none: a handler refuses then.
func ExampleCredFromContext() {
	peer, ok := unixauth.CredFromContext(context.Background())
	fmt.Println(peer, ok)
	// Output:
	// unknown false
}

// A peer that is denied does not reach the handler, and http.Server ends as usual.
func TestHTTPServerDenies(t *testing.T) {
	l := listen(t, socketPath(t), unixauth.Options{})
	must(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Time{}))
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is served") })}
	served := make(chan error, 1)
	go func() {
		served <- srv.Serve(&unixauth.Listener{Listener: l, Policy: stranger(t)})
	}()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", l.Addr().String())
		},
	}}
	for range 20 {
		if resp, err := client.Get("http://unix/"); err == nil {
			resp.Body.Close()
			t.Errorf("the answer is %s", resp.Status)
		}
	}
	must(t, srv.Close())
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}
