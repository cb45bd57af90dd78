package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/tftp"
)

// startServer serves a folder of files, and takes uploads, until the test ends.
func startServer(t *testing.T, files map[string]string) (addr, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	folder := tftp.Dir(root)
	server := &tftp.Server{Open: folder.Open, Create: folder.Create}
	return serve(t, server), dir
}

func serve(t *testing.T, server *tftp.Server) (addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(conn) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, tftp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return conn.LocalAddr().String()
}

// A result is what a run left.
type result struct {
	status         int
	stdout, stderr string
}

func runWith(ctx context.Context, stdin string, args ...string) result {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	return result{status, stdout.String(), stderr.String()}
}

func content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// onlyFiles fails unless the folder holds exactly these.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

var totalsLine = regexp.MustCompile(`^\d+ bytes in \S+ \(\d+\.\d MB/s\), \d+ blocks of \d+, window \d+(, \d+ resent)?\n$`)

func TestGetAndPut(t *testing.T) {
	addr, dir := startServer(t, map[string]string{"hello": "Hello\nworld\n", "empty": ""})
	t.Chdir(t.TempDir())
	if err := os.WriteFile("mine", []byte("my\ntext\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		args   []string
		stdin  string
		stdout string
		check  func(t *testing.T)
	}{
		{"get", []string{"get", addr, "hello"}, "", "", func(t *testing.T) {
			if got := content(t, "hello"); got != "Hello\nworld\n" {
				t.Errorf("got %q", got)
			}
		}},
		{"get again, over what is there", []string{"get", addr, "/empty", "hello"}, "", "", func(t *testing.T) {
			if got := content(t, "hello"); got != "" {
				t.Errorf("got %q", got)
			}
		}},
		{"get to stdout", []string{"get", addr, "hello", "-"}, "", "Hello\nworld\n", nil},
		{"get text", []string{"-netascii", "get", addr, "hello", "-"}, "", "Hello\nworld\n", nil},
		{"all flags", []string{"-blksize", "8", "-windowsize", "3", "-timeout", "2s", "get", addr, "hello", "-"}, "", "Hello\nworld\n", nil},
		{"put", []string{"put", addr, "mine"}, "", "", func(t *testing.T) {
			if got := content(t, filepath.Join(dir, "mine")); got != "my\ntext\n" {
				t.Errorf("stored %q", got)
			}
		}},
		{"put under a name", []string{"put", addr, "mine", "theirs"}, "", "", func(t *testing.T) {
			if got := content(t, filepath.Join(dir, "theirs")); got != "my\ntext\n" {
				t.Errorf("stored %q", got)
			}
		}},
		{"put from stdin", []string{"put", addr, "-", "piped"}, "through a pipe", "", func(t *testing.T) {
			if got := content(t, filepath.Join(dir, "piped")); got != "through a pipe" {
				t.Errorf("stored %q", got)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runWith(t.Context(), tt.stdin, tt.args...)
			if got.status != 0 || got.stdout != tt.stdout || !totalsLine.MatchString(got.stderr) {
				t.Errorf("run = %+v", got)
			}
			if tt.check != nil {
				tt.check(t)
			}
		})
	}
	onlyFiles(t, ".", "hello", "mine")
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"get"},
		{"get", "host"},
		{"fetch", "host", "a"},
		{"get", "host", "a", "b", "c"},
		{"get", "", "a"},
		{"get", "host", ""},
		{"put", "host", "-"},
		{"-x", "get", "host", "a"},
		{"-blksize", "7", "get", "host", "a"},
		{"-blksize", "65465", "get", "host", "a"},
		{"-windowsize", "0", "get", "host", "a"},
		{"-windowsize", "65536", "get", "host", "a"},
		{"-timeout", "-1s", "get", "host", "a"},
		{"-timeout", "x", "get", "host", "a"},
	} {
		got := runWith(t.Context(), "", args...)
		if got.status != 2 || got.stdout != "" || !strings.Contains(got.stderr, "usage: tftp") {
			t.Errorf("run %q = %+v", args, got)
		}
	}
	if got := runWith(t.Context(), "", "-h"); got.status != 0 {
		t.Errorf("run -h = %+v", got)
	}
}

