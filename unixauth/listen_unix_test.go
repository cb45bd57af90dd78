//go:build linux || darwin || freebsd

package unixauth_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/unixauth"
)

// socketDeadline is when a test stops waiting for what should come at once.
func socketDeadline() time.Time { return time.Now().Add(20 * time.Second) }

// socketPath returns where a test may make a socket file.
func socketPath(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "s")
}

// listen listens until the end of the test.
func listen(tb testing.TB, path string, o unixauth.Options) net.Listener {
	tb.Helper()
	l, err := unixauth.Listen(path, o)
	must(tb, err)
	must(tb, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(socketDeadline()))
	tb.Cleanup(func() { l.Close() })
	return l
}

// greet accepts a connection, and writes a greeting to it.
func greet(l net.Listener, greeting string) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	_, err = io.WriteString(conn, greeting)
	return errors.Join(err, conn.Close())
}

// greeting returns what a server has to say.
func greeting(network, address string) (string, error) {
	conn, err := net.Dial(network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(socketDeadline()); err != nil {
		return "", err
	}
	b, err := io.ReadAll(conn)
	return string(b), err
}

// wantGreeting checks that it is l that listens at path.
func wantGreeting(tb testing.TB, l net.Listener, path string) {
	tb.Helper()
	greeted := make(chan error, 1)
	go func() { greeted <- greet(l, "hello") }()
	if got, err := greeting("unix", path); got != "hello" || err != nil {
		tb.Errorf("greeting = %q, %v", got, err)
	}
	must(tb, <-greeted)
}

// wantNothing checks that a folder is empty.
func wantNothing(tb testing.TB, folder string) {
	tb.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) > 0 {
		tb.Errorf("the folder has %v, %v, want nothing", entries, err)
	}
}

func TestListen(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path, unixauth.Options{})
	if got := l.Addr(); got.String() != path || got.Network() != "unix" {
		t.Errorf("Addr = %v of %s, want %s of unix", got, got.Network(), path)
	}
	wantGreeting(t, l, path)
	must(t, l.Close())
	wantNothing(t, filepath.Dir(path))
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

func TestListenMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0, 0o200, 0o600, 0o620, 0o660, 0o666, 0o777, 0o007} {
		path := socketPath(t)
		listen(t, path, unixauth.Options{Mode: mode})
		if mode == 0 {
			mode = 0o600
		}
		info, err := os.Lstat(path)
		must(t, err)
		if got, want := info.Mode(), fs.ModeSocket|mode; got != want {
			t.Errorf("mode %v, want %v", got, want)
		}
	}
}

// A name is looked up, and a number need not be one of the database.
func TestListenOwner(t *testing.T) {
	uid, gid := fmt.Sprint(os.Geteuid()), fmt.Sprint(os.Getegid())
	options := []unixauth.Options{{User: uid}, {Group: gid}, {User: uid, Group: gid}}
	if u, err := user.LookupId(uid); err == nil {
		options = append(options, unixauth.Options{User: u.Username})
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		options = append(options, unixauth.Options{Group: g.Name})
	}
	for _, o := range options {
		path := socketPath(t)
		listen(t, path, o)
		info, err := os.Lstat(path)
		must(t, err)
		if s := info.Sys().(*syscall.Stat_t); fmt.Sprint(s.Uid) != uid || fmt.Sprint(s.Gid) != gid {
			t.Errorf("%+v: owner %d:%d, want %s:%s", o, s.Uid, s.Gid, uid, gid)
		}
	}
}

func TestListenOptionsThatAreWrong(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		path string
		o    unixauth.Options
		want string
	}{
		{"", unixauth.Options{}, "empty"},
		{"", unixauth.Options{Abstract: true}, "empty"},
		{"@", unixauth.Options{Abstract: true}, "empty"},
		{"s\x00t", unixauth.Options{}, "zero byte"},
		{"@s\x00t", unixauth.Options{Abstract: true}, "zero byte"},
		{"@s", unixauth.Options{}, `set Abstract, or write "./@s"`},
		{"s", unixauth.Options{Abstract: true}, "begins with @"},
		{"@s", unixauth.Options{Abstract: true, Mode: 0o600}, "no mode"},
		{"@s", unixauth.Options{Abstract: true, User: "0"}, "no mode"},
		{"@s", unixauth.Options{Abstract: true, Group: "0"}, "no mode"},
		{"s", unixauth.Options{Mode: fs.ModeSetuid | 0o600}, "more than permissions"},
		{"s", unixauth.Options{Mode: fs.ModeSticky | 0o600}, "more than permissions"},
		{"s", unixauth.Options{Mode: fs.ModeSocket | 0o600}, "more than permissions"},
		{"s", unixauth.Options{Mode: 0o4600}, "more than permissions"},
		{"s", unixauth.Options{User: "no such user"}, "no such user"},
		{"s", unixauth.Options{Group: "no such group"}, "no such group"},
		{"s", unixauth.Options{User: "4294967295"}, "nobody"},
		{"s", unixauth.Options{Group: "4294967295"}, "nobody"},
		{"s", unixauth.Options{User: "4294967296"}, "4294967296"},
		{"s", unixauth.Options{User: "-1"}, "-1"},
		{"s", unixauth.Options{Group: "0x10"}, "0x10"},
	} {
		l, err := unixauth.Listen(tt.path, tt.o)
		if l != nil || err == nil || !strings.HasPrefix(err.Error(), "unixauth: listen on ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Listen(%q, %+v) = %v, %v, want the error %q", tt.path, tt.o, l, err, tt.want)
		}
	}
	_, err := unixauth.Listen("s", unixauth.Options{User: "no such user"})
	if _, ok := errors.AsType[user.UnknownUserError](err); !ok {
		t.Errorf("unknown user: %v", err)
	}
	_, err = unixauth.Listen("s", unixauth.Options{Group: "no such group"})
	if _, ok := errors.AsType[user.UnknownGroupError](err); !ok {
		t.Errorf("unknown group: %v", err)
	}
	wantNothing(t, ".")
}

