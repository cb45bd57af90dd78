package main

import (
	"crypto/tls"
	"path/filepath"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// An identity is the files of a server on 127.0.0.1, and the authority behind it.
type identity struct {
	ca              *tlsutil.CA
	cert, key, root string
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := &identity{
		ca:   ca,
		cert: filepath.Join(dir, "cert.pem"),
		key:  filepath.Join(dir, "key.pem"),
		root: filepath.Join(dir, "root.pem"),
	}
	if err := tlsutil.WriteFiles(cert, id.cert, id.key); err != nil {
		t.Fatal(err)
	}
	if err := tlsutil.WriteFiles(ca.Certificate, id.root, filepath.Join(dir, "root-key.pem")); err != nil {
		t.Fatal(err)
	}
	return id
}

// client returns the configuration of a client that trusts the authority.
func (id *identity) client(t *testing.T) *tls.Config {
	t.Helper()
	config, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: id.ca.Pool()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}
