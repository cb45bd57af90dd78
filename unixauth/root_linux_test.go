package unixauth_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/unixauth"
)

// The tests of this file start processes of users 71001 and up, whom no machine's
// database has.

func credential(uid, gid uint32, groups ...uint32) *syscall.Credential {
	return &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}
}

// manyGroups returns n groups from 80000 on.
func manyGroups(n int) []uint32 {
	groups := make([]uint32, n)
	for i := range groups {
		groups[i] = 80000 + uint32(i)
	}
	return groups
}

func TestRootCredentialsOfAChild(t *testing.T) {
	interop.Root(t)
	for _, tt := range []struct {
		name     string
		uid, gid uint32
		groups   []uint32
	}{
		{"primary group alone", 71001, 71002, nil},
		{"supplementary groups", 71001, 71002, []uint32{4, 24, 71003}},
		{"primary group among them", 71001, 71002, []uint32{4, 71002}},
		{"user of the database without its groups", 0, 71002, nil},
		{"as many groups as are read at once", 71001, 71002, manyGroups(64)},
		{"one more", 71001, 71002, manyGroups(65)},
		{"1,000 groups", 71001, 71002, manyGroups(1000)},
		{"as many as there can be", 71001, 71002, manyGroups(65536)},
		{"the largest ids", 1<<32 - 2, 1<<32 - 2, []uint32{1<<32 - 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, child := peer(t, "peer", credential(tt.uid, tt.gid, tt.groups...))
			c, err := unixauth.PeerCred(conn)
			must(t, err)
			if c.UID != tt.uid || c.GID != tt.gid {
				t.Errorf("uid %d, gid %d, want %d, %d", c.UID, c.GID, tt.uid, tt.gid)
			}
			if pid, ok := c.PID(); pid != child.cmd.Process.Pid || !ok {
				t.Errorf("PID = %d, %t, want %d", pid, ok, child.cmd.Process.Pid)
			}
			groups, ok := c.Groups()
			if !ok || !slices.Equal(groups, tt.groups) {
				t.Errorf("%d groups, %t, want %d", len(groups), ok, len(tt.groups))
			}
			for gid, want := range map[uint32]bool{tt.gid: true, 79999: false, 0: false} {
				checkGID(t, c, gid, want)
			}
			if n := len(tt.groups); n > 0 {
				checkGID(t, c, tt.groups[0], true)
				checkGID(t, c, tt.groups[n-1], true)
			}
		})
	}
}

// checkGID checks whether a policy for a group allows c.
func checkGID(t *testing.T, c unixauth.Cred, gid uint32, want bool) {
	t.Helper()
	p, err := unixauth.NewPolicy(unixauth.GIDs(gid))
	must(t, err)
	if err := p.Check(c); (err == nil) != want {
		t.Errorf("GIDs(%d): %v, want it allowed: %t", gid, err, want)
	}
}

// A peer is who it was when it connected.
func TestRootPeerThatDroppedItsPrivileges(t *testing.T) {
	interop.Root(t)
	conn, child := peer(t, "dropping peer", nil)
	if got, want := child.line(t), "71001 71001"; got != want {
		t.Fatalf("the peer is %s now, want %s", got, want)
	}
	c, err := unixauth.PeerCred(conn)
	must(t, err)
	p, err := unixauth.NewPolicy(unixauth.Root())
	must(t, err)
	if err := p.Check(c); c.UID != 0 || c.GID != 0 || err != nil {
		t.Errorf("the peer is %v, and Root says %v", c, err)
	}
	checkGID(t, c, 71001, false)
}

// etc returns a folder with a user database.
func etc(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"passwd": `root:x:0:0:root:/:/bin/sh
alice:x:71001:71001::/:/bin/sh
bob:x:71002:71002::/:/bin/sh
1234:x:71005:71005::/:/bin/sh
`,
		"group": `root:x:0:
alice:x:71001:
staffers:x:71100:alice
`,
		"nsswitch.conf": "passwd: files\ngroup: files\n",
	} {
		if _, err := os.Stat(filepath.Join("/etc", name)); err == nil {
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
		}
	}
	return dir
}

// The user database says what a user's groups would be after a login, and the kernel
// what those of the process are.
func TestRootGroupsAreTheKernelsNotTheDatabases(t *testing.T) {
	interop.Root(t)
	names := []string{
		"group staffers", "database staffers", "database alice", "either staffers", "both staffers",
		"user alice", "user 71009", "user 1234",
	}
	address := abstractAddress()
	c := start(t, "database judge", &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS},
		append([]string{etc(t), address}, names...)...)
	if got := c.line(t); got != "ready" {
		t.Fatalf("the judge says %q", got)
	}
	j := judge{c, address}

	const staffers = 71100
	for _, tt := range []struct {
		name       string
		credential *syscall.Credential
		allowed    []string
	}{
		{"listed, and has the group", credential(71001, 71001, staffers), []string{
			"group staffers", "database staffers", "database alice", "either staffers", "both staffers", "user alice",
		}},
		{"listed, but dropped the group", credential(71001, 71001), []string{
			"database staffers", "database alice", "either staffers", "user alice",
		}},
		{"listed, but of another primary group", credential(71001, 71009), []string{
			"database staffers", "database alice", "either staffers", "user alice",
		}},
		{"not listed, but was given the group", credential(71002, 71002, staffers), []string{
			"group staffers", "either staffers",
		}},
		{"not listed, but changed to the group", credential(71002, staffers), []string{
			"group staffers", "either staffers",
		}},
		{"of no entry, and has the group", credential(71009, 71009, staffers), []string{
			"group staffers", "either staffers", "user 71009",
		}},
		{"of no entry", credential(71008, 71008), nil},
		{"of the number that a name means", credential(71005, 71005), []string{"user 1234"}},
		{"of the number that is a name", credential(1234, 1234), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := j.verdict(t, tt.credential)
			if v.UID != tt.credential.Uid {
				t.Errorf("uid %d, want %d", v.UID, tt.credential.Uid)
			}
			for _, name := range names {
				if why, denied := v.Denied[name]; denied == slices.Contains(tt.allowed, name) {
					t.Errorf("%s: denied: %t (%s)", name, denied, why)
				}
			}
			if why := v.Denied["database staffers"]; tt.credential.Uid == 71009 && !strings.HasSuffix(why, "unknown userid 71009") {
				t.Errorf("database: %q does not say that there is no such user", why)
			}
		})
	}
}

