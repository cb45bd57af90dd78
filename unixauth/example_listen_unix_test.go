//go:build linux || darwin || freebsd

package unixauth_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"

	"github.com/netparts/netparts/unixauth"
)

// A socket for one group: its members may connect, and nobody else. The group is that of
// this process here, by number; a service would name one, such as "staff".
func ExampleListen() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "chores.sock")
	l, err := unixauth.Listen(path, unixauth.Options{Mode: 0o660, Group: strconv.Itoa(os.Getegid())})
	if err != nil {
		log.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Mode())

	// The socket has an owner: another server cannot take it as long as it is served.
	if _, err := unixauth.Listen(path, unixauth.Options{}); err == nil {
		log.Fatal("it is taken")
	}
	if err := l.Close(); err != nil {
		log.Fatal(err)
	}
	_, err = os.Lstat(path)
	fmt.Println("removed:", os.IsNotExist(err))
	// Output:
	// Srw-rw----
	// removed: true
}

// A service uses the socket that its service manager made, or else makes one itself.
func ExampleActivation() {
	dir, err := os.MkdirTemp("", "unixauth")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	policy, err := unixauth.NewPolicy(unixauth.Self(), unixauth.Root())
	if err != nil {
		log.Fatal(err)
	}
	passed, err := unixauth.Activation()
	if err != nil {
		log.Fatal(err)
	}
	l := &unixauth.Listener{Policy: policy}
	if len(passed) > 0 {
		l.Listener = passed[0].Listener
	} else if l.Listener, err = unixauth.Listen(filepath.Join(dir, "s"), unixauth.Options{}); err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	fmt.Println("activated:", len(passed) > 0)
	// Output:
	// activated: false
}
