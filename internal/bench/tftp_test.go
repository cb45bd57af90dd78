//go:build unix

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	pack "pack.ag/tftp"

	pin "github.com/pin/tftp/v3"

	"github.com/netparts/netparts/tftp"
)

// The figures of the library's documentation are made by
//
//	NETPARTS_BENCH=full go test -run='^$' -bench=TFTP -benchtime=9x
//
// and those in lock step besides with both sides on one core, where they vary
// less:
//
//	NETPARTS_BENCH=full taskset -c 0 go test -run='^$' -bench=TFTPLockStep -benchtime=9x
//
// Without the variable files are small, to see that all works.
var full = os.Getenv("NETPARTS_BENCH") == "full"

func fileSize() int {
	if full {
		return 64 << 20
	}
	return 1 << 20
}

// A check is an io.Writer that compares what is written with a file.
type check struct {
	rest []byte
}

func (c *check) Write(p []byte) (int, error) {
	if len(p) > len(c.rest) || !bytes.Equal(p, c.rest[:len(p)]) {
		return 0, errors.New("what arrived differs")
	}
	c.rest = c.rest[len(p):]
	return len(p), nil
}

// fetch reads the file of a server with the client of the same kind.
func fetch(ctx context.Context, kind, addr string, block, window int, w *check) error {
	switch kind {
	case "ours", "ours-single":
		c := &tftp.Client{Addr: addr, BlockSize: block, WindowSize: window}
		_, err := c.Get(ctx, "file", w)
		return errors.Join(err, c.Close())
	case "pin":
		c, err := pin.NewClient(addr)
		if err != nil {
			return err
		}
		c.SetBlockSize(block)
		r, err := c.Receive("file", "octet")
		if err != nil {
			return err
		}
		_, err = r.WriteTo(w)
		return err
	case "pack":
		c, err := pack.NewClient(pack.ClientBlocksize(block), pack.ClientWindowsize(window))
		if err != nil {
			return err
		}
		r, err := c.Get("tftp://" + addr + "/file")
		if err != nil {
			return err
		}
		_, err = io.Copy(w, r)
		return err
	case "pingpong":
		return fetchPingPong(addr, block, w)
	}
	return fmt.Errorf("no client is called %q", kind)
}

func fetchPingPong(addr string, block int, w *check) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	b := make([]byte, 4+block)
	_, err = conn.WriteToUDPAddrPort(fmt.Append(nil, block), netip.MustParseAddrPort(addr))
	n := 0
	if err == nil {
		n, err = conn.Read(b)
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return err
	}
	server := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(string(b[:n])))
	conn, err = net.DialUDP("udp4", conn.LocalAddr().(*net.UDPAddr), server)
	if err != nil {
		return err
	}
	defer conn.Close()
	for ack := []byte{0, 4, 0, 0}; err == nil; {
		if _, err = conn.Write(ack); err != nil {
			return err
		}
		if len(w.rest) == 0 {
			return nil
		}
		if n, err = conn.Read(b); err == nil {
			_, err = w.Write(b[4:n])
		}
	}
	return err
}

// A contest is two or more kinds of servers and clients at the same work.
type contest struct {
	kinds []string // the first is ours
	file  []byte
	procs []*serverProcess
	rates [][]float64 // MB/s of each round
	cpu   []time.Duration
	fails []int
}

func newContest(b *testing.B, kinds ...string) *contest {
	c := &contest{kinds: kinds, file: content(fileSize())}
	for _, kind := range kinds {
		c.procs = append(c.procs, startServer(b, kind, len(c.file)))
	}
	c.rates, c.cpu, c.fails = make([][]float64, len(kinds)), make([]time.Duration, len(kinds)), make([]int, len(kinds))
	return c
}

// round lets each kind transfer the file once.
func (c *contest) round(b *testing.B, block, window int) {
	b.Helper()
	for i, kind := range c.kinds {
		before := c.procs[i].used(b)
		begin := time.Now()
		w := &check{rest: c.file}
		err := fetch(b.Context(), kind, c.procs[i].addr, block, window, w)
		took := time.Since(begin)
		if err == nil && len(w.rest) > 0 {
			err = fmt.Errorf("%d bytes are missing", len(w.rest))
		}
		if err != nil {
			c.fails[i]++
			if i == 0 {
				b.Fatal(err)
			}
			continue
		}
		c.rates[i] = append(c.rates[i], float64(len(c.file))/1e6/took.Seconds())
		c.cpu[i] += c.procs[i].used(b).CPU - before.CPU
	}
}

