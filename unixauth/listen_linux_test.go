package unixauth_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/unixauth"
)

func init() {
	children["umask"] = umaskChild
	children["before 6.6"] = oldChmodChild
	children["competitor"] = competitorChild
}

func TestListenAbstract(t *testing.T) {
	longest := abstractAddress()
	longest += strings.Repeat("s", 108-len(longest))
	for _, name := range []string{abstractAddress(), longest} {
		l := listen(t, name, unixauth.Options{Abstract: true})
		if got := l.Addr().String(); got != name {
			t.Errorf("Addr = %q, want %q", got, name)
		}
		wantGreeting(t, l, name)
		other, err := unixauth.Listen(name, unixauth.Options{Abstract: true})
		if other != nil || !errors.Is(err, fs.ErrExist) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("the second Listen = %v, %v", other, err)
		}
		must(t, l.Close())
		listen(t, name, unixauth.Options{Abstract: true})
	}
	_, err := unixauth.Listen(longest+"s", unixauth.Options{Abstract: true})
	if err == nil || !strings.Contains(err.Error(), "109 bytes, which exceeds the limit of 108") {
		t.Errorf("Listen on 109 bytes: %v", err)
	}
}

// The limit that people know.
func TestListenPathOf107Bytes(t *testing.T) {
	t.Chdir(t.TempDir())
	listen(t, strings.Repeat("s", 107), unixauth.Options{})
	if _, err := unixauth.Listen(strings.Repeat("s", 108), unixauth.Options{}); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("Listen on 108 bytes: %v", err)
	}
}

