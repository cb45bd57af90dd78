package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/tlsutil"
)

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// startDaemon runs the program.
func startDaemon(t *testing.T, args ...string) *daemon.Daemon {
	t.Helper()
	return daemon.Start(t, run, "tcp", append([]string{"-address", "127.0.0.1:0", "-v"}, args...)...)
}

// An identity is a certificate and its files.
type identity struct {
	tls.Certificate
	cert, key string
}

// selfSigned makes an identity.
func selfSigned(t *testing.T, leaf tlsutil.Leaf) *identity {
	t.Helper()
	dir := t.TempDir()
	id := &identity{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	id.renew(t, leaf)
	return id
}

// renew replaces the certificate and the key.
func (id *identity) renew(t *testing.T, leaf tlsutil.Leaf) {
	t.Helper()
	var err error
	if id.Certificate, err = tlsutil.SelfSigned(leaf); err != nil {
		t.Fatal(err)
	}
	if err := tlsutil.WriteFiles(id.Certificate, id.cert, id.key); err != nil {
		t.Fatal(err)
	}
}

// forServer and forClient are what the identities of most tests are for.
var (
	forServer = tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true}
	forClient = tlsutil.Leaf{Name: "client", Client: true}
)

// dial connects a client that trusts the certificates in a file, and shows one if it has one.
func dial(t *testing.T, addr, trusted string, own *identity) (*housework.Client, error) {
	t.Helper()
	pool, err := tlsutil.LoadPool(trusted)
	if err != nil {
		t.Fatal(err)
	}
	material := &tlsutil.Material{Roots: pool}
	config, err := tlsutil.ClientConfig(material, nil)
	if own != nil {
		material.Certificate = own.Certificate
		config, err = tlsutil.MutualClient(material, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	client, err := housework.Dial(ctx, addr, &housework.ClientOptions{TLSConfig: config})
	if err == nil {
		t.Cleanup(func() { client.Close() })
	}
	return client, err
}

// connect connects a client that must be served.
func connect(t *testing.T, addr, trusted string, own *identity) *housework.Client {
	t.Helper()
	client, err := dial(t, addr, trusted, own)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// add adds chores to a store.
func add(t *testing.T, store housework.Store, descriptions ...string) {
	t.Helper()
	var chores []housework.Chore
	for _, d := range descriptions {
		chores = append(chores, housework.Chore{Description: d})
	}
	if _, err := store.Add(t.Context(), "", chores); err != nil {
		t.Fatal(err)
	}
}

// wantList checks the list of a store.
func wantList(t *testing.T, store housework.Store, want ...string) {
	t.Helper()
	var got []string
	for chore, err := range housework.All(t.Context(), store) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, chore.Description)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the list is %q, want %q", got, want)
	}
}

func TestServe(t *testing.T) {
	id := selfSigned(t, forServer)
	d := startDaemon(t, "-cert", id.cert, "-key", id.key)
	client := connect(t, d.Addr, id.cert, nil)
	add(t, client, "Mop floors", "Wash dishes")
	if err := client.Complete(t.Context(), 2); err != nil {
		t.Error(err)
	}
	wantList(t, connect(t, d.Addr, id.cert, nil), "Mop floors", "Wash dishes")
	d.End(t)
	if log := d.Stderr.String(); !strings.Contains(log, "/housework.RobotMaid/Add") {
		t.Errorf("the log is\n%s", log)
	}

	d = startDaemon(t, "-cert", id.cert, "-key", id.key)
	wantList(t, connect(t, d.Addr, id.cert, nil)) // the list was in memory
	d.End(t)
}

// The list in a file outlives the program, and others may change it meanwhile.
func TestFile(t *testing.T) {
	id, file := selfSigned(t, forServer), filepath.Join(t.TempDir(), "chores.db")
	d := startDaemon(t, "-cert", id.cert, "-key", id.key, "-file", file)
	client := connect(t, d.Addr, id.cert, nil)
	add(t, client, "a")

	other, err := housework.OpenFile(file, nil) // as the program housework does
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	add(t, other, "b")
	add(t, client, "c")
	wantList(t, client, "a", "b", "c")
	wantList(t, other, "a", "b", "c")
	d.End(t)

	d = startDaemon(t, "-cert", id.cert, "-key", id.key, "-file", file)
	client = connect(t, d.Addr, id.cert, nil)
	wantList(t, client, "a", "b", "c")
	add(t, client, "d")
	wantList(t, other, "a", "b", "c", "d")
	d.End(t)
}

// A client that tries again after a restart has added once.
func TestRetryAfterRestart(t *testing.T) {
	id, file := selfSigned(t, forServer), filepath.Join(t.TempDir(), "chores.db")
	chores := []housework.Chore{{Description: "a"}, {Description: "b"}}
	for range 2 {
		d := startDaemon(t, "-cert", id.cert, "-key", id.key, "-file", file)
		client := connect(t, d.Addr, id.cert, nil)
		if first, err := client.Add(t.Context(), "once", chores); first != 1 || err != nil {
			t.Errorf("Add = %d, %v, want 1", first, err)
		}
		wantList(t, client, "a", "b")
		d.End(t)
	}
}

// A format that the program housework has made stays.
func TestFormatOfTheFile(t *testing.T) {
	id, file := selfSigned(t, forServer), filepath.Join(t.TempDir(), "chores.db")
	store, err := housework.OpenFile(file, &housework.FileOptions{Codec: housework.Protobuf})
	if err != nil {
		t.Fatal(err)
	}
	add(t, store, "a")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, "-cert", id.cert, "-key", id.key, "-file", file)
	add(t, connect(t, d.Addr, id.cert, nil), "b")
	d.End(t)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if format, ok := housework.Detect(b); format != housework.Protobuf || !ok {
		t.Errorf("the file is %v, %v: %q", format, ok, b)
	}
}

