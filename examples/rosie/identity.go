package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// lifetime is how long a certificate is valid that is made here.
const lifetime = 365 * 24 * time.Hour

// makePair sees to it that there is a certificate for this host, with its key.
func (c *config) makePair() error {
	host := c.host()
	present, err := existing(c.cert, c.key)
	if err != nil {
		return err
	}
	if present > 0 {
		// One of the two alone is an error here, too: it may be of use to somebody.
		return usable(c.cert, c.key, host)
	}
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host != "" {
		hosts = append([]string{host}, hosts...)
	}
	pair, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: hosts, Server: true, Lifetime: lifetime})
	if err != nil {
		return err
	}
	// Only this user has to get at the key, so nobody else has to get in.
	if err := os.MkdirAll(c.selfSigned, 0o700); err != nil {
		return err
	}
	return tlsutil.WriteFiles(pair, c.cert, c.key)
}

// host returns the name or address that clients dial, or nothing if the address to listen
// on does not tell.
func (c *config) host() string {
	host, _, err := net.SplitHostPort(c.address)
	if err != nil {
		return ""
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return strings.TrimSuffix(host, ".")
	case addr.IsUnspecified():
		return "" // whoever listens on all addresses is dialed by one of them
	}
	return addr.WithZone("").String() // a certificate knows no zones
}

// existing returns how many of the files are there.
func existing(files ...string) (count int, err error) {
	for _, file := range files {
		_, err := os.Lstat(file) // also a link that leads nowhere is somebody's
		switch {
		case err == nil:
			count++
		case !errors.Is(err, fs.ErrNotExist):
			return 0, err
		}
	}
	return count, nil
}

// usable returns why clients would not accept what is in the files.
func usable(cert, key, host string) error {
	files, err := tlsutil.WatchFiles(tlsutil.Files{Cert: cert, Key: key, Interval: -1})
	if err != nil {
		return fmt.Errorf("what is there cannot be used: %w", err)
	}
	leaf := files.Current().Certificate.Leaf
	files.Close()
	if host == "" {
		return nil
	}
	if err := leaf.VerifyHostname(host); err != nil {
		return fmt.Errorf("%s is not for %s: remove it and %s, and new ones are made", cert, host, key)
	}
	return nil
}
