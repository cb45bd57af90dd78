//go:build linux || darwin || freebsd

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
)

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

const (
	welcome = "Welcome\n"
	denied  = "Access denied\n"
)

// A server is the program, running in this process.
type server struct {
	socket string
	stderr *daemon.Output
	stop   context.CancelFunc
	status chan int
}

// ownGroup is a group of this process, as an argument.
func ownGroup() string { return strconv.Itoa(os.Getegid()) }

// foreignGroup returns the number of a group that this process is not in.
func foreignGroup(t *testing.T) string {
	t.Helper()
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for gid := 54321; ; gid++ {
		if gid != os.Getegid() && !slices.Contains(groups, gid) {
			return strconv.Itoa(gid)
		}
	}
}

// startServer runs the program on a socket of its own. The mode of its file is 0600 unless
// args say otherwise, so that no group has to be given a file.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	return startServerAt(t, filepath.Join(t.TempDir(), "s"), args...)
}

func startServerAt(t *testing.T, socket string, args ...string) *server {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s := &server{socket: socket, stderr: new(daemon.Output), stop: stop, status: make(chan int, 1)}
	go func() {
		s.status <- run(ctx, append([]string{"-socket", socket, "-mode", "0600"}, args...), w, s.stderr)
		w.Close()
	}()
	wantListening(t, r, socket, s.stderr)
	return s
}

// wantListening reads the first line of the program.
func wantListening(t *testing.T, stdout io.Reader, socket string, stderr interface{ String() string }) {
	t.Helper()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if want := "listening on " + socket + "\n"; err != nil || line != want {
		t.Fatalf("first line %q, %v, want %q; stderr %q", line, err, want, stderr)
	}
}

// end stops the program as a signal does, and checks that it ends well.
func (s *server) end(t *testing.T) {
	t.Helper()
	s.stop()
	select {
	case status := <-s.status:
		if status != 0 {
			t.Errorf("exit status %d, stderr %q", status, s.stderr)
		}
	case <-time.After(limit):
		t.Error("the program did not end")
	}
	wantNoFile(t, s.socket)
}

func wantNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket file is left: %v", err)
	}
}

// dial connects, and gives everything else a deadline.
func dial(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantText reads exactly this.
func wantText(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(conn, b); err != nil || string(b) != want {
		t.Errorf("read %q, %v, want %q", b[:n], err, want)
	}
}

// wantEnd checks that the stream ends here.
func wantEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v, want the end", n, err)
	}
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Error(err)
	}
}

// A peer with the group is welcome, its connection is kept, and its lines come back.
func TestWelcome(t *testing.T) {
	s := startServer(t, "-v", foreignGroup(t), ownGroup())
	conn := dial(t, s.socket)
	wantText(t, conn, welcome)
	for _, line := range []string{"one\n", "two\n"} {
		write(t, conn, line)
		wantText(t, conn, line)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, conn)
	s.end(t)
	log := s.stderr.String()
	if want := "uid=" + strconv.Itoa(os.Geteuid()) + " "; strings.Count(log, "\n") != 1 || !strings.Contains(log, want) || !strings.Contains(log, "bytes=8") {
		t.Errorf("the log is\n%s", log)
	}
}

// A peer without it is told so, and closed; that is logged.
func TestAccessDenied(t *testing.T) {
	s := startServer(t, foreignGroup(t))
	conn := dial(t, s.socket)
	wantText(t, conn, denied)
	wantEnd(t, conn)
	s.end(t)
	if log := s.stderr.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "peer denied") {
		t.Errorf("the log is\n%s", log)
	}
}

// A group is found by its name as well.
func TestGroupByName(t *testing.T) {
	g, err := user.LookupGroupId(ownGroup())
	if err != nil {
		t.Skipf("the group of this process has no name: %v", err)
	}
	s := startServer(t, g.Name)
	wantText(t, dial(t, s.socket), welcome)
	s.end(t)
}