// What fails is told in one line, and leaves nothing behind.
func TestFailures(t *testing.T) {
	addr, _ := startServer(t, map[string]string{"there": "x"})
	t.Chdir(t.TempDir())
	if err := os.WriteFile("kept", []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"get", addr, "none"}, "tftp: get none: file not found\n"},
		{[]string{"get", addr, "none", "kept"}, "tftp: get none: file not found\n"},
		{[]string{"get", addr, "none", "-"}, "tftp: get none: file not found\n"},
		{[]string{"get", addr, "../there"}, "tftp: get ../there: access violation\n"},
		{[]string{"get", addr, "there", "folder"}, "tftp: get there: folder is not a regular file\n"},
		{[]string{"get", addr, "there", "no/such/folder"}, "tftp: get there: open "},
		{[]string{"get", "127.0.0.1:nonsense", "there"}, "tftp: get there: address \"127.0.0.1:nonsense\": "},
		{[]string{"put", addr, "none"}, "tftp: put none: open none: no such file or directory\n"},
		{[]string{"put", addr, "folder"}, "tftp: put folder: folder is a folder\n"},
		{[]string{"put", addr, "kept", "there"}, "tftp: put kept: file already exists\n"},
		{[]string{"get", addr, "a\nb"}, `tftp: get "a\nb": access violation` + "\n"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args[:1], " ")+" "+tt.want, func(t *testing.T) {
			got := runWith(t.Context(), "", tt.args...)
			if got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, tt.want) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("run %q = %+v, want %q", tt.args, got, tt.want)
			}
		})
	}
	onlyFiles(t, ".", "folder", "kept")
	if got := content(t, "kept"); got != "as it was" {
		t.Errorf("kept is %q now", got)
	}
}

// A source that fails in the middle leaves no part of the file.
func TestServerThatFails(t *testing.T) {
	addr := serve(t, &tftp.Server{
		Open: func(context.Context, *tftp.Request) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 5000)), broken{})), nil
		},
	})
	t.Chdir(t.TempDir())
	got := runWith(t.Context(), "", "get", addr, "file")
	if want := "tftp: get file: undefined error: \"transfer failed\"\n"; got.status != 1 || got.stderr != want {
		t.Errorf("run = %+v, want %q", got, want)
	}
	onlyFiles(t, ".")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

// A signal to the real program ends the transfer, and leaves nothing.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send")
	}
	program := filepath.Join(t.TempDir(), "tftp")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	asked := make(chan struct{}, 10)
	addr := serve(t, &tftp.Server{
		Open: func(ctx context.Context, _ *tftp.Request) (io.ReadCloser, error) {
			asked <- struct{}{}
			<-ctx.Done() // the server is closed at the end
			return nil, ctx.Err()
		},
	})
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), program, "get", addr, "file")
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-asked:
		case <-time.After(10 * time.Second):
			t.Fatal("no request came")
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || stderr.String() != "tftp: get file: interrupted\n" {
			t.Errorf("after %v: %v, stderr %q", signal, err, &stderr)
		}
		onlyFiles(t, dir)
	}
}

// The bar shows what is known, and is taken away.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := bar{w: &out}
	b.clear()
	b.draw(tftp.Stats{Size: 1000, Bytes: 500, Duration: time.Second})
	b.draw(tftp.Stats{Size: 1000, Bytes: 600, Duration: time.Second}) // too soon
	b.drawn = time.Now().Add(-time.Second)
	b.draw(tftp.Stats{Size: -1, Bytes: 7_000_000, Duration: time.Second})
	b.clear()
	want := "\r\x1b[K[###############               ]  50 %, 500 of 1000 bytes, 0.0 MB/s" +
		"\r\x1b[K7000000 bytes, 7.0 MB/s\r\x1b[K"
	if out.String() != want {
		t.Errorf("drew %q, want %q", &out, want)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) || isTerminal(&out) {
		t.Error("what is no terminal passes for one")
	}
}
