package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/tftp"
)

// startDaemon runs the program.
func startDaemon(t *testing.T, args ...string) *daemon.Daemon {
	t.Helper()
	return daemon.Start(t, run, "udp", append([]string{"-listen", "127.0.0.1:0"}, args...)...)
}

func TestServesAFolder(t *testing.T) {
	for _, extra := range [][]string{nil, {"-single-port"}, {"-max-block", "512", "-max-window", "4", "-retries", "0", "-timeout", "2s"}} {
		dir := t.TempDir()
		file := bytes.Repeat([]byte("0123456789"), 1000)
		if err := os.WriteFile(filepath.Join(dir, "file"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		d := startDaemon(t, append([]string{"-dir", dir, "-v"}, extra...)...)
		c := &tftp.Client{Addr: d.Addr}
		var out bytes.Buffer
		stats, err := c.Get(t.Context(), "file", &out)
		if err != nil || !bytes.Equal(out.Bytes(), file) {
			t.Errorf("Get = %+v, %v", stats, err)
		}
		if extra != nil && extra[0] == "-max-block" && (stats.BlockSize != 512 || stats.WindowSize != 4) {
			t.Errorf("agreed on %+v", stats)
		}
		if _, err := c.Get(t.Context(), "none", io.Discard); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get: %v", err)
		}
		if _, err := c.Put(t.Context(), "new", strings.NewReader("x")); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Put: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		d.End(t)
		if log := d.Stderr.String(); strings.Count(log, "\n") != 3 || !strings.Contains(log, "level=INFO msg=transfer ") {
			t.Errorf("three transfers were logged as\n%s", log)
		}
	}
}

func TestTakesUploads(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args   []string
		second error
	}{
		{[]string{"-write"}, fs.ErrExist},
		{[]string{"-write", "-overwrite"}, nil},
	} {
		d := startDaemon(t, append(tt.args, "-dir", dir)...)
		c := &tftp.Client{Addr: d.Addr}
		name := strings.Join(tt.args, "")
		if _, err := c.Put(t.Context(), name, strings.NewReader("first")); err != nil {
			t.Errorf("Put: %v", err)
		}
		if _, err := c.Put(t.Context(), name, strings.NewReader("second")); !errors.Is(err, tt.second) {
			t.Errorf("%v: second Put: %v, want %v", tt.args, err, tt.second)
		}
		d.End(t)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestServesAPayload(t *testing.T) {
	payload := filepath.Join(t.TempDir(), "payload.svg")
	if err := os.WriteFile(payload, []byte("<svg/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, "-payload", payload)
	var out bytes.Buffer
	c := &tftp.Client{Addr: d.Addr}
	if _, err := c.Get(t.Context(), "whatever", &out); err != nil || out.String() != "<svg/>" {
		t.Errorf("Get = %q, %v", &out, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	d.End(t)
	if log := d.Stderr.String(); log != "" {
		t.Errorf("without -v it logged %q", log)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"extra"},
		{"-x"},
		{"-timeout", "soon"},
		{"-timeout", "0"},
		{"-retries", "-1"},
		{"-max-block", "7"},
		{"-max-block", "65465"},
		{"-max-window", "0"},
		{"-max-window", "65536"},
		{"-payload", "f", "-write"},
		{"-payload", "f", "-dir", "."},
		{"-overwrite"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "Usage") {
			t.Errorf("run %q = %d, stdout %q, stderr %q", args, status, &stdout, &stderr)
		}
	}
}

func TestFailures(t *testing.T) {
	d := startDaemon(t)
	defer d.End(t)
	for _, args := range [][]string{
		{"-dir", "/does/not/exist"},
		{"-payload", "/does/not/exist"},
		{"-listen", "127.0.0.1:99999"},
		{"-listen", d.Addr},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), args, &stdout, &stderr)
		if status != 1 || stdout.Len() > 0 || !strings.HasPrefix(stderr.String(), "tftpd: ") || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("run %q = %d, stdout %q, stderr %q", args, status, &stdout, &stderr)
		}
	}
}

// A signal to the real program lets a transfer end that runs.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send")
	}
	program := filepath.Join(t.TempDir(), "tftpd")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := bytes.Repeat([]byte("x"), 3_000_000)
	payload := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(payload, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := exec.CommandContext(t.Context(), program, "-listen", "127.0.0.1:0", "-payload", payload)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sent := false
		c := &tftp.Client{Addr: daemon.FirstLine(t, stdout, "udp")}
		c.Progress = func(s tftp.Stats) {
			if !sent && s.Bytes > 100_000 {
				sent = true
				if err := cmd.Process.Signal(signal); err != nil {
					t.Error(err)
				}
			}
		}
		var out bytes.Buffer
		if _, err := c.Get(t.Context(), "file", &out); err != nil || !bytes.Equal(out.Bytes(), file) {
			t.Errorf("Get: %v", err)
		}
		if err := cmd.Wait(); err != nil || !sent {
			t.Errorf("the program ended with %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
