package unixauth_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/unixauth"
)

// childVariable is the environment variable that makes this program one of its children.
const childVariable = "NETPARTS_UNIXAUTH_CHILD"

// patience is how long a test waits for another process.
const patience = 20 * time.Second

// children are what this program does as a child, with the arguments of the command
// line. A file that needs another adds it in an init function. A child ends at the
// latest when its standard input does.
var children = map[string]func(args []string) error{
	"peer":           peerChild,
	"dropping peer":  droppingChild,
	"judge":          judgeChild,
	"database judge": databaseJudgeChild,
	"old kernel":     oldKernelChild,
	"overflow":       overflowChild,
}

// childMain does not return in a child.
func childMain() {
	name, ok := os.LookupEnv(childVariable)
	if !ok {
		return
	}
	run, ok := children[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no child %q\n", name)
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "child %q: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A child is a process of this program.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
}

// start starts a child, which ends with the test. Whatever its user, it may run the
// file that this process runs from, wherever that is.
func start(tb testing.TB, name string, attr *syscall.SysProcAttr, args ...string) *child {
	tb.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	// The race detector waits a second at the end of each process otherwise.
	cmd.Env = []string{childVariable + "=" + name, "GORACE=atexit_sleep_ms=0"}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	stdin, err := cmd.StdinPipe()
	must(tb, err)
	stdout, err := cmd.StdoutPipe()
	must(tb, err)
	must(tb, stdout.(*os.File).SetReadDeadline(time.Now().Add(patience)))
	must(tb, cmd.Start())
	c := &child{cmd, stdin, bufio.NewReader(stdout)}
	tb.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return c
}

// line returns the next line that the child prints.
func (c *child) line(tb testing.TB) string {
	tb.Helper()
	s, err := c.stdout.ReadString('\n')
	if err != nil {
		tb.Fatalf("the child prints no line: %v", err)
	}
	return strings.TrimSuffix(s, "\n")
}

// end lets the child end, and waits for it.
func (c *child) end(tb testing.TB) {
	tb.Helper()
	must(tb, c.stdin.Close())
	must(tb, c.cmd.Wait())
}

var addresses atomic.Int32

// abstractAddress returns an address that processes of any user can connect to.
func abstractAddress() string {
	return fmt.Sprintf("@netparts-unixauth-%d-%d", os.Getpid(), addresses.Add(1))
}

// peer connects from a child, and returns the server's end. Without credentials it is
// of this process's user.
func peer(tb testing.TB, kind string, credential *syscall.Credential) (*net.UnixConn, *child) {
	tb.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: abstractAddress()})
	must(tb, err)
	defer l.Close()
	must(tb, l.SetDeadline(time.Now().Add(patience)))
	c := start(tb, kind, &syscall.SysProcAttr{Credential: credential}, l.Addr().String())
	conn, err := l.AcceptUnix()
	must(tb, err)
	tb.Cleanup(func() { conn.Close() })
	return conn, c
}