// umaskChild prints the modes that sockets get under some umasks, and which is the umask
// after it.
func umaskChild(args []string) error {
	path, user, group := args[0], args[1], args[2]
	for _, umask := range []int{0o000, 0o022, 0o077, 0o777} {
		for _, mode := range []fs.FileMode{0, 0o600, 0o660, 0o666, 0o777} {
			syscall.Umask(umask)
			l, err := unixauth.Listen(path, unixauth.Options{Mode: mode, User: user, Group: group})
			if err != nil {
				return err
			}
			info, err := os.Lstat(path)
			if err != nil {
				return err
			}
			s := info.Sys().(*syscall.Stat_t)
			fmt.Printf("%03o %03o: %03o %d %d %03o\n", umask, mode, info.Mode().Perm(), s.Uid, s.Gid, syscall.Umask(0))
			if err := l.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestListenUnderUmasks(t *testing.T) { testUmasks(t, os.Geteuid(), os.Getegid()) }

// testUmasks checks that mode, owner and group are those that are asked for, whatever the
// umask, which stays as it is.
func testUmasks(t *testing.T, uid, gid int) {
	t.Helper()
	c := start(t, "umask", nil, socketPath(t), strconv.Itoa(uid), strconv.Itoa(gid))
	for _, umask := range []string{"000", "022", "077", "777"} {
		for _, modes := range []string{"000: 600", "600: 600", "660: 660", "666: 666", "777: 777"} {
			want := fmt.Sprintf("%s %s %d %d %s", umask, modes, uid, gid, umask)
			if got := c.line(t); got != want {
				t.Errorf("umask, mode and owner: %s, want %s", got, want)
			}
		}
	}
	c.end(t)
}

// currentUmask asks the kernel without changing it.
func currentUmask() (string, error) {
	status, err := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "\nUmask:\t")
	umask, _, _ := strings.Cut(rest, "\n")
	return umask, err
}

// Not for a moment does the umask change, which other goroutines make files under.
func TestListenLeavesTheUmaskAlone(t *testing.T) {
	want, err := currentUmask()
	must(t, err)
	if want == "" {
		t.Fatal("the kernel does not tell the umask")
	}
	path := socketPath(t)
	var ended atomic.Bool
	go func() {
		defer ended.Store(true)
		for range 1000 {
			l, err := unixauth.Listen(path, unixauth.Options{Mode: 0o666})
			if err == nil {
				err = l.Close()
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for !ended.Load() {
		if got, err := currentUmask(); got != want || err != nil {
			t.Errorf("umask %s, %v, want %s", got, err, want)
			break
		}
	}
	for !ended.Load() {
		runtime.Gosched()
	}
}

// oldChmodChild listens where fchmodat2 does not exist.
func oldChmodChild(args []string) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call, see seccomp(2)
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FCHMODAT2, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(unix.ENOSYS)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                       // SECCOMP_RET_ALLOW
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the permission is this thread's, the filter goes to all
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	if err := unix.Fchmodat(unix.AT_FDCWD, args[0], 0o600, unix.AT_SYMLINK_NOFOLLOW); err != unix.EOPNOTSUPP {
		return fmt.Errorf("fchmodat2 is there: %v", err)
	}
	l, err := unixauth.Listen(args[0], unixauth.Options{Mode: 0o640})
	if err != nil {
		return err
	}
	defer l.Close()
	info, err := os.Lstat(args[0])
	if err != nil {
		return err
	}
	fmt.Println(info.Mode())
	return nil
}

func TestListenOnOldKernel(t *testing.T) {
	c := start(t, "before 6.6", nil, socketPath(t))
	if got, want := c.line(t), "Srw-r-----"; got != want {
		t.Errorf("mode %s, want %s", got, want)
	}
	c.end(t)
}

// Nothing is left open, and nothing is passed on to programs that are started.
func TestListenDescriptors(t *testing.T) {
	path, taken := socketPath(t), socketPath(t)
	listen(t, taken, unixauth.Options{})
	l := listen(t, socketPath(t), unixauth.Options{})
	raw, err := l.(syscall.Conn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %#x, %v", flags, err)
		}
		status, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil || status&unix.O_NONBLOCK == 0 {
			t.Errorf("status %#x, %v", status, err)
		}
	}))
	before := descriptors(t)
	for range 200 {
		l, err := unixauth.Listen(path, unixauth.Options{})
		must(t, err)
		must(t, l.Close())
		if _, err := unixauth.Listen(taken, unixauth.Options{}); err == nil {
			t.Fatal("it was taken")
		}
		if _, err := unixauth.Listen(filepath.Dir(path), unixauth.Options{}); err == nil {
			t.Fatal("it is a folder")
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

// A backlog of one that is full is a sign of life, as much as an answer.
func TestListenWhereTheBacklogIsFull(t *testing.T) {
	path := socketPath(t)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	must(t, unix.Listen(fd, 0))
	for {
		c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		defer unix.Close(c)
		if err := unix.Connect(c, &unix.SockaddrUnix{Name: path}); err == unix.EAGAIN {
			break
		}
		must(t, err)
	}
	wantLive(t, path)
}

func TestListenWhereADeviceIs(t *testing.T) {
	path := socketPath(t)
	must(t, unix.Mknod(path, unix.S_IFCHR|0o600, 0)) // 0:0 is nobody's, and may be made by all
	_, err := unixauth.Listen(path, unixauth.Options{})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "a device is there") {
		t.Errorf("Listen: %v", err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeDevice|fs.ModeCharDevice {
		t.Errorf("the device is %v, %v", info, err)
	}
}

// The folder is waited for, but not for ever: all who may read it can keep it locked. That
// keeps nobody from listening. Only a dead socket is not replaced.
func TestListenInLockedFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := socketPath(t)
		folder, err := os.Open(filepath.Dir(path))
		must(t, err)
		defer folder.Close()
		must(t, unix.Flock(int(folder.Fd()), unix.LOCK_EX))
		begin := time.Now()
		l, err := unixauth.Listen(path, unixauth.Options{})
		must(t, err)
		if waited := time.Since(begin); waited < 2*time.Second || waited > 10*time.Second {
			t.Errorf("it has waited for %v", waited)
		}
		must(t, l.Close())
		wantNothing(t, filepath.Dir(path))

		makeDead(t, path)
		_, err = unixauth.Listen(path, unixauth.Options{})
		if !errors.Is(err, fs.ErrExist) || !errors.Is(err, unix.EWOULDBLOCK) || !strings.Contains(fmt.Sprint(err), "the folder is locked") {
			t.Errorf("Listen where a dead socket is: %v", err)
		}
		must(t, os.Remove(path))

		time.AfterFunc(time.Second, func() {
			must(t, unix.Flock(int(folder.Fd()), unix.LOCK_UN))
		})
		l, err = unixauth.Listen(path, unixauth.Options{})
		must(t, err)
		must(t, unix.Flock(int(folder.Fd()), unix.LOCK_EX))
		begin = time.Now()
		must(t, l.Close()) // which does not wait
		if waited := time.Since(begin); waited > 0 {
			t.Errorf("Close has waited for %v", waited)
		}
		wantNothing(t, filepath.Dir(path))
	})
}

// Somebody who may write the folder puts another file in the place of the socket before it
// gets its mode. It does not get it.
func TestListenDoesNotTouchWhatTookItsPlace(t *testing.T) {
	for name, makeIt := range map[string]func(path string) error{
		"a file":         func(path string) error { return os.WriteFile(path, nil, 0) },
		"a link":         func(path string) error { makeDead(t, path+"s"); return os.Symlink(path+"s", path) },
		"a second name":  func(path string) error { makeUnopened(t, path+"s"); return os.Link(path+"s", path) },
		"a second path":  func(path string) error { makeUnopened(t, path); return os.Link(path, path+"s") },
		"another socket": func(path string) error { makeDead(t, path+"s"); return os.Rename(path+"s", path) },
		"a named pipe":   func(path string) error { return unix.Mkfifo(path, 0) },
		"nothing at all": func(string) error { return nil },
	} {
		path := socketPath(t)
		must(t, makeIt(path))
		before, _ := os.Stat(path)
		if err := unixauth.Adorn(path, 0o606, -1, -1); err == nil {
			t.Errorf("%s: it is adorned", name)
		}
		if after, err := os.Stat(path); before != nil && (err != nil || after.Mode() != before.Mode()) {
			t.Errorf("%s: it was %v and is %v, %v", name, before.Mode(), after, err)
		}
	}
}

// A folder may say that some user shall have every file in it. The socket is not for that
// user, whatever the mode gives to the group.
func TestListenInFolderWithDefaultACL(t *testing.T) {
	path := socketPath(t)
	const all = 1<<32 - 1
	acl := binary.LittleEndian.AppendUint32(nil, 2) // the version
	for _, entry := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 7, all}, {2, 7, 71002}, {4, 7, all}, {16, 7, all}, {32, 7, all}} { // owner, user, group, mask, others
		acl = binary.LittleEndian.AppendUint16(acl, entry.tag)
		acl = binary.LittleEndian.AppendUint16(acl, entry.perm)
		acl = binary.LittleEndian.AppendUint32(acl, entry.id)
	}
	err := unix.Setxattr(filepath.Dir(path), "system.posix_acl_default", acl, 0)
	if err == unix.EOPNOTSUPP {
		t.Skip("the file system of temporary files has no ACLs")
	}
	must(t, err)
	listen(t, path, unixauth.Options{Mode: 0o660})
	if n, err := unix.Getxattr(path, "system.posix_acl_access", nil); err != unix.ENODATA {
		t.Errorf("the socket has an ACL of %d bytes, %v", n, err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("it is %v, %v", info, err)
	}
}

// makeUnopened makes a socket that nobody may connect to, as a Listen does first.
func makeUnopened(tb testing.TB, path string) {
	tb.Helper()
	makeDead(tb, path)
	must(tb, os.Chmod(path, 0))
}

// competitorChild listens at a path when it is told to, and prints how it went. At the next
// word it closes.
func competitorChild(args []string) error {
	var l net.Listener
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var err error
		if l != nil {
			err = l.Close()
			l = nil
		} else if l, err = unixauth.Listen(args[0], unixauth.Options{}); err == nil {
			fmt.Println("won")
			continue
		}
		fmt.Println(err, errors.Is(err, syscall.EADDRINUSE) && errors.Is(err, fs.ErrExist))
	}
	return nil
}

// What goroutines of one process do, processes do too.
func TestListenRaceOfProcesses(t *testing.T) {
	path := socketPath(t)
	var all []*child
	for range 4 {
		all = append(all, start(t, "competitor", nil, path))
	}
	tell := func(c *child) {
		_, err := c.stdin.(*os.File).WriteString("go\n")
		must(t, err)
	}
	for round := range 100 {
		makeDead(t, path)
		for _, c := range all {
			tell(c)
		}
		var winners []*child
		for _, c := range all {
			if got := c.line(t); got == "won" {
				winners = append(winners, c)
			} else if !strings.HasSuffix(got, strconv.FormatBool(true)) {
				t.Errorf("round %d: %s", round, got)
			}
		}
		if len(winners) != 1 {
			t.Fatalf("round %d has %d winners", round, len(winners))
		}
		conn, err := net.Dial("unix", path)
		must(t, err)
		must(t, conn.Close())
		tell(winners[0])
		if got := winners[0].line(t); got != "<nil> false" {
			t.Fatalf("round %d: %s", round, got)
		}
		wantNothing(t, filepath.Dir(path))
	}
	for _, c := range all {
		c.end(t)
	}
}
