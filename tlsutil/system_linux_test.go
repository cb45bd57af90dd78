package tlsutil_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// A client without roots of its own trusts those of the system, and judges and resumes as
// with others, also when it dials an address. The system's roots are read once in the life
// of a process, so that this takes another.
func TestSystemRoots(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	ca := newCA(t, "the system's CA")
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	must(t, tlsutil.WriteFiles(ca.Certificate, certFile, keyFile))
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSystemRootsInChild$", "-test.v")
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+certFile, "SSL_CERT_DIR="+dir, "NETPARTS_CA_KEY="+keyFile)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSystemRootsInChild(t *testing.T) {
	keyFile := os.Getenv("NETPARTS_CA_KEY")
	if keyFile == "" {
		return // it is TestSystemRoots that runs it
	}
	ca, err := tlsutil.LoadCA(os.Getenv("SSL_CERT_FILE"), keyFile)
	must(t, err)
	server := &tlsutil.Material{Certificate: issue(t, ca, tlsutil.Leaf{Hosts: []string{"127.0.0.1"}})}
	other := newParties(t)
	for _, kind := range kinds {
		client := plainClient.config(t, kind.source(new(tlsutil.Material)), nil)
		client.ServerName = "127.0.0.1"
		if kind.name == "changing" { // it is not told what is dialed
			client = plainClient.config(t, kind.source(new(tlsutil.Material)), &tlsutil.Options{ServerName: "127.0.0.1"})
		}
		config := plainServer.config(t, server, nil)
		meet(t, client, config).wantOK(t, false)
		meet(t, client, config).wantOK(t, true)
		meet(t, client, plainServer.config(t, other.server, nil)).
			want(t, local(tlsutil.ErrUnknownAuthority), remote(tlsutil.ErrRefused))
	}
}
