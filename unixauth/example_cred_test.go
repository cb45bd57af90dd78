//go:build linux || darwin || freebsd

package unixauth_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/unixauth"
)

// The kernel knows who connected: here, this process itself.
func ExamplePeerCred() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		log.Fatal(err)
	}
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
	cred, err := unixauth.PeerCred(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("my user:", cred.UID == uint32(os.Getuid()))
	fmt.Println("my group:", cred.HasGroup(uint32(os.Getgid())))
	// Output:
	// my user: true
	// my group: true
}

// A connection of another kind has no credentials, rather than those of user 0 or -1.
func ExamplePeerCred_none() {
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	_, err := unixauth.PeerCred(conn)
	fmt.Println(errors.Is(err, unixauth.ErrNoCred))
	// Output:
	// true
}

// A descriptor of the process tells whether it still runs, where its number could have
// gone to another process.
func ExamplePeerProcess() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	exited, err := exited(conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported): // not Linux, or before 6.5
		fmt.Println("exited: false")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println("exited:", exited)
	}
	// Output:
	// exited: false
}

func exited(conn net.Conn) (bool, error) {
	process, err := unixauth.PeerProcess(conn)
	if err != nil {
		return false, err
	}
	defer process.Close()
	return process.Exited()
}
