package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

// An identity is a certificate and its files.
type identity struct {
	tls.Certificate
	cert, key string
}

// pin returns what -pin is given.
func (id *identity) pin() string { return tlsutil.PinOf(id.Leaf).String() }

// selfSigned makes an identity.
func selfSigned(t *testing.T, leaf tlsutil.Leaf) *identity {
	t.Helper()
	cert, err := tlsutil.SelfSigned(leaf)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := &identity{cert, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	if err := tlsutil.WriteFiles(cert, id.cert, id.key); err != nil {
		t.Fatal(err)
	}
	return id
}

// forServer and forClient are what the identities of most tests are for.
var (
	forServer = tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true}
	forClient = tlsutil.Leaf{Name: "client", Client: true}
)

// serve serves a store until the test ends, to clients with the certificate if there is
// one, and returns the address.
func serve(t *testing.T, store housework.Store, server, client *identity) string {
	t.Helper()
	material := &tlsutil.Material{Certificate: server.Certificate}
	config, err := tlsutil.ServerConfig(material, nil)
	if client != nil {
		if material.Roots, err = tlsutil.LoadPool(client.cert); err != nil {
			t.Fatal(err)
		}
		config, err = tlsutil.MutualServer(material, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &housework.Server{Rosie: &housework.Rosie{Store: store}, TLSConfig: config}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, housework.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// start runs the program with args.
func start(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// prints checks that the program succeeds and prints want.
func prints(t *testing.T, want string, args ...string) {
	t.Helper()
	status, stdout, stderr := start(t, args...)
	if status != 0 || stdout != want || stderr != "" {
		t.Errorf("%q: exit status %d, stdout\n%sstderr %q, want\n%s", args, status, stdout, stderr, want)
	}
}

// fails checks that the program fails with one line that holds the text.
func fails(t *testing.T, text string, args ...string) {
	t.Helper()
	status, stdout, stderr := start(t, args...)
	if status != 1 || stdout != "" || !strings.HasPrefix(stderr, "maid: ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%q: exit status %d, stdout %q, stderr %q, want 1, nothing and one line", args, status, stdout, stderr)
	}
	if !strings.Contains(stderr, text) {
		t.Errorf("%q: stderr %q, want %q in it", args, stderr, text)
	}
}

const (
	head    = "#\t[X]\tDescription\n"
	nothing = "You have nothing to do!\n"
)

// What the book shows of its client, for each way to know the server and to be known.
func TestTranscriptOfTheBook(t *testing.T) {
	server, client := selfSigned(t, forServer), selfSigned(t, forClient)
	base64 := strings.TrimPrefix(server.pin(), "sha256:")
	for _, tt := range []struct {
		name   string
		mutual bool
		flags  []string
	}{
		{"certificate", false, []string{"-ca-cert", server.cert}},
		{"pin", false, []string{"-pin", server.pin()}},
		{"pin with a slash", false, []string{"-pin", "sha256/" + base64}},
		{"certificate and pin", false, []string{"-ca-cert", server.cert, "-pin", "sha256//" + base64}},
		{"mutual with certificate", true, []string{"-ca-cert", server.cert, "-cert", client.cert, "-key", client.key}},
		{"mutual with pin", true, []string{"-pin", server.pin(), "-cert", client.cert, "-key", client.key}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := client
			if !tt.mutual {
				known = nil
			}
			flags := append([]string{"-address", serve(t, new(housework.MemoryStore), server, known)}, tt.flags...)
			with := func(more ...string) []string { return append(flags[:len(flags):len(flags)], more...) }
			prints(t, nothing, with()...)
			prints(t, head+"1\t[ ]\tMop floors\n2\t[ ]\tWash dishes\n", with("add", "Mop", "floors,", "Wash", "dishes")...)
			done := head + "1\t[ ]\tMop floors\n2\t[X]\tWash dishes\n"
			prints(t, done, with("complete", "2")...)
			prints(t, done, with()...)
		})
	}
}

// Numbers that no chore has are told as such, also those that would be others if cut to
// the 32 bits of the message.
func TestNumbersThatNoChoreHas(t *testing.T) {
	store := new(housework.MemoryStore)
	if _, err := store.Add(t.Context(), "", []housework.Chore{{Description: "a"}}); err != nil {
		t.Fatal(err)
	}
	server := selfSigned(t, forServer)
	flags := []string{"-address", serve(t, store, server, nil), "-ca-cert", server.cert}
	for _, n := range []string{"0", "2", "-1", "2147483648", "4294967297", "-4294967295", "18446744073709551617"} {
		fails(t, "maid: chore "+n+" not found\n", append(flags, "complete", "1", n)...)
	}
	prints(t, head+"1\t[ ]\ta\n", flags...)
}

// What a server says of chores, the program says.
func TestWhatServersRefuse(t *testing.T) {
	server := selfSigned(t, forServer)
	flags := []string{"-address", serve(t, &housework.MemoryStore{MaxChores: 2}, server, nil), "-ca-cert", server.cert}
	fails(t, "full", append(flags, "add", "a, b, c")...)
	fails(t, "more than 1000 chores", append(flags, "add", strings.Repeat("a,", 1001))...)
	fails(t, "chore 2", append(flags, "add", "a, "+strings.Repeat("a", housework.MaxDescription+1))...)
	fails(t, "UTF-8", append(flags, "add", "\xff")...)
	prints(t, nothing, flags...)
}

// What a server sends cannot write to the terminal, nor forge lines.
func TestHostileDescription(t *testing.T) {
	store := new(housework.MemoryStore)
	if _, err := store.Add(t.Context(), "", []housework.Chore{{Description: "a\n2\t[X]\t\x1b[2J"}}); err != nil {
		t.Fatal(err)
	}
	server := selfSigned(t, forServer)
	prints(t, head+"1\t[ ]\ta\\n2\\t[X]\\t\\x1b[2J\n", "-address", serve(t, store, server, nil), "-ca-cert", server.cert)
}

func TestInterrupted(t *testing.T) {
	server := selfSigned(t, forServer)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	args := []string{"-address", serve(t, new(housework.MemoryStore), server, nil), "-ca-cert", server.cert, "add", "a"}
	if status := run(ctx, args, &out, &errs); status != 1 || out.Len() > 0 || errs.String() != "maid: interrupted\n" {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, &out, &errs)
	}

	// While the server has the call.
	ctx, cancel = context.WithCancel(t.Context())
	args[1] = serve(t, &stuckStore{onAdd: cancel}, server, nil)
	errs.Reset()
	want := "maid: interrupted; the list may have been changed\n"
	if status := run(ctx, args, &out, &errs); status != 1 || out.Len() > 0 || errs.String() != want {
		t.Errorf("exit status %d, stdout %q, stderr %q, want %q", status, &out, &errs, want)
	}
}

// A stuckStore answers Add when it is no longer wanted.
type stuckStore struct {
	housework.MemoryStore
	onAdd func()
}

func (s *stuckStore) Add(ctx context.Context, _ string, _ []housework.Chore) (int, error) {
	s.onAdd()
	<-ctx.Done()
	return 0, ctx.Err()
}

// A call has a time limit, whatever the server does.
func TestServerThatIsStuck(t *testing.T) {
	server := selfSigned(t, forServer)
	addr := serve(t, &stuckStore{onAdd: func() {}}, server, nil)
	begin := time.Now()
	fails(t, "maid: no answer in time; the list may have been changed\n",
		"-address", addr, "-ca-cert", server.cert, "-timeout", "200ms", "add", "a")
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("told after %v", took)
	}
}