// untilEOF waits until the parent lets this child end.
func untilEOF() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// peerChild connects to an address.
func peerChild(args []string) error {
	conn, err := net.Dial("unix", args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	return untilEOF()
}

// droppingChild connects as root, gives up its rights, and says who it is now.
func droppingChild(args []string) error {
	conn, err := net.Dial("unix", args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(71001); err != nil {
		return err
	}
	if err := syscall.Setuid(71001); err != nil {
		return err
	}
	fmt.Println(os.Geteuid(), os.Getegid())
	return untilEOF()
}

// A verdict is what a judge prints of a peer.
type verdict struct {
	UID, GID uint32
	Groups   []uint32
	PID      int               // 0 if it is not known
	Process  string            // why there is none, or nothing
	Denied   map[string]string // the names of policies that deny it, and why
}

// policies are those of the judges.
var policies = map[string]unixauth.Rule{
	"everyone":          unixauth.Everyone(),
	"root":              unixauth.Root(),
	"self":              unixauth.Self(),
	"gid 71001":         unixauth.GIDs(71001),
	"gid 65534":         unixauth.GIDs(65534),
	"user alice":        unixauth.Users("alice"),
	"user 71009":        unixauth.Users("71009"),
	"user 1234":         unixauth.Users("1234"),
	"group staffers":    unixauth.Groups("staffers"),
	"database staffers": unixauth.DatabaseGroups("staffers"),
	"database alice":    unixauth.DatabaseGroups("alice"),
	"either staffers":   unixauth.Any(unixauth.DatabaseGroups("staffers"), unixauth.Groups("staffers")),
	"both staffers":     unixauth.All(unixauth.DatabaseGroups("staffers"), unixauth.Groups("staffers")),
}

// judgeChild listens at an address and prints a verdict for each peer. The other
// arguments are the names of policies.
func judgeChild(args []string) error {
	judges := make(map[string]*unixauth.Policy)
	for _, name := range args[1:] {
		p, err := unixauth.NewPolicy(policies[name])
		if err != nil {
			return err
		}
		judges[name] = p
	}
	l, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for out := json.NewEncoder(os.Stdout); ; {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		c, err := unixauth.PeerCred(conn)
		if err != nil {
			return err
		}
		v := verdict{UID: c.UID, GID: c.GID, Denied: make(map[string]string)}
		v.Groups, _ = c.Groups()
		if pid, ok := c.PID(); ok {
			v.PID = pid
		}
		if p, err := unixauth.PeerProcess(conn); err != nil {
			v.Process = err.Error()
		} else if err := p.Close(); err != nil {
			return err
		}
		for name, p := range judges {
			if err := p.Check(c); err != nil {
				v.Denied[name] = err.Error()
			}
		}
		if err := out.Encode(v); err != nil {
			return err
		}
	}
}

// judge is a judge that waits for peers.
type judge struct {
	*child
	address string
}

// startJudge starts a judge in namespaces of its own.
func startJudge(tb testing.TB, attr *syscall.SysProcAttr, names ...string) judge {
	tb.Helper()
	address := abstractAddress()
	c := start(tb, "judge", attr, append([]string{address}, names...)...)
	if got := c.line(tb); got != "ready" {
		tb.Fatalf("the judge says %q", got)
	}
	return judge{c, address}
}

// verdict returns what the judge says of a peer with these credentials.
func (j judge) verdict(tb testing.TB, credential *syscall.Credential) (v verdict) {
	tb.Helper()
	start(tb, "peer", &syscall.SysProcAttr{Credential: credential}, j.address)
	must(tb, json.Unmarshal([]byte(j.line(tb)), &v))
	return v
}

// databaseJudgeChild puts the files of a folder over those of the same names in /etc, in
// its own mount namespace, and goes on as a judge.
func databaseJudgeChild(args []string) error {
	files, err := filepath.Glob(filepath.Join(args[0], "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := bind(file, filepath.Join("/etc", filepath.Base(file))); err != nil {
			return err
		}
	}
	return judgeChild(args[1:])
}

// bind puts a file over another.
func bind(file, over string) error {
	if err := syscall.Mount(file, over, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount over %s: %w", over, err)
	}
	return nil
}

// overflowChild puts a file over that of the overflow uid, in its own namespaces, and
// prints which of the numbers that follow a policy refuses.
func overflowChild(args []string) error {
	if err := bind(args[0], "/proc/sys/kernel/overflowuid"); err != nil {
		return err
	}
	everyone, err := unixauth.NewPolicy(unixauth.Everyone())
	if err != nil {
		return err
	}
	for _, uid := range []uint32{12345, 65534} {
		_, err := unixauth.NewPolicy(unixauth.UIDs(uid))
		fmt.Println(uid, err == nil, everyone.Check(unixauth.NewCred(uid, uid)) == nil)
	}
	return nil
}