// report prints the medians and their ratios.
func (c *contest) report(b *testing.B) {
	b.Helper()
	mebibytes := float64(len(c.file)) / (1 << 20)
	for i, kind := range c.kinds {
		if c.fails[i] > 0 {
			b.ReportMetric(float64(c.fails[i]), kind+"-failures")
		}
		if len(c.rates[i]) == 0 {
			continue
		}
		b.ReportMetric(median(c.rates[i]), kind+"-MB/s")
		b.ReportMetric(float64(c.cpu[i].Microseconds())/1e3/mebibytes/float64(len(c.rates[i])), kind+"-server-ms/MiB")
		if i > 0 {
			b.ReportMetric(median(c.rates[0])/median(c.rates[i]), "x-"+kind)
		}
	}
	b.ReportMetric(0, "ns/op") // of several things at once, so it says nothing
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// BenchmarkTFTPLockStep reads a file with a window of one. The ping-pong moves the
// same packets with nothing of a protocol.
func BenchmarkTFTPLockStep(b *testing.B) {
	for _, block := range []int{512, 1428} {
		b.Run(fmt.Sprintf("block=%d", block), func(b *testing.B) {
			c := newContest(b, "ours", "ours-single", "pin", "pack", "pingpong")
			for b.Loop() {
				c.round(b, block, 1)
			}
			c.report(b)
		})
	}
}

// BenchmarkTFTPWindows reads a file with windows, which pin does not have.
func BenchmarkTFTPWindows(b *testing.B) {
	for _, size := range []struct{ block, window int }{{1428, 16}, {512, 64}, {1428, 64}} {
		b.Run(fmt.Sprintf("%dx%d", size.block, size.window), func(b *testing.B) {
			c := newContest(b, "ours", "ours-single", "pack")
			for b.Loop() {
				c.round(b, size.block, size.window)
			}
			c.report(b)
		})
	}
}

// BenchmarkTFTPLargeWindows reads a file in windows that overrun a receive buffer
// of the usual size.
func BenchmarkTFTPLargeWindows(b *testing.B) {
	for _, window := range []int{16, 64} {
		b.Run(fmt.Sprintf("8192x%d", window), func(b *testing.B) {
			c := newContest(b, "ours", "ours-single")
			for b.Loop() {
				c.round(b, 8192, window)
			}
			c.report(b)
		})
	}
}

// BenchmarkTFTPRealClient reads a file with the program atftp, from our server and
// from atftpd.
func BenchmarkTFTPRealClient(b *testing.B) {
	client, err1 := exec.LookPath("atftp")
	daemon, err2 := exec.LookPath("atftpd")
	if err1 != nil || err2 != nil {
		b.Skip("atftp and atftpd are not installed")
	}
	file := content(fileSize())
	dir, err := os.MkdirTemp("", "bench") // where atftpd, which gives up being root, can look
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(dir+"/file", file, 0o644)); err != nil {
		b.Fatal(err)
	}
	ours := netip.MustParseAddrPort(startServer(b, "ours", len(file)).addr)
	theirs := startDaemon(b, daemon, dir)
	for _, size := range []struct{ block, window string }{{"1428", "16"}, {"512", "64"}, {"1428", "64"}} {
		b.Run(size.block+"x"+size.window, func(b *testing.B) {
			var rates [2][]float64
			for b.Loop() {
				for i, addr := range []netip.AddrPort{ours, theirs} {
					begin := time.Now()
					out, err := exec.CommandContext(b.Context(), client, "--option", "blksize "+size.block, "--option", "windowsize "+size.window,
						"-g", "-r", "file", "-l", dir+"/got", addr.Addr().String(), fmt.Sprint(addr.Port())).CombinedOutput()
					took := time.Since(begin)
					got, errRead := os.ReadFile(dir + "/got")
					if err != nil || errRead != nil || !bytes.Equal(got, file) {
						b.Fatalf("atftp: %v, %v, %d bytes: %s", err, errRead, len(got), out)
					}
					rates[i] = append(rates[i], float64(len(file))/1e6/took.Seconds())
				}
			}
			b.ReportMetric(median(rates[0]), "ours-MB/s")
			b.ReportMetric(median(rates[1]), "atftpd-MB/s")
			b.ReportMetric(median(rates[0])/median(rates[1]), "x-atftpd")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// startDaemon runs atftpd until the benchmark ends.
func startDaemon(b *testing.B, daemon, dir string) netip.AddrPort {
	b.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	addr := netip.MustParseAddrPort(conn.LocalAddr().String())
	if err := conn.Close(); err != nil { // atftpd takes a number
		b.Fatal(err)
	}
	cmd := exec.Command(daemon, "--daemon", "--no-fork", "--bind-address", "127.0.0.1",
		"--port", fmt.Sprint(addr.Port()), "--logfile", "/dev/null", dir)
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
	for range 50 { // until it listens; a request is repeated after a second
		if _, err = c.Get(b.Context(), "file-that-is-not-there", io.Discard); !errors.Is(err, tftp.ErrNoAnswer) {
			break
		}
	}
	return addr
}

// BenchmarkTFTPSmallFiles reads files of 1 KiB, each from a new socket, with the
// same client for all servers. An op is one transfer.
func BenchmarkTFTPSmallFiles(b *testing.B) {
	file := content(1 << 10)
	for _, workers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			kinds := []string{"ours", "ours-single", "pin", "pack"}
			var procs []*serverProcess
			for _, kind := range kinds {
				procs = append(procs, startServer(b, kind, len(file)))
			}
			each := 20
			if full {
				each = 3000
			}
			rates, last := make([][]float64, len(kinds)), make([]usage, len(kinds))
			total := make([]usage, len(kinds))
			rounds := 0
			for b.Loop() {
				rounds++
				for i, s := range procs {
					last[i] = s.used(b)
					begin := time.Now()
					if err := load(netip.MustParseAddrPort(s.addr), workers, max(each/workers, 1), file); err != nil {
						b.Fatalf("%s: %v", kinds[i], err)
					}
					n := float64(workers * max(each/workers, 1))
					rates[i] = append(rates[i], n/time.Since(begin).Seconds())
					u := s.used(b)
					total[i].CPU += u.CPU - last[i].CPU
					total[i].Mallocs += u.Mallocs - last[i].Mallocs
					total[i].Bytes += u.Bytes - last[i].Bytes
				}
			}
			n := float64(rounds * workers * max(each/workers, 1))
			for i, kind := range kinds {
				b.ReportMetric(median(rates[i]), kind+"/s")
				b.ReportMetric(float64(total[i].CPU.Microseconds())/n, kind+"-server-µs")
				b.ReportMetric(float64(total[i].Mallocs)/n, kind+"-mallocs")
				b.ReportMetric(float64(total[i].Bytes)/n, kind+"-B")
				if i > 0 {
					b.ReportMetric(median(rates[0])/median(rates[i]), "x-"+kind)
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// load has workers read the file n times each.
func load(server netip.AddrPort, workers, n int, file []byte) error {
	errs := make([]error, workers)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for range n {
				if errs[i] = readSmall(server, file); errs[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// readSmall is as little of a client as can be.
func readSmall(server netip.AddrPort, file []byte) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.WriteToUDPAddrPort([]byte("\x00\x01file\x00octet\x00"), server); err != nil {
		return err
	}
	b := make([]byte, 600)
	for rest, block := file, byte(1); ; block++ {
		n, peer, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		if n >= 4 && b[1] == 3 && b[3] < block {
			block-- // it came again, since the ACK was late
			continue
		}
		if n < 4 || b[1] != 3 || b[3] != block || !bytes.HasPrefix(rest, b[4:n]) {
			return fmt.Errorf("got %q instead of block %d", b[:n], block)
		}
		rest = rest[n-4:]
		if _, err := conn.WriteToUDPAddrPort([]byte{0, 4, 0, block}, peer); err != nil {
			return err
		}
		if n < 516 {
			return nil
		}
	}
}