func TestMisuse(t *testing.T) {
	pin := selfSigned(t, forServer).pin()
	for _, args := range [][]string{
		{"remove", "1"},
		{"complete"},
		{"complete", "one"},
		{"add", `"Dust, all rooms`},
		{"-address", "localhost"},
		{"-address", "localhost:"},
		{"-address", ""},
		{"-ca-cert", ""},
		{"-ca-cert", "", "-pin", pin},
		{"-pin", ""},
		{"-pin", "sha256:"},
		{"-pin", strings.TrimPrefix(pin, "sha256:")},
		{"-cert", "cert.pem"},
		{"-key", "key.pem"},
		{"-timeout", "0"},
		{"-timeout", "-1s"},
		{"-timeout", "soon"},
		{"-no-such-flag"},
	} {
		status, stdout, stderr := start(t, args...)
		if status != 2 || stdout != "" {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, stdout)
		}
		first, usage, _ := strings.Cut(stderr, "\n")
		if !strings.HasPrefix(first, "maid: ") || !strings.HasPrefix(usage, "Usage: maid [flags]") {
			t.Errorf("%q: stderr %q, want one line and the usage", args, stderr)
		}
	}
	if status, stdout, stderr := start(t, "-h"); status != 0 || stdout != "" || !strings.HasPrefix(stderr, "Usage: maid") {
		t.Errorf("-h: exit status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}
