//go:build linux

package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/internal/netns"
	"github.com/netparts/netparts/tftp"
)

// A realServer is a program that serves a folder.
type realServer struct {
	program, debianPackage string
	args                   func(addr netip.AddrPort, folder string) []string
}

var (
	tftpdHPA = realServer{"in.tftpd", "tftpd-hpa", func(addr netip.AddrPort, folder string) []string {
		return []string{"-L", "-a", addr.String(), "--secure", "--create", "--user", "nobody", folder}
	}}
	tftpdHPA1024 = realServer{"in.tftpd", "tftpd-hpa", func(addr netip.AddrPort, folder string) []string {
		return append([]string{"-B", "1024"}, tftpdHPA.args(addr, folder)...)
	}}
	atftpd = realServer{"atftpd", "atftpd", func(addr netip.AddrPort, folder string) []string {
		return []string{
			"--daemon", "--no-fork", "--bind-address", addr.Addr().String(), "--port", port(job{server: addr}),
			"--user", "root.root", "--group", "root", folder,
		}
	}}
	dnsmasq = realServer{"dnsmasq", "dnsmasq-base", func(addr netip.AddrPort, folder string) []string {
		return []string{
			"--no-daemon", "--conf-file=/dev/null", "--port=0", "--enable-tftp", "--tftp-root=" + folder,
			"--bind-interfaces", "--listen-address=" + addr.Addr().String(), "--user=root",
		}
	}}
)

var lastHost atomic.Uint32

// start runs the server until the end of the test, and returns its address and
// the folder that it serves. Each has an address of its own, and a port that is
// given to nobody who does not ask for it.
func (s realServer) start(t *testing.T) (netip.AddrPort, string) {
	t.Helper()
	interop.Root(t)
	pid := os.Getpid()
	host := netip.AddrFrom4([4]byte{127, byte(1 + pid>>8&63), byte(pid), byte(lastHost.Add(1))})
	addr := netip.AddrPortFrom(host, 6969)
	folder := s.run(t, addr, func(cmd *exec.Cmd) error { return cmd.Start() })
	awaitServer(t, &tftp.Client{Addr: addr.String(), Timeout: 100 * time.Millisecond, Retries: -1})
	return addr, folder
}

// run starts the server by start.
func (s realServer) run(t *testing.T, addr netip.AddrPort, start func(*exec.Cmd) error) string {
	t.Helper()
	path := interop.Command(t, s.program, s.debianPackage)
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "ready"), []byte("ready"))
	// Others than root write there.
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, s.args(addr, folder)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Errorf("%s ended before the test: %v", s.program, err)
		}
		if err := cmd.Wait(); cmd.ProcessState == nil {
			t.Errorf("%s: %v", s.program, err)
		}
		log.Close()
		if said, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s said: %s, %v", s.program, said, err)
		}
	})
	return folder
}

// awaitServer asks for a file until the server answers.
func awaitServer(t *testing.T, c *tftp.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		var out bytes.Buffer
		_, err := c.Get(ctx, "ready", &out)
		switch {
		case err == nil:
			return
		case !errors.Is(err, tftp.ErrNoAnswer):
			t.Fatalf("server is not ready: %v", err)
		}
	}
}

// writeFile writes a file that all may read and write.
func writeFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(name, b, 0o600), os.Chmod(name, 0o666)); err != nil {
		t.Fatal(err)
	}
}

// getFrom reads a file and compares it.
func getFrom(ctx context.Context, c *tftp.Client, name string, want []byte) (*tftp.Stats, error) {
	var out bytes.Buffer
	stats, err := c.Get(ctx, name, &out)
	if err == nil && !bytes.Equal(out.Bytes(), want) {
		err = fmt.Errorf("%d bytes arrived, want others, %d bytes", out.Len(), len(want))
	}
	return stats, err
}

// putTo writes a file, and compares it in the folder of the server. atftpd sends
// its last ACK before all of the file is there.
func putTo(ctx context.Context, c *tftp.Client, folder, name string, file []byte) (*tftp.Stats, error) {
	stats, err := c.Put(ctx, name, bytes.NewReader(file))
	if err != nil {
		return stats, err
	}
	patience := time.After(5 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		if err = same(filepath.Join(folder, name), file); err == nil {
			return stats, nil
		}
		select {
		case <-look.C:
		case <-patience:
			return stats, err
		}
	}
}

