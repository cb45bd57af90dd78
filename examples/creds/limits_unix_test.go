//go:build linux || darwin || freebsd

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Peers that are silent, that never read, or that are denied and never read, keep no
// other from being served.
func TestPeersThatStall(t *testing.T) {
	for _, groups := range [][]string{{ownGroup()}, {foreignGroup(t)}} {
		s := startServer(t, append([]string{"-per-user", "0"}, groups...)...)
		want := welcome
		if groups[0] != ownGroup() {
			want = denied
		}
		for range 100 {
			dial(t, s.socket) // and not a word
		}
		var stuck []net.Conn
		for range 10 {
			// Once this peer's echo has nowhere to go, its server waits for it.
			conn := dial(t, s.socket)
			if err := conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(make([]byte, 4<<20)); err == nil {
				t.Error("4 MiB had room")
			}
			stuck = append(stuck, conn)
		}
		wantText(t, dial(t, s.socket), want)
		for _, conn := range stuck {
			conn.Close() // the end of the program would wait for them
		}
		s.end(t)
	}
}

// A connection that is idle is closed, and one that is in use stays.
func TestIdle(t *testing.T) {
	s := startServer(t, "-idle", "100ms", ownGroup())
	conn := dial(t, s.socket)
	wantText(t, conn, welcome)
	begin := time.Now()
	wantEnd(t, conn)
	if after := time.Since(begin); after < 50*time.Millisecond {
		t.Errorf("closed after %v", after)
	}
	s.end(t)

	s = startServer(t, "-idle", "0", ownGroup())
	wantText(t, dial(t, s.socket), welcome)
	s.end(t)
}

// A user has so many connections and no more, and another one when one has ended.
func TestPerUser(t *testing.T) {
	const full = "Too many connections\n"
	s := startServer(t, "-per-user", "2", ownGroup())
	first, second := dial(t, s.socket), dial(t, s.socket)
	wantText(t, first, welcome)
	wantText(t, second, welcome)
	for range 3 {
		third := dial(t, s.socket)
		_, _ = io.WriteString(third, "unread\n") // fails if it has been turned away by now
		wantText(t, third, full)
		wantEnd(t, third)
	}
	write(t, first, "still\n")
	wantText(t, first, "still\n")
	first.Close()

	// The server learns of the end in its own time.
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); ; <-again.C {
		line := make([]byte, len(welcome))
		if _, err := io.ReadFull(dial(t, s.socket), line); err != nil {
			t.Fatal(err)
		}
		if string(line) == welcome {
			break
		}
		if time.Since(begin) > limit {
			t.Fatal("the place of a connection that ended stays taken")
		}
	}
	s.end(t)
	if log := s.stderr.String(); !strings.Contains(log, "too many connections") {
		t.Errorf("the log is\n%s", log)
	}
}

// The places of several users are counted for each.
func TestPlacesOfUsers(t *testing.T) {
	h := &hall{perUser: 1}
	if !h.enter(1) || h.enter(1) || !h.enter(2) {
		t.Error("the places are not those of each user")
	}
	h.leave(1)
	if !h.enter(1) || h.enter(2) {
		t.Error("the place that was left is not that of the user")
	}
	h.leave(1)
	h.leave(2)
	if len(h.guests) != 0 {
		t.Errorf("%v is kept of users who have left", h.guests)
	}
}

// A process is the program as one of its own.
type process struct {
	*exec.Cmd
	socket string
	stderr *bytes.Buffer
}

func startProcess(t *testing.T, socket string, args ...string) *process {
	t.Helper()
	p := &process{exec.Command(os.Args[0], append([]string{"-socket", socket}, args...)...), socket, new(bytes.Buffer)}
	p.Env = append(os.Environ(), "CREDS_TEST_MAIN=program")
	p.Stderr = p.stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() }) // fails if it has ended
	wantListening(t, stdout, socket, p.stderr)
	return p
}

// signal ends the program, and checks that it ends well.
func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %v, stderr %q", sig, err, p.stderr)
	}
	wantNoFile(t, p.socket)
}

// Both signals remove the socket, and what has arrived is echoed before the end.
func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := startProcess(t, t.TempDir()+"/s", "-mode", "0600", ownGroup())
		conn, silent := dial(t, p.socket), dial(t, p.socket)
		wantText(t, conn, welcome)
		wantText(t, silent, welcome)
		write(t, conn, "last\n")
		p.signal(t, sig)
		wantText(t, conn, "last\n")
		wantEnd(t, conn)
		wantEnd(t, silent)
		if p.stderr.Len() > 0 {
			t.Errorf("%v: stderr %q", sig, p.stderr)
		}
	}
}

// The socket of a program that was killed does not keep the next one from starting.
func TestKilledBefore(t *testing.T) {
	socket := t.TempDir() + "/s"
	p := startProcess(t, socket, "-mode", "0600", ownGroup())
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err == nil {
		t.Error("a process that was killed ended well")
	}
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("nothing is left to replace: %v", err)
	}
	p = startProcess(t, socket, "-mode", "0600", ownGroup())
	wantText(t, dial(t, socket), welcome)
	p.signal(t, syscall.SIGTERM)
}

// An old program that ends late leaves the socket of the one that replaced it alone.
func TestSocketOfAnother(t *testing.T) {
	s := startServer(t, ownGroup())
	if err := os.Remove(s.socket); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.stop()
	if status := <-s.status; status != 0 {
		t.Errorf("exit status %d, stderr %q", status, s.stderr)
	}
	if _, err := os.Lstat(s.socket); errors.Is(err, fs.ErrNotExist) {
		t.Error("the socket of the other program was removed")
	}
}

// Want of descriptors, at which accept fails, is waited out.
func TestWantOfDescriptors(t *testing.T) {
	t.Setenv("CREDS_TEST_NOFILE", "40")
	p := startProcess(t, t.TempDir()+"/s", "-mode", "0600", "-per-user", "0", ownGroup())
	var conns []net.Conn
	for range 60 {
		conns = append(conns, dial(t, p.socket))
	}
	wantText(t, conns[0], welcome)
	// Of the last one nothing is heard until there is a descriptor for it.
	last := conns[len(conns)-1]
	if err := last.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := last.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v: there was a descriptor for each", n, err)
	}
	for _, conn := range conns[:len(conns)-1] {
		conn.Close()
	}
	if err := last.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	wantText(t, last, welcome)
	p.signal(t, syscall.SIGTERM)
	if log := p.stderr.String(); !strings.Contains(log, "accept fails, trying again") {
		t.Errorf("the log is\n%s", log)
	}
}

// limitDescriptors is done by the program if it is that of TestWantOfDescriptors.
func limitDescriptors() error {
	value := os.Getenv("CREDS_TEST_NOFILE")
	if value == "" {
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	setCur(&r, n)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
}