// Clients learn how the services are defined if -reflection says so.
func TestReflection(t *testing.T) {
	id := selfSigned(t, forServer)
	for _, want := range []codes.Code{codes.Unimplemented, codes.OK} {
		args := []string{"-cert", id.cert, "-key", id.key}
		if want == codes.OK {
			args = append(args, "-reflection")
		}
		d := startDaemon(t, args...)
		client := connect(t, d.Addr, id.cert, nil)
		stream, err := reflection.NewServerReflectionClient(client.Conn()).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ask := &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "housework.RobotMaid"}
		// A refusal may be here before it is sent: that is EOF, and Recv tells why.
		if err := stream.Send(&reflection.ServerReflectionRequest{MessageRequest: ask}); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if status.Code(err) != want || want == codes.OK && answer.GetFileDescriptorResponse() == nil {
			t.Errorf("%v, %v, want %v", answer, err, want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		d.End(t)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"argument"},
		{"-address", "localhost"},
		{"-address", ""},
		{"-cert", ""},
		{"-key", ""},
		{"-client-ca", ""},
		{"-file", ""},
		{"-self-signed", ""},
		{"-self-signed", "d", "-cert", "c.pem"},
		{"-self-signed", "d", "-key", "k.pem"},
		{"-reload", "0"},
		{"-reload", "soon"},
		{"-no-such-flag"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, &stdout)
		}
		first, usage, _ := strings.Cut(stderr.String(), "\n")
		if !strings.HasPrefix(first, "rosie: ") || !strings.HasPrefix(usage, "Usage: rosie [flags]\n") {
			t.Errorf("%q: stderr %q, want one line and the usage", args, &stderr)
		}
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &stdout, &stderr); status != 0 || !strings.HasPrefix(stderr.String(), "Usage: rosie") {
		t.Errorf("-h: exit status %d, stderr %q", status, &stderr)
	}
}

// fails checks that the program does not start, and says why in one line.
func fails(t *testing.T, text string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit) // if it serves, against all hope
	defer cancel()
	var stdout, stderr bytes.Buffer
	if status := run(ctx, args, &stdout, &stderr); status != 1 || stdout.Len() > 0 {
		t.Errorf("%q: exit status %d, stdout %q, want 1 and nothing", args, status, &stdout)
	}
	if s := stderr.String(); !strings.HasPrefix(s, "rosie: ") || strings.Count(s, "\n") != 1 || !strings.Contains(s, text) {
		t.Errorf("%q: stderr %q, want one line with %q", args, s, text)
	}
}

func TestFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	id, dir := selfSigned(t, forServer), t.TempDir()
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, []byte(`[{"Complete":fal`), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := []string{"-cert", id.cert, "-key", id.key}
	with := func(more ...string) []string { return append(pair[:len(pair):len(pair)], more...) }
	fails(t, "in use", with("-address", l.Addr().String())...)
	fails(t, "none.pem", "-cert", "none.pem", "-key", id.key)
	fails(t, "none.pem", with("-client-ca", "none.pem")...)
	fails(t, damaged, with("-address", "127.0.0.1:0", "-file", damaged)...)
	if b, err := os.ReadFile(damaged); err != nil || string(b) != `[{"Complete":fal` {
		t.Errorf("the damaged file is %q now, %v", b, err)
	}
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Nobody would learn the port if the first line cannot be written.
func TestFirstLineThatFails(t *testing.T) {
	id := selfSigned(t, forServer)
	var stderr bytes.Buffer
	args := []string{"-address", "127.0.0.1:0", "-cert", id.cert, "-key", id.key}
	if status := run(t.Context(), args, brokenOutput{}, &stderr); status != 1 || stderr.String() != "rosie: broken pipe\n" {
		t.Errorf("exit status %d, stderr %q, want 1 and the reason", status, &stderr)
	}
}

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("ROSIE_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// Both signals end the program well, though a client is connected, and the chores are in
// the file.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		id, file := selfSigned(t, forServer), filepath.Join(t.TempDir(), "chores.db")
		cmd := exec.Command(os.Args[0], "-address", "127.0.0.1:0", "-cert", id.cert, "-key", id.key, "-file", file)
		cmd.Env = append(os.Environ(), "ROSIE_TEST_MAIN=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		client := connect(t, daemon.FirstLine(t, stdout, "tcp"), id.cert, nil)
		add(t, client, "a")
		begin := time.Now()
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("%v: %v, stderr %q", sig, err, &stderr)
		}
		if took := time.Since(begin); took > grace/2 {
			t.Errorf("%v: it ended after %v", sig, took)
		}
		store, err := housework.OpenFile(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, store, "a")
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}
