package unixauth_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/unixauth"
)

func init() {
	children["activated"] = activatedChild
}

// An outcome is what a child says of its activation.
type outcome struct {
	Err     string
	Names   []string
	Addrs   []string
	Again   bool // the second call returned the same
	Left    []string
	Sockets int // how many are open
	Inherit int // how many of them would be passed on
}

// activatedChild activates itself with the variables in its arguments, as a service manager
// would set them who knows its pid, and greets one client of each listener with its name.
func activatedChild(args []string) error {
	variables := []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES"}
	for i, name := range variables {
		value := args[i]
		if value == "self" && name == "LISTEN_PID" {
			value = fmt.Sprint(os.Getpid())
		} else if value == "self" {
			value = fmt.Sprint(unixauth.OwnID())
		}
		if value == "unset" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	all, err := unixauth.Activation()
	again, errAgain := unixauth.Activation()
	o := outcome{Again: reflect.DeepEqual(all, again) && err == errAgain}
	if err != nil {
		o.Err = err.Error()
	}
	for _, name := range variables {
		if _, ok := os.LookupEnv(name); ok {
			o.Left = append(o.Left, name)
		}
	}
	for _, a := range all {
		o.Names = append(o.Names, a.Name)
		o.Addrs = append(o.Addrs, a.Listener.Addr().String())
		if err := greet(a.Listener, a.Name); err != nil {
			return err
		}
	}
	if o.Sockets, o.Inherit, err = countDescriptors(); err != nil {
		return err
	}
	for _, a := range all {
		if err := a.Listener.Close(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// countDescriptors returns how many open descriptors are sockets, and how many of them stay
// open in a program that is started.
func countDescriptors() (sockets, inherited int, err error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err != nil {
			return 0, 0, err
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if fd <= 2 || err != nil { // the one of the folder is closed
			continue
		}
		if target, _ := os.Readlink("/proc/self/fd/" + e.Name()); !strings.HasPrefix(target, "socket:") {
			continue
		}
		sockets++
		if flags&unix.FD_CLOEXEC == 0 {
			inherited++
		}
	}
	return sockets, inherited, nil
}

// activated returns the outcome of a child that is started with files and the variables
// LISTEN_FDS, LISTEN_PID, LISTEN_PIDFDID and LISTEN_FDNAMES.
func activated(t *testing.T, files []*os.File, variables ...string) (o outcome) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", variables...)
	cmd.Env = []string{childVariable + "=activated", "GORACE=atexit_sleep_ms=0"} // which is a second otherwise
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	must(t, json.Unmarshal(out, &o))
	if !o.Again || len(o.Left) > 0 {
		t.Errorf("%q: the same again: %t, variables that are left: %v", variables, o.Again, o.Left)
	}
	return o
}

// A filer is a socket that gives out its descriptor.
type filer interface{ File() (*os.File, error) }

// fileOf returns the descriptor of a socket, until the end of the test.
func fileOf(t *testing.T, socket filer) *os.File {
	t.Helper()
	f, err := socket.File()
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// listening returns listening sockets of Unix, IPv4 and IPv6, and their addresses.
func listening(t *testing.T) (files []*os.File, addrs []net.Addr) {
	t.Helper()
	for _, tt := range []struct{ network, address string }{
		{"unix", filepath.Join(t.TempDir(), "s")}, {"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"},
	} {
		l, err := net.Listen(tt.network, tt.address)
		must(t, err)
		t.Cleanup(func() { l.Close() })
		addrs = append(addrs, l.Addr())
		files = append(files, fileOf(t, l.(filer)))
	}
	return files, addrs
}

func TestActivation(t *testing.T) {
	files, addrs := listening(t)
	for _, tt := range []struct {
		pidfdID, names string
		want           []string
	}{
		{"unset", "a:b b:", []string{"a", "b b", ""}},
		{"self", "same:same:other", []string{"same", "same", "other"}},
		{"", "unset", []string{"unknown", "unknown", "unknown"}},
		{"", "", []string{"unknown", "unknown", "unknown"}},
	} {
		var wg sync.WaitGroup
		for i, addr := range addrs {
			wg.Go(func() {
				if got, err := greeting(addr.Network(), addr.String()); got != tt.want[i] || err != nil {
					t.Errorf("listener %d says %q, %v, want %q", i, got, err, tt.want[i])
				}
			})
		}
		o := activated(t, files, "3", "self", tt.pidfdID, tt.names)
		wg.Wait()
		want := outcome{Names: tt.want, Again: true, Sockets: 3}
		for _, addr := range addrs {
			want.Addrs = append(want.Addrs, addr.String())
		}
		if !reflect.DeepEqual(o, want) {
			t.Errorf("%+v, want %+v", o, want)
		}
		if _, err := os.Lstat(addrs[0].String()); err != nil {
			t.Errorf("the service manager's file: %v", err)
		}
	}
}

// What is passed to another process, or to none, is left alone.
func TestActivationOfOthers(t *testing.T) {
	files, _ := listening(t)
	all := [][]string{
		{"unset", "unset", "unset", "unset"},
		{"unset", "self", "unset", "a:b:c"},
		{"3", "unset", "unset", "a:b:c"},
		{"", "self", "", ""},
		{"3", "", "", ""},
		{"3", "1", "", "a:b:c"},
	}
	if unixauth.OwnID() != 0 { // the kernel tells processes of one pid apart
		all = append(all, []string{"3", "self", "1", "a:b:c"})
	}
	for _, variables := range all {
		want := outcome{Again: true, Sockets: 3, Inherit: 3}
		if o := activated(t, files, variables...); !reflect.DeepEqual(o, want) {
			t.Errorf("%q: %+v, want %+v", variables, o, want)
		}
	}
}

// If one is not what it should be, all are closed.
func TestActivationThatIsWrong(t *testing.T) {
	files, _ := listening(t)
	plain, err := os.Open("/proc/self/exe")
	must(t, err)
	defer plain.Close()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer udp.Close()
	packets, err := net.ListenUnix("unixpacket", &net.UnixAddr{Net: "unixpacket", Name: socketPath(t)})
	must(t, err)
	defer packets.Close()
	server, client := connect(t, "unix")
	defer client.Close()
	defer server.Close()
	for _, tt := range []struct {
		want      string
		files     []*os.File
		variables []string
	}{
		{"4 names of 3", files, []string{"3", "self", "", "a:b:c:d"}},
		{"2 names of 3", files, []string{"3", "self", "", "a:b"}},
		{"LISTEN_FDNAMES", files, []string{"3", "self", "", "a:b:\n"}},
		{"was not passed", files, []string{"4096", "self", "", ""}}, // what else is open is not closed
		{"descriptor 4", []*os.File{files[0], nil, files[1]}, []string{"3", "self", "", ""}},
		{"descriptor 5: ", []*os.File{files[0], files[1], plain}, []string{"3", "self", "", ""}},
		{"descriptor 4: no stream", []*os.File{files[0], fileOf(t, udp)}, []string{"2", "self", "", ""}},
		{"descriptor 3: no stream", []*os.File{fileOf(t, packets), files[0]}, []string{"2", "self", "", ""}},
		{"descriptor 4: a socket that does not listen", []*os.File{files[0], fileOf(t, server.(filer))}, []string{"2", "self", "", ""}},
		{"descriptor 3: a socket of address family 16", []*os.File{netlink(t), files[0]}, []string{"2", "self", "", ""}},
	} {
		o := activated(t, tt.files, tt.variables...)
		if !strings.Contains(o.Err, tt.want) || len(o.Names) > 0 || o.Sockets > 0 || o.Inherit > 0 || len(o.Err) > 500 {
			t.Errorf("%.1000v, want %q", o, tt.want)
		}
	}
	for _, variables := range [][]string{
		{"0", "self", "", ""},
		{"4097", "self", "", ""},
		{"3", "me", "", ""},
	} {
		// Nobody can tell how many there are.
		if o := activated(t, files, variables...); o.Err == "" || len(o.Names) > 0 || o.Sockets != 3 {
			t.Errorf("%q: %+v", variables, o)
		}
	}
}

// netlink returns a socket of another family.
func netlink(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	must(t, err)
	f := os.NewFile(uintptr(fd), "netlink")
	t.Cleanup(func() { f.Close() })
	return f
}

func TestParseActivation(t *testing.T) {
	const pid, id = 77, 4711
	for _, tt := range []struct {
		fds, pid, pidfdID, names string
		n                        int
		want                     []string
		err                      string
	}{
		{fds: "2", pid: "77", n: 2, want: []string{"unknown", "unknown"}},
		{fds: "2", pid: "77", pidfdID: "4711", names: "a:b", n: 2, want: []string{"a", "b"}},
		{fds: "2", pid: "77", pidfdID: "4712", names: "a"},
		{fds: "x", pid: "78", pidfdID: "x", names: "\n"},
		{pid: "77", names: "a"},
		{fds: "2", names: "a"},
		{fds: "2", pid: "77", names: "a", n: 2, err: "1 names of 2"},
		{fds: "2", pid: "77", names: "a:b:", n: 2, err: "3 names of 2"},
		{fds: "1", pid: "77", names: strings.Repeat("n", 255), n: 1, want: []string{strings.Repeat("n", 255)}},
		{fds: "1", pid: "77", names: strings.Repeat("n", 256), n: 1, err: "LISTEN_FDNAMES"},
		{fds: "1", pid: "77", names: " ~", n: 1, want: []string{" ~"}},
		{fds: "1", pid: "77", names: "\x1f", n: 1, err: "LISTEN_FDNAMES"},
		{fds: "1", pid: "77", names: "\x7f", n: 1, err: "LISTEN_FDNAMES"},
		{fds: "1", pid: "77", names: "\u00e4", n: 1, err: "LISTEN_FDNAMES"},
		{fds: "4096", pid: "77", n: 4096, want: slices.Repeat([]string{"unknown"}, 4096)},
		{fds: "4097", pid: "77", err: `LISTEN_FDS is "4097", want 1 to 4096`},
		{fds: "0", pid: "77", err: "LISTEN_FDS"},
		{fds: "-1", pid: "77", err: "LISTEN_FDS"},
		{fds: "+1", pid: "77", err: "LISTEN_FDS"},
		{fds: " 1", pid: "77", err: "LISTEN_FDS"},
		{fds: "99999999999999999999", pid: "77", err: "LISTEN_FDS"},
		{fds: "1", pid: "x", err: "LISTEN_PID"},
		{fds: "1", pid: "0", err: "LISTEN_PID"},
		{fds: "1", pid: "-77", err: "LISTEN_PID"},
		{fds: "1", pid: "4294967373", err: "LISTEN_PID"}, // 77 in 32 bits
		{fds: "1", pid: "77", pidfdID: "x", err: "LISTEN_PIDFDID"},
	} {
		n, names, err := unixauth.ParseActivation(tt.fds, tt.pid, tt.pidfdID, tt.names, pid, id)
		if n != tt.n || !slices.Equal(names, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%.80q: %d, %.80q, %v, want %d, %.80q, %q", []string{tt.fds, tt.pid, tt.pidfdID, tt.names}, n, names, err, tt.n, tt.want, tt.err)
		}
	}
	// A kernel that does not tell processes of one pid apart cannot check it.
	if n, _, err := unixauth.ParseActivation("1", "77", "4712", "", pid, 0); n != 1 || err != nil {
		t.Errorf("without an id: %d, %v", n, err)
	}
}

func FuzzActivation(f *testing.F) {
	f.Add("2", "77", "4711", "a:b")                     // as it should be
	f.Add("1", "77", "", "")                            // as older managers do
	f.Add("2", "77", "4711", "a")                       // too few names
	f.Add("4097", "77", "", "")                         // too many
	f.Add("1", "78", "", "")                            // for another
	f.Add("-1", "077", "18446744073709551616", "\x00:") // numbers out of bounds
	f.Fuzz(func(t *testing.T, fds, listenPID, pidfdID, names string) {
		n, got, err := unixauth.ParseActivation(fds, listenPID, pidfdID, names, 77, 4711)
		if n < 0 || n > 4096 || err == nil && len(got) != n || err != nil && got != nil {
			t.Fatalf("%d, %q, %v", n, got, err)
		}
		if err == nil && n > 0 && names != "" && strings.Join(got, ":") != names {
			t.Errorf("names %q of %q", got, names)
		}
		for _, name := range got {
			if len(name) > 255 || strings.ContainsAny(name, ":\x00\n\x7f") {
				t.Errorf("name %q", name)
			}
		}
	})
}
