package unixauth_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/unixauth"
)

func init() {
	children["hammer"] = hammerChild
	children["listener"] = listenerChild
	children["without rights"] = withoutRightsChild
	children["group giver"] = groupGiverChild
}

// as returns what makes a child one of this user, in some groups.
func as(uid, gid uint32, groups ...uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
}

// publicFolder returns a folder that all users can reach, other than that of a test.
func publicFolder(tb testing.TB) string {
	tb.Helper()
	folder, err := os.MkdirTemp("", "unixauth")
	must(tb, err)
	tb.Cleanup(func() {
		must(tb, os.Chmod(folder, 0o700))
		must(tb, os.RemoveAll(folder))
	})
	must(tb, os.Chmod(folder, 0o755))
	return folder
}

// hammerChild connects to a path again and again until its input ends, and prints how
// often it got in, and how often it was not allowed to.
func hammerChild(args []string) error {
	var ended atomic.Bool
	var readErr error
	go func() {
		readErr = untilEOF()
		ended.Store(true)
	}()
	in, refused := 0, 0
	for tries := 0; !ended.Load(); tries++ {
		if tries == 1 {
			fmt.Println("ready")
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: args[0]}); err {
		case nil:
			in++
		case unix.EACCES:
			refused++
		case unix.ENOENT, unix.ECONNREFUSED:
		default:
			return err
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	fmt.Println(in, refused)
	return readErr
}

// listenerChild listens a thousand times with some mode, where the umask takes nothing
// away.
func listenerChild(args []string) error {
	mode, err := strconv.ParseUint(args[1], 8, 32)
	if err != nil {
		return err
	}
	syscall.Umask(0)
	for range 1000 {
		l, err := unixauth.Listen(args[0], unixauth.Options{Mode: fs.FileMode(mode)})
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

// A thousand times, another user tries all the time to connect before the file has the
// mode that keeps it out.
func TestRootListenIsNeverOpenWider(t *testing.T) {
	interop.Root(t)
	for _, mode := range []string{"600", "660", "666"} {
		var in, refused int
		// On a machine that does much else, the one may have ended before the other has a
		// turn.
		for tries := 0; in+refused == 0 && tries < 10; tries++ {
			in, refused = hammerListens(t, mode)
		}
		t.Logf("mode %s: it got in %d times, and was refused %d times", mode, in, refused)
		// The last mode shows that it would have found a way.
		if open := mode == "666"; open != (in > 0) || !open && refused == 0 {
			t.Errorf("mode %s: it got in %d times, and was refused %d times", mode, in, refused)
		}
	}
}

// hammerListens returns how often another user got in during a thousand Listens, and how
// often it was refused.
func hammerListens(t *testing.T, mode string) (in, refused int) {
	t.Helper()
	path := filepath.Join(publicFolder(t), "s")
	hammer := start(t, "hammer", as(71002, 71002), path)
	if got := hammer.line(t); got != "ready" {
		t.Fatal(got)
	}
	listener := start(t, "listener", nil, path, mode)
	if got := listener.line(t); got != "done" {
		t.Fatal(got)
	}
	listener.end(t)
	must(t, hammer.stdin.Close())
	_, err := fmt.Sscan(hammer.line(t), &in, &refused)
	must(t, err)
	return in, refused
}

func TestRootListenOwnerUnderUmasks(t *testing.T) {
	interop.Root(t)
	testUmasks(t, 71002, 71003)
}

func TestRootListenOwner(t *testing.T) {
	interop.Root(t)
	path := filepath.Join(publicFolder(t), "s")
	l := listen(t, path, unixauth.Options{Mode: 0o620, User: "71002", Group: "71003"})
	info, err := os.Lstat(path)
	must(t, err)
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 71002 || s.Gid != 71003 || info.Mode().Perm() != 0o620 {
		t.Errorf("%v of %d:%d", info.Mode(), s.Uid, s.Gid)
	}
	for _, tt := range []struct {
		attr *syscall.SysProcAttr
		in   bool
	}{
		{as(71002, 71004), true},
		{as(71004, 71003), true},
		{as(71004, 71004, 71003), true},
		{as(71004, 71004), false},
	} {
		hammer := start(t, "hammer", tt.attr, path)
		if got := hammer.line(t); got != "ready" {
			t.Fatal(got)
		}
		if tt.in {
			conn, err := l.Accept()
			must(t, err)
			must(t, conn.Close())
		}
		must(t, hammer.stdin.Close())
		var in, refused int
		_, err := fmt.Sscan(hammer.line(t), &in, &refused)
		must(t, err)
		if tt.in != (in > 0) || tt.in != (refused == 0) {
			t.Errorf("%+v got in %d times, and was refused %d times", tt.attr.Credential, in, refused)
		}
	}
	must(t, l.Close())
	wantNothing(t, filepath.Dir(path))
}

// Root could remove it, but it is not root's to say that nobody needs it.
func TestRootListenWhereAnothersSocketIs(t *testing.T) {
	interop.Root(t)
	path := socketPath(t)
	makeDead(t, path)
	must(t, os.Lchown(path, 71002, 71002))
	for _, user := range []string{"", "71003"} {
		_, err := unixauth.Listen(path, unixauth.Options{User: user})
		if !errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "a socket of user 71002 is there") {
			t.Errorf("Listen for user %q: %v", user, err)
		}
	}
	l := listen(t, path, unixauth.Options{User: "71002"})
	if _, err := unixauth.Listen(path, unixauth.Options{User: "71002"}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen where it is live: %v", err)
	}
	wantLeftover(t, l)
}

// wantLeftover accepts the connection of somebody who asked whether l lives.
func wantLeftover(t *testing.T, l net.Listener) {
	t.Helper()
	conn, err := l.Accept()
	must(t, err)
	must(t, conn.Close())
}

// withoutRightsChild tries what a user without the rights of root may not do, and prints how
// it went.
func withoutRightsChild(args []string) error {
	writable, unreadable := args[0], args[1]
	for _, o := range []unixauth.Options{{User: "0"}, {Group: "0"}, {User: "71009", Mode: 0o666}} {
		_, err := unixauth.Listen(writable+"/s", o)
		entries, readErr := os.ReadDir(writable)
		fmt.Println(errors.Is(err, fs.ErrPermission), len(entries), readErr)
	}

	l, err := unixauth.Listen(unreadable+"/s", unixauth.Options{})
	if err != nil {
		return err
	}
	_, err = unixauth.Listen(unreadable+"/s", unixauth.Options{})
	fmt.Println(errors.Is(err, syscall.EADDRINUSE))
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		return err
	}
	_, err = unixauth.Listen(unreadable+"/s", unixauth.Options{})
	_, statErr := os.Lstat(unreadable + "/s")
	fmt.Println(errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrPermission), strings.Contains(fmt.Sprint(err), "without a lock"), statErr)

	// Nobody may connect to this one, as where a Listen was killed.
	if err := os.Rename(unreadable+"/s", writable+"/s"); err != nil {
		return err
	}
	if err := os.Chmod(writable+"/s", 0); err != nil {
		return err
	}
	l, err = unixauth.Listen(writable+"/s", unixauth.Options{})
	fmt.Println(err)
	if err != nil {
		return nil
	}
	// The next one lives.
	if err := os.Chmod(writable+"/s", 0o060); err != nil {
		return err
	}
	_, err = unixauth.Listen(writable+"/s", unixauth.Options{})
	info, statErr := os.Lstat(writable + "/s")
	if statErr != nil {
		return statErr
	}
	fmt.Println(errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EADDRINUSE), info.Mode())
	return l.Close()
}