// Our client reads from real servers and writes to them, with each of the options
// that they have.
func TestInteropServers(t *testing.T) {
	interop.Slow(t)
	for _, tt := range []struct {
		name          string
		server        realServer
		block, window int // asked for
		timeout       time.Duration
		sizes         []int // the common ones, if nil
		wantBlock     int
		wantWindow    int
	}{
		{name: "hpa without options", server: tftpdHPA, block: -1, window: -1, wantBlock: 512, wantWindow: 1},
		{name: "hpa", server: tftpdHPA, wantBlock: 1428, wantWindow: 1}, // it has no windows
		{name: "hpa, small blocks", server: tftpdHPA, block: 8, sizes: []int{manySmall}, wantBlock: 8, wantWindow: 1},
		{name: "hpa, large blocks", server: tftpdHPA, block: 65464, timeout: 2 * time.Second, wantBlock: 65464, wantWindow: 1},
		{name: "hpa, limited blocks", server: tftpdHPA1024, wantBlock: 1024, wantWindow: 1},
		{name: "hpa, many blocks", server: tftpdHPA, block: -1, window: -1, sizes: []int{manyPlain}, wantBlock: 512, wantWindow: 1},
		{name: "atftpd without options", server: atftpd, block: -1, window: -1, wantBlock: 512, wantWindow: 1},
		{name: "atftpd", server: atftpd, wantBlock: 1428, wantWindow: 16},
		{name: "atftpd, small blocks", server: atftpd, block: 32, window: -1, sizes: []int{4 * manySmall}, wantBlock: 32, wantWindow: 1},
		// Its OACK must fit into a block; else it refuses all options, and our
		// client goes on without.
		{name: "atftpd, smallest blocks", server: atftpd, block: 8, window: -1, wantBlock: 512, wantWindow: 1},
		{name: "atftpd, large blocks", server: atftpd, block: 65464, window: -1, timeout: 2 * time.Second, wantBlock: 65464, wantWindow: 1},
		{name: "atftpd, large windows", server: atftpd, block: 512, window: 64, wantBlock: 512, wantWindow: 64},
		{name: "atftpd, many blocks", server: atftpd, block: -1, window: 32, sizes: []int{manyPlain}, wantBlock: 512, wantWindow: 32},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr, folder := tt.server.start(t)
			if tt.sizes == nil {
				tt.sizes = sizes
			}
			c := &tftp.Client{Addr: addr.String(), BlockSize: tt.block, WindowSize: tt.window, Timeout: tt.timeout}
			want := tftp.Stats{BlockSize: tt.wantBlock, WindowSize: tt.wantWindow, Timeout: tt.timeout}
			for _, size := range tt.sizes {
				checkServer(t, c, folder, random(size), want)
			}
		})
	}
}

// checkServer reads and writes a file.
func checkServer(t *testing.T, c *tftp.Client, folder string, file []byte, want tftp.Stats) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	writeFile(t, filepath.Join(folder, "file"), file)
	check := func(what string, got *tftp.Stats, err error) {
		t.Helper()
		if err != nil || got.BlockSize != want.BlockSize || got.WindowSize != want.WindowSize ||
			want.Timeout != 0 && got.Timeout != want.Timeout || got.Bytes != int64(len(file)) {
			t.Errorf("%s of %d bytes = %+v, %v; want %+v", what, len(file), got, err, want)
		}
	}
	stats, err := getFrom(ctx, c, "file", file)
	check("Get", stats, err)
	stats, err = putTo(ctx, c, folder, fmt.Sprintf("upload-%d", len(file)), file)
	check("Put", stats, err)
	if _, err := getFrom(ctx, c, "nothing", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Get of a file that is not there: %v", err)
	}
}

func TestInteropServersNetascii(t *testing.T) {
	interop.Slow(t)
	for name, server := range map[string]realServer{"hpa": tftpdHPA, "atftpd": atftpd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, folder := server.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			writeFile(t, filepath.Join(folder, "text"), longText())
			for _, block := range []int{-1, 8, 513} {
				c := &tftp.Client{Addr: addr.String(), Netascii: true, BlockSize: block}
				if _, err := getFrom(ctx, c, "text", longText()); err != nil {
					t.Errorf("Get in blocks of %d: %v", block, err)
				}
				if _, err := putTo(ctx, c, folder, fmt.Sprintf("upload%d", block), longText()); err != nil {
					t.Errorf("Put in blocks of %d: %v", block, err)
				}
			}
		})
	}
}

// listenIn returns the ListenPacket of a Client in a network.
func listenIn(n *netns.Namespace) func(context.Context, string, string) (net.PacketConn, error) {
	return func(_ context.Context, network, _ string) (conn net.PacketConn, err error) {
		err = n.Do(func() error {
			conn, err = net.ListenUDP(network, nil)
			return err
		})
		return conn, err
	}
}