// The name of a file may begin with @, if it does not look like something else.
func TestListenOnFileThatBeginsWithAt(t *testing.T) {
	t.Chdir(t.TempDir())
	l := listen(t, "./@s", unixauth.Options{})
	wantGreeting(t, l, "./@s")
	if _, err := os.Lstat("@s"); err != nil {
		t.Error(err)
	}
}

// The limit is the kernel's, of 107 bytes on Linux.
func TestListenOnLongPath(t *testing.T) {
	t.Chdir(t.TempDir())
	limit := len(syscall.RawSockaddrUnix{}.Path) - 1
	longest := strings.Repeat("s", limit)
	l := listen(t, longest, unixauth.Options{})
	wantGreeting(t, l, longest)
	must(t, l.Close())
	for _, n := range []int{limit + 1, limit + 2, 4096} {
		_, err := unixauth.Listen(strings.Repeat("s", n), unixauth.Options{})
		if want := fmt.Sprintf("%d bytes, which exceeds the limit of %d", n, limit); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Listen on %d bytes: %v, want %q", n, err, want)
		}
	}
	wantNothing(t, ".")
}

func TestListenInFolderThatIsNone(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, tt := range []struct {
		path string
		want error
	}{
		{"none/s", fs.ErrNotExist},
		{"none/", fs.ErrNotExist},
		{"file/s", syscall.ENOTDIR},
	} {
		if _, err := unixauth.Listen(dir+"/"+tt.path, unixauth.Options{}); !errors.Is(err, tt.want) {
			t.Errorf("Listen in %s: %v, want %v", tt.path, err, tt.want)
		}
	}
}

// The process may go to another folder, and the file is removed where it was made. The
// path is not cleaned, since a folder may be a link to another.
func TestCloseAfterChdir(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "far", "away"), 0o700))
	must(t, os.Symlink(filepath.Join("far", "away"), filepath.Join(dir, "link")))
	for _, tt := range []struct{ path, folder string }{{"s", "."}, {"link/../s", "far"}, {"link/s", "far/away"}} {
		t.Chdir(dir)
		l := listen(t, tt.path, unixauth.Options{})
		if _, err := os.Lstat(filepath.Join(dir, tt.folder, "s")); err != nil {
			t.Error(err)
		}
		t.Chdir(t.TempDir())
		must(t, l.Close())
		if _, err := os.Lstat(filepath.Join(dir, tt.folder, "s")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the file is left: %v", tt.path, err)
		}
	}
}

func TestCloseTwice(t *testing.T) {
	path := socketPath(t)
	first := listen(t, path, unixauth.Options{})
	must(t, first.Close())
	second := listen(t, path, unixauth.Options{})
	if err := first.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second Close = %v, want %v", err, net.ErrClosed)
	}
	wantGreeting(t, second, path)
}

// What has taken the place of the file is another's.
func TestCloseOfTheOldLeavesTheNewOne(t *testing.T) {
	path := socketPath(t)
	old := listen(t, path, unixauth.Options{})
	must(t, os.Remove(path))
	l := listen(t, path, unixauth.Options{})
	must(t, old.Close())
	wantGreeting(t, l, path)

	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte("kept"), 0o600))
	must(t, l.Close())
	if b, err := os.ReadFile(path); string(b) != "kept" || err != nil {
		t.Errorf("the file has %q, %v", b, err)
	}
}

func TestCloseAfterTheFolderIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "s")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	l := listen(t, path, unixauth.Options{})
	must(t, os.RemoveAll(filepath.Dir(path)))
	must(t, l.Close())
}

// A descriptor may be handed on to a successor, who needs the file.
func TestFileThatStays(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path, unixauth.Options{}).(interface {
		net.Listener
		File() (*os.File, error)
		SetUnlinkOnClose(bool)
	})
	f, err := l.File()
	must(t, err)
	defer f.Close()
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second Close = %v, want %v", err, net.ErrClosed)
	}
	successor, err := net.FileListener(f)
	must(t, err)
	defer successor.Close()
	wantGreeting(t, successor, path)
}
