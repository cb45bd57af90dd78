package housework_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tlsutil"
)

// A client in another language, which knows the definition alone, over TLS with the
// certificate of the server as the only one that it trusts.
func TestInteropPython(t *testing.T) {
	python := interop.Command(t, "/usr/bin/python3", "python3-grpcio")
	if err := exec.CommandContext(t.Context(), python, "-c", "import grpc").Run(); err != nil {
		// Command tells a missing program; this is a missing module of it.
		interop.Command(t, "python3-grpcio", "python3-grpcio")
	}
	cert, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"localhost", "127.0.0.1"}})
	serverMust(t, err)
	dir := t.TempDir()
	certFile := filepath.Join(dir, "cert.pem")
	serverMust(t, tlsutil.WriteFiles(cert, certFile, filepath.Join(dir, "key.pem")))
	config, err := tlsutil.ServerConfig(&tlsutil.Material{Certificate: cert}, nil)
	serverMust(t, err)
	store := new(housework.MemoryStore)
	address := serverListen(t, &housework.Server{Rosie: &housework.Rosie{Store: store}, TLSConfig: config})

	ctx, cancel := context.WithTimeout(t.Context(), 2*serverPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, filepath.Join("testdata", "maid.py"), address, certFile)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil || out.String() != "all is well\n" {
		t.Errorf("python: %v\n%s%s", err, &out, &log)
	}
	list, err := store.List(t.Context(), 1, 10)
	if err != nil || len(list) != 2 || list[0].Complete || !list[1].Complete || list[1].Description != "Dust ünder beds" {
		t.Errorf("list %+v, %v", list, err)
	}
}
