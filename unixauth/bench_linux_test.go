package unixauth_test

import (
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/unixauth"
)

// benchmarkPeer returns a connection of a peer with five groups, or with those of this
// process if it may not choose, and the user that is asked of the database.
func benchmarkPeer(b *testing.B) (*net.UnixConn, string) {
	uid := strconv.Itoa(os.Getuid())
	if os.Getuid() != 0 {
		conn, _ := pair(b, syscall.SOCK_STREAM)
		return conn.(*net.UnixConn), uid
	}
	// That of this process os/user would remember.
	if u, err := user.Lookup("daemon"); err == nil {
		uid = u.Uid
	}
	conn, _ := peer(b, "peer", credential(71001, 71001, 4, 24, 71002, 71003, 71004))
	return conn, uid
}

// database is how the groups of a user are found in the user database.
func database(b *testing.B, uid string) {
	u, err := user.LookupId(uid)
	must(b, err)
	if _, err := u.GroupIds(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkPeerCred(b *testing.B) {
	conn, _ := benchmarkPeer(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unixauth.PeerCred(conn); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUserDatabase(b *testing.B) {
	_, uid := benchmarkPeer(b)
	b.ReportAllocs()
	for b.Loop() {
		database(b, uid)
	}
}

// BenchmarkPeerCredShare compares, in turns, the CPU time of PeerCred with that of the
// user database, and with that of the two system calls which it consists of.
func BenchmarkPeerCredShare(b *testing.B) {
	conn, uid := benchmarkPeer(b)
	raw, err := conn.SyscallConn()
	must(b, err)
	var shares, overheads, times, floors []float64
	for b.Loop() {
		cred := cpuTime(b, 200, func() {
			if _, err := unixauth.PeerCred(conn); err != nil {
				b.Fatal(err)
			}
		})
		var calls time.Duration
		must(b, raw.Control(func(fd uintptr) { calls = cpuTime(b, 200, func() { bareCalls(b, fd) }) }))
		lookup := cpuTime(b, 20, func() { database(b, uid) })
		shares = append(shares, float64(cred)/float64(lookup))
		overheads = append(overheads, float64(cred)/float64(calls))
		times = append(times, float64(cred))
		floors = append(floors, float64(calls))
	}
	b.ReportMetric(median(times), "cpu-ns/peercred")
	b.ReportMetric(median(floors), "cpu-ns/two-calls")
	b.ReportMetric(median(shares), "of-database")
	b.ReportMetric(median(overheads), "of-two-calls")
}

// bareCalls asks the kernel for the ids and for the groups.
func bareCalls(b *testing.B, fd uintptr) {
	for _, option := range [...]uintptr{unix.SO_PEERCRED, unix.SO_PEERGROUPS} {
		var room [256]byte
		n := uint32(len(room))
		if option == unix.SO_PEERCRED {
			n = unix.SizeofUcred
		}
		if _, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, option,
			uintptr(unsafe.Pointer(&room)), uintptr(unsafe.Pointer(&n)), 0); errno != 0 {
			b.Fatal(errno)
		}
	}
}

// cpuTime returns the CPU time that this process takes for one of n calls of f.
func cpuTime(b *testing.B, n int, f func()) time.Duration {
	now := func() int64 {
		var ts unix.Timespec
		must(b, unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts))
		return ts.Nano()
	}
	begin := now()
	for range n {
		f()
	}
	return time.Duration((now() - begin) / int64(n))
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