// To a server in a user namespace all users of the rest of the machine have one number.
func TestRootOverflowIDsOfAUserNamespaceAreDenied(t *testing.T) {
	interop.Root(t)
	one := []syscall.SysProcIDMap{{Size: 1}}
	j := startJudge(t, &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: one, GidMappings: one,
	}, "everyone", "root", "self")
	overflow := readOverflow(t)

	v := j.verdict(t, credential(71001, 71001, 71002))
	if v.UID != overflow || v.GID != overflow || !slices.Equal(v.Groups, []uint32{overflow}) {
		t.Errorf("the peer from outside is %+v, which shows nothing", v)
	}
	if len(v.Denied) != 3 || !strings.Contains(v.Denied["everyone"], "user namespace") {
		t.Errorf("the peer from outside is denied by %v alone", v.Denied)
	}

	v = j.verdict(t, credential(0, 71001))
	if v.UID != 0 || v.GID != overflow || len(v.Denied) != 0 {
		t.Errorf("the user that is mapped: %+v", v)
	}
}

// readOverflow returns what the kernel shows for users who are not mapped.
func readOverflow(t *testing.T) (id uint32) {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	must(t, err)
	_, err = fmt.Sscan(string(b), &id)
	must(t, err)
	return id
}

func TestRootSelfIsTheUserOfTheServer(t *testing.T) {
	interop.Root(t)
	j := startJudge(t, &syscall.SysProcAttr{Credential: credential(71001, 71002)}, "self")
	for uid, want := range map[uint32]bool{71001: true, 71002: false, 0: false} {
		v := j.verdict(t, credential(uid, 71002))
		if why, denied := v.Denied["self"]; denied == want {
			t.Errorf("uid %d: denied: %t (%s)", uid, denied, why)
		}
	}
}

// What is refused is the number of the machine, and if that is not to be read, the usual one.
func TestRootOverflowIDIsThatOfTheMachine(t *testing.T) {
	interop.Root(t)
	for _, tt := range []struct{ content, want12345, want65534 string }{
		{"12345\n", "false false", "true true"},
		{"", "true true", "false false"},
		{"12x\n", "true true", "false false"},
		{"4294967296\n", "true true", "false false"},
	} {
		file := filepath.Join(t.TempDir(), "overflowuid")
		must(t, os.WriteFile(file, []byte(tt.content), 0o444))
		most := []syscall.SysProcIDMap{{Size: 1 << 20}}
		c := start(t, "overflow", &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: most, GidMappings: most,
		}, file)
		if got, want := c.line(t), "12345 "+tt.want12345; got != want {
			t.Errorf("%q: %s, want %s", tt.content, got, want)
		}
		if got, want := c.line(t), "65534 "+tt.want65534; got != want {
			t.Errorf("%q: %s, want %s", tt.content, got, want)
		}
		c.end(t)
	}
}

// Where every id is mapped, as outside of user namespaces, nobody is somebody.
func TestRootNobodyIsAUserWhereAllAreMapped(t *testing.T) {
	interop.Root(t)
	j := startJudge(t, &syscall.SysProcAttr{Credential: credential(65534, 65534)}, "self", "gid 65534")
	if v := j.verdict(t, credential(65534, 65534)); len(v.Denied) != 0 {
		t.Errorf("nobody is denied by %v", v.Denied)
	}
	if v := j.verdict(t, credential(71001, 71001)); len(v.Denied) != 2 {
		t.Errorf("somebody else is denied by %v alone", v.Denied)
	}
}

// A server in a pid namespace does not see the processes outside of it.
func TestRootPIDOfAnotherNamespaceIsUnknown(t *testing.T) {
	interop.Root(t)
	j := startJudge(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}, "gid 71001")
	v := j.verdict(t, credential(71001, 71001, 71002))
	if v.PID != 0 {
		t.Errorf("the pid is %d, want it unknown", v.PID)
	}
	if v.UID != 71001 || v.GID != 71001 || !slices.Equal(v.Groups, []uint32{71002}) || len(v.Denied) != 0 {
		t.Errorf("the peer is %+v", v)
	}
	if v.Process != "" && kernel(t, 6, 5) {
		t.Errorf("the process: %s", v.Process)
	}
}
