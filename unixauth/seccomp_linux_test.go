package unixauth_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/unixauth"
)

// refuse makes getsockopt of these options fail in this process, as on kernels that lack
// them.
func refuse(options map[int]syscall.Errno) error {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		end     = unix.BPF_RET | unix.BPF_K
		nr      = 0          // where the number of the call is, see seccomp(2)
		option  = 16 + 2*8   // where the low half of its third argument is
		allow   = 0x7fff0000 // SECCOMP_RET_ALLOW
		failing = 0x00050000 // SECCOMP_RET_ERRNO
	)
	filter := []unix.SockFilter{
		{Code: load, K: nr},
		{Code: equal, K: unix.SYS_GETSOCKOPT, Jt: 1},
		{Code: end, K: allow},
		{Code: load, K: option},
	}
	for o, errno := range options {
		filter = append(
			filter,
			unix.SockFilter{Code: equal, K: uint32(o), Jf: 1},
			unix.SockFilter{Code: end, K: failing | uint32(errno)},
		)
	}
	filter = append(filter, unix.SockFilter{Code: end, K: allow})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}

	// The filter goes to all threads, but the permission for it is this thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// oldKernelChild prints what is known of a peer where the kernel lacks some options.
func oldKernelChild(args []string) error {
	errnos := map[string]syscall.Errno{"before 6.5": unix.ENOPROTOOPT, "before 6.16": unix.EINVAL, "reaped": unix.ESRCH}
	if err := refuse(map[int]syscall.Errno{unix.SO_PEERGROUPS: unix.ENOPROTOOPT, unix.SO_PEERPIDFD: errnos[args[0]]}); err != nil {
		return err
	}
	conn, _, err := socketPair(syscall.SOCK_STREAM)
	if err != nil {
		return err
	}
	c, err := unixauth.PeerCred(conn)
	if err != nil {
		return err
	}
	groups, known := c.Groups()
	fmt.Println(c.UID == uint32(os.Getuid()), c.HasGroup(uint32(os.Getgid())), groups == nil, known, strings.Contains(c.String(), "groups=unknown"))
	_, err = unixauth.PeerProcess(conn)
	fmt.Println(errors.Is(err, errors.ErrUnsupported), errors.Is(err, os.ErrProcessDone), errors.Is(err, unixauth.ErrNoCred))

	p, err := unixauth.NewPolicy(unixauth.GIDs(uint32(os.Getgid()) + 1))
	if err != nil {
		return err
	}
	fmt.Println(p.Check(c) != nil)

	alone, err := unconnected(syscall.AF_UNIX, syscall.SOCK_STREAM)
	if err != nil {
		return err
	}
	_, err = unixauth.PeerCred(alone)
	fmt.Println(errors.Is(err, unixauth.ErrNoCred))
	return nil
}

// A kernel before 4.13 does not tell the groups: they are unknown, which is not to say that
// there are none.
func TestOldKernels(t *testing.T) {
	for _, tt := range []struct{ kernel, process string }{
		{"before 6.5", "true false false"},
		{"before 6.16", "false true false"},
		{"reaped", "false true false"},
	} {
		t.Run(tt.kernel, func(t *testing.T) {
			c := start(t, "old kernel", nil, tt.kernel)
			if got, want := c.line(t), "true true true false true"; got != want {
				t.Errorf("credentials: %s, want %s", got, want)
			}
			if got := c.line(t); got != tt.process {
				t.Errorf("error of PeerProcess: %s, want %s", got, tt.process)
			}
			if got := c.line(t); got != "true" {
				t.Error("the peer has a group that nobody told of")
			}
			if got := c.line(t); got != "true" {
				t.Error("a socket without a peer has credentials")
			}
			c.end(t)
		})
	}
}

// kernel reports whether this is Linux of at least that version.
func kernel(tb testing.TB, major, minor int) bool {
	tb.Helper()
	var name unix.Utsname
	must(tb, unix.Uname(&name))
	var have [2]int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &have[0], &have[1])
	must(tb, err)
	return slices.Compare(have[:], []int{major, minor}) >= 0
}