// dnsmasq knows no port but 69, which may be taken. It takes no uploads.
func TestRootDnsmasq(t *testing.T) {
	interop.Slow(t)
	n := netns.New(t)
	addr := netip.MustParseAddrPort("127.0.0.1:69")
	folder := dnsmasq.run(t, addr, func(cmd *exec.Cmd) error { return n.Do(cmd.Start) })
	awaitServer(t, &tftp.Client{Addr: addr.String(), Timeout: 100 * time.Millisecond, Retries: -1, ListenPacket: listenIn(n)})
	plain := bytes.ReplaceAll(longText(), []byte("\r"), nil) // it sends a CR as it is
	writeFile(t, filepath.Join(folder, "text"), plain)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := &tftp.Client{Addr: addr.String(), Netascii: true, ListenPacket: listenIn(n)}
	if _, err := getFrom(ctx, c, "text", plain); err != nil {
		t.Errorf("Get of a text: %v", err)
	}
	for _, tt := range []struct {
		block, window, want int
		sizes               []int
	}{
		{-1, -1, 512, append(sizes[:len(sizes):len(sizes)], manyPlain)},
		{0, 0, 1428, sizes},
		{8, -1, 8, []int{manySmall}},
	} {
		c := &tftp.Client{Addr: addr.String(), BlockSize: tt.block, WindowSize: tt.window, ListenPacket: listenIn(n)}
		for _, size := range tt.sizes {
			// For a name that is still open it takes the size of before.
			file, name := random(size), fmt.Sprintf("file-%d-%d", tt.block, size)
			writeFile(t, filepath.Join(folder, name), file)
			stats, err := getFrom(ctx, c, name, file)
			if err != nil || stats.BlockSize != tt.want || stats.WindowSize != 1 {
				t.Errorf("Get of %d bytes = %+v, %v; want blocks of %d", size, stats, err, tt.want)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Our client reads and writes over bad networks.
func TestInteropServersThroughRelay(t *testing.T) {
	interop.Slow(t)
	t.Parallel()
	file := random(50_000)
	jobs := make(map[string]func(context.Context) error)
	for name, server := range map[string]realServer{"hpa": tftpdHPA, "atftpd": atftpd} {
		addr, folder := server.start(t)
		writeFile(t, filepath.Join(folder, "file"), file)
		for network, h := range harms() {
			relay := newRelay(t, addr, h).addr().String()
			jobs[fmt.Sprintf("%s/%s/get", network, name)] = func(ctx context.Context) error {
				_, err := getFrom(ctx, &tftp.Client{Addr: relay}, "file", file)
				return err
			}
			if name == "atftpd" && h.lose > 0 {
				continue // it does not stay to repeat its last ACK
			}
			jobs[fmt.Sprintf("%s/%s/put", network, name)] = func(ctx context.Context) error {
				_, err := putTo(ctx, &tftp.Client{Addr: relay}, folder, fmt.Sprintf("upload%d", h.seed), file)
				return err
			}
		}
	}
	atOnce(t, jobs)
}

// A lost packet costs a real client of our server a small part of what it costs
// one of a server with fixed timers.
func TestInteropLossIsCheap(t *testing.T) {
	interop.Slow(t)
	t.Parallel()
	c := realClients["curl"]
	c.find(t)
	file := random(256 << 10)
	ours := startOurServer(t)
	addr, folder := tftpdHPA.start(t)
	writeFile(t, filepath.Join(folder, "file"), file)
	writeFile(t, filepath.Join(ours.folder, "file"), file)
	var mu sync.Mutex
	took := make(map[string][]time.Duration)
	jobs := make(map[string]func(context.Context) error)
	for name, server := range map[string]netip.AddrPort{"ours": ours.addr, "tftpd-hpa": addr} {
		for seed := range uint64(3) {
			relay := newRelay(t, server, harm{seed: 100 + seed, lose: 0.01, delay: time.Millisecond})
			j := job{server: relay.addr(), remote: "file", local: filepath.Join(t.TempDir(), "file")}
			jobs[fmt.Sprintf("%s, seed %d", name, seed)] = func(ctx context.Context) error {
				began := time.Now()
				err := errors.Join(c.run(ctx, j), same(j.local, file))
				mu.Lock()
				defer mu.Unlock()
				took[name] = append(took[name], time.Since(began))
				return err
			}
		}
	}
	atOnce(t, jobs)
	for _, list := range took {
		slices.Sort(list)
	}
	mine, other := took["ours"][1], took["tftpd-hpa"][1]
	t.Logf("median of ours %v, of tftpd-hpa %v", mine, other)
	if other < 5*mine {
		t.Errorf("from our server it took %v, from tftpd-hpa %v, want a fifth of that at most", mine, other)
	}
}
