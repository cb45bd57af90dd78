//go:build linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/netparts/netparts/tftp"
)

// BenchmarkTFTPRealClient reads a file with the program atftp, from our server and
// from atftpd.
func BenchmarkTFTPRealClient(b *testing.B) {
	client, err := exec.LookPath("atftp")
	if err != nil {
		b.Skip("atftp is not installed")
	}
	daemon, err := exec.LookPath("atftpd")
	if err != nil {
		b.Skip("atftpd is not installed")
	}
	file := content(of(64<<20, 256<<10))
	dir := b.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // atftpd runs as somebody else
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), file, 0o644); err != nil {
		b.Fatal(err)
	}
	ours := startServer(b, kindOurs, len(file))
	theirs := startDaemon(b, daemon, dir)
	for _, s := range windows {
		b.Run(fmt.Sprintf("%dx%d", s.block, s.window), func(b *testing.B) {
			var rates, costs [2][]float64
			for b.Loop() {
				for i, addr := range []string{ours.addr, theirs.addr} {
					before := [2]time.Duration{ours.use(b).CPU, cpuOf(b, theirs.pid)}[i]
					begin := time.Now()
					runClient(b, client, addr, filepath.Join(dir, "got"), s.block, s.window)
					rates[i] = append(rates[i], float64(len(file))/1e6/time.Since(begin).Seconds())
					after := [2]time.Duration{ours.use(b).CPU, cpuOf(b, theirs.pid)}[i]
					costs[i] = append(costs[i], (after-before).Seconds()*1e3*(1<<20)/float64(len(file)))
					if got, err := os.ReadFile(filepath.Join(dir, "got")); err != nil || !bytes.Equal(got, file) {
						b.Fatalf("read %d bytes of %d, or others (error: %v)", len(got), len(file), err)
					}
				}
			}
			t := newTable("server of atftp", "MB/s", "server CPU", "ours is")
			t.row(kindOurs, median(rates[0]), median(costs[0]), 1.0)
			ratio := median(rates[0]) / median(rates[1])
			t.row("atftpd", median(rates[1]), median(costs[1]), ratio)
			b.ReportMetric(ratio, "x-atftpd")
			t.print(b)
		})
	}
}

func runClient(b *testing.B, client, addr, local string, block, window int) {
	b.Helper()
	at := netip.MustParseAddrPort(addr)
	cmd := exec.CommandContext(b.Context(), client,
		"--option", fmt.Sprintf("blksize %d", block), "--option", fmt.Sprintf("windowsize %d", window),
		"-g", "-r", "file", "-l", local, at.Addr().String(), strconv.Itoa(int(at.Port())))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("atftp: %v: %s", err, out)
	}
}

// A daemon is a server of somebody else.
type daemon struct {
	addr string
	pid  int
}

// startDaemon runs atftpd until the benchmark ends.
func startDaemon(b *testing.B, program, dir string) daemon {
	b.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	addr := netip.MustParseAddrPort(conn.LocalAddr().String())
	if err := conn.Close(); err != nil { // atftpd takes a number
		b.Fatal(err)
	}
	cmd := exec.Command(program, "--daemon", "--no-fork", "--bind-address", "127.0.0.1",
		"--port", strconv.Itoa(int(addr.Port())), "--logfile", "/dev/null", dir)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			b.Error(err)
		}
		_ = cmd.Wait() // which tells of the signal
	})
	c := &tftp.Client{Addr: addr.String(), BlockSize: -1, WindowSize: -1}
	for range 20 { // until it listens; a request is sent again after a second
		if _, err = c.Get(b.Context(), "missing", io.Discard); !errors.Is(err, tftp.ErrNoAnswer) {
			break
		}
	}
	return daemon{addr.String(), cmd.Process.Pid}
}