// The group of the process counts, whatever name its socket is bound to.
func TestNameOfAPeer(t *testing.T) {
	s := startServer(t, "-v", foreignGroup(t))
	own := filepath.Join(t.TempDir(), "uid=0 gid=0")
	conn, err := net.DialUnix("unix", &net.UnixAddr{Net: "unix", Name: own}, &net.UnixAddr{Net: "unix", Name: s.socket})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	wantText(t, conn, denied)
	s.end(t)
	if log := s.stderr.String(); strings.Contains(log, own) {
		t.Errorf("the log has the name that the peer chose:\n%s", log)
	}
}

// A group that does not exist is not passed over: the service would refuse everyone, or
// less than everyone, without a word.
func TestUnknownGroups(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	wantFailure(t, "no-such-group", "-socket", socket, "no-such-group")
	wantFailure(t, "no-such-group", "-socket", socket, ownGroup(), "no-such-group")
	wantFailure(t, "another", "-socket", socket, "no-such-group", "another")
	wantFailure(t, `a\nb`, "-socket", socket, "a\nb")
	wantFailure(t, `""`, "-socket", socket, "")
	wantFailure(t, "4294967295", "-socket", socket, "4294967295")
	wantNoFile(t, socket)
}

// The socket that an earlier run left behind, as after a crash, is replaced.
func TestDeadSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := startServerAt(t, socket, ownGroup())
	wantText(t, dial(t, socket), welcome)
	s.end(t)
}

// What else is at the path stays what it is.
func TestPathThatIsTaken(t *testing.T) {
	s := startServer(t, ownGroup())
	wantFailure(t, "live socket", "-socket", s.socket, "-mode", "0600", ownGroup())
	wantText(t, dial(t, s.socket), welcome)
	s.end(t)

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, "regular file", "-socket", file, "-mode", "0600", ownGroup())
	if b, err := os.ReadFile(file); err != nil || string(b) != "contents" {
		t.Errorf("the file is %q, %v", b, err)
	}
	wantFailure(t, "folder", "-socket", t.TempDir(), "-mode", "0600", ownGroup())
	wantFailure(t, "no such file", "-socket", filepath.Join(file+".none", "s"), "-mode", "0600", ownGroup())
	wantFailure(t, "exceeds", "-socket", filepath.Join(t.TempDir(), strings.Repeat("x", 200)), "-mode", "0600", ownGroup())
}

// The permissions are those that were asked for, and the first group gets the file
// where they are about a group.
func TestMode(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want fs.FileMode
	}{
		{[]string{"-mode", "0660"}, 0o660},
		{[]string{"-mode", "600"}, 0o600},
		{[]string{"-mode", "0666"}, 0o666},
		{[]string{"-mode", "0777"}, 0o777},
	} {
		s := startServer(t, append(tt.args, ownGroup())...)
		if info, err := os.Stat(s.socket); err != nil || info.Mode() != fs.ModeSocket|tt.want {
			t.Errorf("%q: the mode is %v, %v", tt.args, info.Mode(), err)
		}
		s.end(t)
	}
}

func TestWhoseModeIsAboutAGroup(t *testing.T) {
	for mode, want := range map[fs.FileMode]bool{0o660: true, 0o620: true, 0o600: false, 0o640: false, 0o666: false, 0o622: false} {
		if got := onlyGroup(mode); got != want {
			t.Errorf("onlyGroup(%#o) = %v", mode, got)
		}
	}
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Nobody would learn that it listens if the first line cannot be written.
func TestFirstLineThatFails(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	var stderr strings.Builder
	status := run(t.Context(), []string{"-socket", socket, "-mode", "0600", ownGroup()}, brokenOutput{}, &stderr)
	if want := "creds: broken pipe\n"; status != 1 || stderr.String() != want {
		t.Errorf("exit status %d, stderr %q, want 1 and %q", status, &stderr, want)
	}
	wantNoFile(t, socket)
}

// peerMain connects to the socket in the environment, prints what it reads, and ends.
func peerMain() {
	conn, err := net.Dial("unix", os.Getenv("CREDS_TEST_SOCKET"))
	if err != nil {
		fmt.Println(err)
		os.Exit(0)
	}
	fmt.Fprint(conn, "line\n")
	_ = conn.(*net.UnixConn).CloseWrite() // fails if it was denied and is closed
	_, _ = io.Copy(os.Stdout, conn)
	os.Exit(0)
}
