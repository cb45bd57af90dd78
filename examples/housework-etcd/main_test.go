package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/tlsutil"
)

// limit is how long a test waits for what must happen.
const limit = 30 * time.Second

// programCommand is the first argument of a test process that is the program.
const programCommand = "program"

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == memberCommand:
		os.Exit(runMember(os.Args[2:], os.Stdin, os.Stderr))
	case len(os.Args) > 1 && os.Args[1] == programCommand:
		os.Exit(run(context.Background(), os.Args[2:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// fails runs the program and checks its exit status, and one line of what it says.
func fails(t *testing.T, status int, want string, args ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), args, &stdout, &stderr); got != status || stdout.Len() > 0 {
		t.Errorf("%q: exit status %d, want %d; stdout %q", args, got, status, &stdout)
	}
	line, rest, _ := strings.Cut(stderr.String(), "\n")
	if !strings.HasPrefix(line, "housework-etcd: ") || !strings.Contains(line, want) {
		t.Errorf("%q: %q, want %q", args, line, want)
	}
	if (status == 2) != strings.HasPrefix(rest, "Usage: ") {
		t.Errorf("%q: besides %q", args, rest)
	}
}

func TestMisuse(t *testing.T) {
	joins := func(args ...string) []string { return append([]string{"-endpoints", "127.0.0.1:1"}, args...) }
	drills := func(args ...string) []string { return append([]string{"-self-contained"}, args...) }
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "one of -endpoints and -self-contained"},
		{[]string{"-endpoints", ""}, "-endpoints must not be empty"},
		{[]string{"-endpoints", "a:1,,b:1"}, "is empty"},
		{joins("-unknown"), "-unknown"},
		{joins("more"), `unexpected argument "more"`},
		{joins("-address", "localhost"), "-address: "},
		{joins("-client-ca", ""), "-client-ca must not be empty"},
		{joins("-etcd-cert", "f"), "belong together"},
		{joins("-etcd-ca", "f"), "https://"},
		{joins("-insecure", "-cert", "f"), "-insecure uses no certificates"},
		{joins("-insecure", "-address", ":34443"), "this machine alone"},
		{joins("-insecure", "-address", "192.0.2.1:34443"), "this machine alone"},
		{joins("-self-contained"), "-endpoints is not for -self-contained"},
		{joins("-for", "1s"), "-for is for -self-contained"},
		{drills("-insecure"), "-insecure is not for -self-contained"},
		{drills("-for", "0"), "-for must be positive"},
		{drills("-writers", "0"), "-writers must be"},
		{drills("-kill", "leader,me"), `no "me"`},
	} {
		fails(t, 2, tt.want, tt.args...)
	}
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, io.Discard, &stderr); status != 0 || !strings.HasPrefix(stderr.String(), "Usage: ") {
		t.Errorf("-h: exit status %d, %q", status, &stderr)
	}
}

func TestFailures(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	secure := []string{"-endpoints", "https://127.0.0.1:1"}
	fails(t, 1, missing, append(secure, "-etcd-ca", missing)...)
	fails(t, 1, missing, append(secure, "-etcd-cert", missing, "-etcd-key", missing)...)
	fails(t, 1, missing, "-self-contained", "-dir", missing)
	etcd := startMember(t, transport.TLSInfo{})
	fails(t, 1, missing, "-endpoints", etcd, "-cert", missing, "-key", missing)
	fails(t, 1, "192.0.2.1", "-endpoints", etcd, "-insecure", "-address", "127.0.0.1:192.0.2.1")
	deep := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, "too long a name for a socket", "-self-contained", "-dir", deep)
}

func TestNoMember(t *testing.T) {
	t.Parallel() // for seconds, which it waits
	fails(t, 1, "the cluster at 127.0.0.1:1 cannot be used: ", "-endpoints", "127.0.0.1:1", "-insecure", "-address", "127.0.0.1:0")
}

// startMember runs an etcd that is alone, and returns its address.
func startMember(t *testing.T, info transport.TLSInfo) string {
	t.Helper()
	scheme := "http"
	if !info.Empty() {
		scheme = "https"
	}
	config := embed.NewConfig()
	config.Dir = t.TempDir()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.ClientTLSInfo = info
	config.ListenClientUrls = []url.URL{{Scheme: scheme, Host: "127.0.0.1:0"}}
	config.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = config.ListenClientUrls, config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(limit):
		t.Fatal("etcd is not ready")
	}
	return etcd.Clients[0].Addr().String()
}

// add adds a chore through a server, and returns the whole list.
func add(t *testing.T, address string, o *housework.ClientOptions, text string) (list []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	client, err := housework.Dial(ctx, address, o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Add(ctx, "", []housework.Chore{{Description: text}}); err != nil {
		t.Fatal(err)
	}
	for c, err := range housework.All(ctx, client) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c.Description)
	}
	return list
}

// Two servers keep one list, unless they have prefixes of their own.
func TestServe(t *testing.T) {
	etcd := startMember(t, transport.TLSInfo{})
	args := []string{"-endpoints", etcd, "-insecure", "-address", "127.0.0.1:0"}
	a, b := daemon.Start(t, run, "tcp", args...), daemon.Start(t, run, "tcp", args...)
	other := daemon.Start(t, run, "tcp", append(args, "-prefix", "other/", "-v")...)
	insecure := &housework.ClientOptions{Insecure: true}
	for i, address := range []string{a.Addr, b.Addr, other.Addr} {
		list := add(t, address, insecure, fmt.Sprint("Chore ", i))
		if want := []string{"Chore 0", "Chore 0 Chore 1", "Chore 2"}[i]; strings.Join(list, " ") != want {
			t.Errorf("list %d: %q, want %q", i, list, want)
		}
	}
	a.End(t)
	b.End(t)
	other.End(t)
	if log := other.Stderr.String(); strings.Count(log, "RobotMaid") < 2 {
		t.Errorf("the log is %q", log)
	}
}

// Each side shows a certificate, to the members and to the clients.
func TestServeOverTLS(t *testing.T) {
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, root := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "root.pem")
	pair, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tlsutil.WriteFiles(pair, cert, key); err != nil {
		t.Fatal(err)
	}
	if err := tlsutil.WriteFiles(ca.Certificate, root, filepath.Join(dir, "root-key.pem")); err != nil {
		t.Fatal(err)
	}
	etcd := startMember(t, transport.TLSInfo{CertFile: cert, KeyFile: key, TrustedCAFile: root, ClientCertAuth: true})
	d := daemon.Start(t, run, "tcp", "-endpoints", "https://"+etcd, "-address", "127.0.0.1:0",
		"-etcd-ca", root, "-etcd-cert", cert, "-etcd-key", key, "-cert", cert, "-key", key, "-client-ca", root)
	config, err := tlsutil.MutualClient(&tlsutil.Material{Certificate: pair, Roots: ca.Pool()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if list := add(t, d.Addr, &housework.ClientOptions{TLSConfig: config}, "a"); len(list) != 1 {
		t.Errorf("the list is %q", list)
	}
	config, err = tlsutil.ClientConfig(&tlsutil.Material{Roots: ca.Pool()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := housework.Dial(t.Context(), d.Addr, &housework.ClientOptions{TLSConfig: config}); err == nil {
		t.Error("a client without a certificate was served")
	}
	d.End(t)
}
