//go:build linux

package tftpbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tftp"
)

const kindDaemon = "atftpd"

// realClient reads a file with the program atftp.
func realClient(w window) lab.Case {
	return lab.Case{
		Name: "client atftp, " + w.String(),
		About: "Reads a file of 64 MiB with the program atftp, which writes it to a file that is compared. " +
			"Its start is part of the time. Where it is not installed ours is read from by its own client, and nothing is compared.",
		Sides: []lab.Side{{Name: lab.Ours}, {Name: kindDaemon, Missing: func() error {
			_, err := daemonVersion()
			return err
		}}},
		Metrics: []lab.Metric{{Name: inMiB.Rate, Best: lab.High}, {Name: inMiB.Server, Best: lab.Low}, {Name: inMiB.Client, Best: lab.None}},
		Targets: []lab.Target{{
			Metric: inMiB.Rate, Than: kindDaemon, AtLeast: 1.5,
			Reason: "The CPU times of client and server add up to the time that a transfer takes: ours sends a window as a whole, " +
				"and atftp, which takes more than half of the time, handles it afterwards. atftpd sends packet by packet, so that " +
				"the client works beside it on the other processor, at more CPU time for both.",
		}},
		Run: func(t *lab.T) {
			size := lab.Of(t, 64<<20, 256<<10)
			if find("atftp")() == nil {
				withClient(t, size, w)
				return
			}
			c := newContest(t, inMiB, order{Do: "get", Size: size, Block: w.block, Window: w.window, Limit: patience})
			c.run(c.stream)
		},
	}
}

// withClient has the program read from each side in turn.
func withClient(t *lab.T, size int, w window) {
	file := lab.Content(size)
	dir := t.TempDir()
	t.Fatal(
		os.Chmod(dir, 0o755), // atftpd runs as somebody else
		os.WriteFile(filepath.Join(dir, "file"), file, 0o644))
	c := lab.Contest{T: t, Scale: inMiB, Servers: make(map[string]*lab.Process)}
	for _, side := range t.Present() {
		if side == kindDaemon {
			c.Servers[side] = startDaemon(t, dir)
		} else {
			c.Servers[side] = startServer(t, side, len(file))
		}
	}
	for t.Round() {
		c.Round(func(server *lab.Process) lab.Done {
			return runClient(t, server, filepath.Join(dir, "got"), file, w)
		})
	}
}

// find says what to install if a program is not: the Debian packages have the same names.
func find(program string) func() error {
	return func() error {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed (Debian package %[1]s)", program)
		}
		return nil
	}
}

func daemonVersion() (string, error) {
	for _, program := range []string{"atftp", "atftpd"} {
		if err := find(program)(); err != nil {
			return "", err
		}
	}
	out, err := exec.Command("atftpd", "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("atftpd: %w: %s", err, bytes.TrimSpace(out))
	}
	return strings.TrimSpace(string(out)), nil
}

// runClient reads the file and compares it. A peer from which it cannot be read has no
// more turns.
func runClient(t *lab.T, server *lab.Process, local string, file []byte, w window) lab.Done {
	at := netip.MustParseAddrPort(server.Addr)
	cmd := exec.CommandContext(t.Context(), "atftp",
		"--option", fmt.Sprintf("blksize %d", w.block), "--option", fmt.Sprintf("windowsize %d", w.window),
		"-g", "-r", "file", "-l", local, at.Addr().String(), strconv.Itoa(int(at.Port())))
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		err = fmt.Errorf("atftp: %w: %s", err, out)
	} else if got, readErr := os.ReadFile(local); readErr != nil || !bytes.Equal(got, file) {
		err = fmt.Errorf("atftp has read %d bytes of %d, or others (error: %v)", len(got), len(file), readErr)
	}
	if err != nil && isOurs(server.Kind) {
		t.Fatal(err)
	} else if err != nil {
		t.GiveUp(server.Kind, "%v", err)
	}
	if err := os.Remove(local); !errors.Is(err, fs.ErrNotExist) { // as of a peer that failed
		t.Fatal(err)
	}
	return lab.Done{Count: len(file), Took: took, CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// startDaemon runs atftpd until the case ends.
func startDaemon(t *lab.T, dir string) *lab.Process {
	conn, err := listen()
	t.Fatal(err)
	addr := netip.MustParseAddrPort(conn.LocalAddr().String())
	t.Fatal(conn.Close()) // atftpd takes a number
	cmd := exec.Command("atftpd", "--daemon", "--no-fork", "--bind-address", "127.0.0.1",
		"--port", strconv.Itoa(int(addr.Port())), "--logfile", "/dev/null", dir)
	// As with other programs: a key that interrupts a terminal's processes reaches this one
	// alone, and what this one starts does not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	t.Fatal(cmd.Start())
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Errorf("atftpd: %w", err)
		}
		_ = cmd.Wait() // which tells of the signal
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A request that comes before it listens is sent again after a second.
	c := &tftp.Client{Addr: addr.String(), BlockSize: -1, WindowSize: -1}
	if _, err = c.Get(ctx, "missing", io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.GiveUp(kindDaemon, "it does not answer: %v", err)
	}
	return t.Program(kindDaemon, addr.String(), cmd.Process.Pid)
}
