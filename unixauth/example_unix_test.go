//go:build linux || darwin || freebsd

package unixauth_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/unixauth"
)

// A service that only its own user, and root, can connect to, and that knows which it was.
func Example() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	policy, err := unixauth.NewPolicy(unixauth.Self(), unixauth.Root())
	if err != nil {
		log.Fatal(err)
	}
	inner, err := unixauth.Listen(filepath.Join(dir, "service"), unixauth.Options{Mode: 0o600})
	if err != nil {
		log.Fatal(err)
	}
	l := &unixauth.Listener{Listener: inner, Policy: policy}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			peer, _ := unixauth.CredFrom(conn)
			fmt.Fprintln(conn, "Welcome! Are you me?", int(peer.UID) == os.Geteuid())
			conn.Close()
		}
	}()

	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, err := io.Copy(os.Stdout, client); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Welcome! Are you me? true
}