// Any user but root can run this.
func TestListenWithoutRights(t *testing.T) {
	var attr *syscall.SysProcAttr
	if os.Geteuid() == 0 {
		attr = as(71002, 71002)
	}
	writable, unreadable := publicFolder(t), publicFolder(t)
	must(t, os.Chmod(writable, 0o777))
	must(t, os.Chmod(unreadable, 0o333))
	c := start(t, "without rights", attr, writable, unreadable)
	for _, want := range []string{
		"true 0 <nil>", "true 0 <nil>", "true 0 <nil>",
		"true",
		"true true true <nil>",
		"<nil>",
		"true true S---rw----",
	} {
		if got := c.line(t); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	c.end(t)
}

// groupGiverChild gives a socket to a group.
func groupGiverChild(args []string) error {
	l, err := unixauth.Listen(args[0], unixauth.Options{Mode: 0o660, Group: args[1]})
	if err != nil {
		fmt.Println(errors.Is(err, fs.ErrPermission))
		return nil
	}
	defer l.Close()
	info, err := os.Lstat(args[0])
	if err != nil {
		return err
	}
	fmt.Println(info.Mode(), info.Sys().(*syscall.Stat_t).Gid)
	return nil
}

// A user without the rights of root may give a file to the groups that it is in.
func TestRootListenForGroup(t *testing.T) {
	interop.Root(t)
	folder := publicFolder(t)
	must(t, os.Chmod(folder, 0o777))
	for group, want := range map[string]string{"71002": "Srw-rw---- 71002", "71003": "Srw-rw---- 71003", "71004": "true"} {
		c := start(t, "group giver", as(71002, 71002, 71003), filepath.Join(folder, "s"), group)
		if got := c.line(t); got != want {
			t.Errorf("group %s: %s, want %s", group, got, want)
		}
		c.end(t)
	}
	wantNothing(t, folder)
}
