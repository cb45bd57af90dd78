package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
)

// These are a user and groups that no database knows.
const (
	strangerUID = 43210
	strangerGID = 43211
	theirGroup  = 43212
)

// openSocket returns the path of a socket in a folder that every user may enter.
func openSocket(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "s")
}

// asPeer runs a peer as another user, and returns what it says.
func asPeer(t *testing.T, socket string, credential *syscall.Credential) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	// This file can be run by that user, wherever it is.
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = []string{"CREDS_TEST_MAIN=peer", "CREDS_TEST_SOCKET=" + socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the peer: %v, %q", err, out)
	}
	return string(out)
}

// Peers of another user are welcome by their primary or by a supplementary group, and
// denied without.
func TestRootPeersOfAnotherUser(t *testing.T) {
	interop.Root(t)
	s := startServerAt(t, openSocket(t), "-mode", "0666", fmt.Sprint(theirGroup))
	for _, tt := range []struct {
		name   string
		gid    uint32
		groups []uint32
		want   string
	}{
		{"no group", strangerGID, nil, denied},
		{"another group", strangerGID, []uint32{strangerGID + 100}, denied},
		{"primary", theirGroup, nil, welcome + "line\n"},
		{"supplementary", strangerGID, []uint32{1, theirGroup}, welcome + "line\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := asPeer(t, s.socket, &syscall.Credential{Uid: strangerUID, Gid: tt.gid, Groups: tt.groups})
			if got != tt.want {
				t.Errorf("the peer read %q, want %q", got, tt.want)
			}
		})
	}
	s.end(t)
}

// With -mode 0660 the members of the first group can connect, and others cannot even do
// that.
func TestRootGroupOfTheSocket(t *testing.T) {
	interop.Root(t)
	s := startServerAt(t, openSocket(t), "-mode", "0660", fmt.Sprint(theirGroup))
	info, err := os.Stat(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; gid != theirGroup || info.Mode().Perm() != 0o660 {
		t.Errorf("the file is %v of group %d", info.Mode(), gid)
	}
	got := asPeer(t, s.socket, &syscall.Credential{Uid: strangerUID, Gid: theirGroup})
	if want := welcome + "line\n"; got != want {
		t.Errorf("a member read %q, want %q", got, want)
	}
	got = asPeer(t, s.socket, &syscall.Credential{Uid: strangerUID, Gid: strangerGID})
	if !strings.Contains(got, "permission denied") {
		t.Errorf("a stranger read %q", got)
	}
	s.end(t)
}

// netcat is the peer of the book: with the group it is welcome and its connection is
// kept, without it is told and closed.
func TestInteropNetcat(t *testing.T) {
	nc := interop.Command(t, "nc", "netcat-openbsd")
	interop.Root(t)
	s := startServerAt(t, openSocket(t), "-mode", "0666", fmt.Sprint(theirGroup))
	for name, tt := range map[string]struct {
		credential syscall.Credential
		want       string
	}{
		"allowed": {syscall.Credential{Uid: strangerUID, Gid: theirGroup}, welcome + "hello\n"},
		"refused": {syscall.Credential{Uid: strangerUID, Gid: strangerGID}, denied},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, nc, "-N", "-U", s.socket) // -N half-closes
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &tt.credential}
			cmd.Stdin = strings.NewReader("hello\n")
			got, err := cmd.Output()
			// netcat that is refused may find that its line has nowhere to go.
			if _, exited := errors.AsType[*exec.ExitError](err); err != nil && (!exited || name == "allowed") {
				t.Error(err)
			}
			if string(got) != tt.want {
				t.Errorf("netcat got %q, want %q", got, tt.want)
			}
		})
	}
	// One that stays keeps its connection.
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, nc, "-U", s.socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: strangerUID, Gid: theirGroup}}
	talkTo(t, cmd)
	s.end(t)
}

// talkTo has a conversation with netcat, line by line.
func talkTo(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // it was killed
	defer cmd.Process.Kill()
	if err := stdout.(*os.File).SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{welcome, "one\n", "two\n"} {
		if i > 0 {
			if _, err := io.WriteString(stdin, want); err != nil {
				t.Fatal(err)
			}
		}
		b := make([]byte, len(want))
		if n, err := io.ReadFull(stdout, b); err != nil || string(b) != want {
			t.Fatalf("netcat printed %q, %v, want %q", b[:n], err, want)
		}
	}
}

// A process without rights cannot give the file to a group that it is not in: it says so,
// and leaves nothing behind.
func TestRootGroupThatCannotBeGiven(t *testing.T) {
	interop.Root(t)
	socket := openSocket(t)
	if err := os.Chmod(filepath.Dir(socket), 0o777); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-socket", socket, fmt.Sprint(theirGroup))
	cmd.Env = []string{"CREDS_TEST_MAIN=program"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: strangerUID, Gid: strangerGID}}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if status, ok := errors.AsType[*exec.ExitError](err); !ok || status.ExitCode() != 1 || stdout.Len() > 0 {
		t.Errorf("%v, stdout %q, want status 1 and nothing", err, &stdout)
	}
	if s := stderr.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "not permitted") {
		t.Errorf("stderr %q", s)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket file is left: %v", err)
	}
}
