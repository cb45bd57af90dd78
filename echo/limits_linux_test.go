package echo_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/leak"
)

// fill writes until the server takes no more.
func fill(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	for {
		err := conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if err == nil {
			_, err = conn.Write(b)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// Clients that never read hold one buffer each, delay nobody, and are gone when
// the server is closed.
func TestClientsThatNeverRead(t *testing.T) {
	const clients = 50
	for _, tt := range []struct {
		network string
		most    int // bytes of the heap for each
	}{
		{"tcp", 32<<10 + 4096},
		{"unix", 32<<10 + 4096},
		{"unixpacket", 512<<10 + 4096},
	} {
		t.Run(tt.network, func(t *testing.T) {
			var server echo.Server
			addr := listen(t, &server, tt.network)
			other := dial(t, tt.network, addr)
			wantPacket(t, other, "ping")
			var conns []net.Conn
			for range clients {
				conns = append(conns, dial(t, tt.network, addr))
			}
			b := pattern(64 << 10)
			before, goroutines := leak.InUse()
			var filling sync.WaitGroup
			for _, conn := range conns {
				filling.Go(func() { fill(t, conn, b) })
			}
			for range 100 {
				wantPacket(t, other, "meanwhile")
			}
			filling.Wait()
			wantPacket(t, other, "still here")
			after, more := leak.InUse()
			if each := (after - before) / clients; each > tt.most {
				t.Errorf("%d bytes for each client, want at most %d", each, tt.most)
			}
			if more > goroutines+clients {
				t.Errorf("%d goroutines for %d clients", more-goroutines, clients)
			}
			begin := time.Now()
			must(t, server.Close())
			shutDown(t, &server)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("Close took %v", took)
			}
		})
	}
}

// Connections that are idle hold no buffer.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const clients = 100
	for _, network := range []string{"tcp", "unix", "unixpacket"} {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			addr := listen(t, &server, network)
			before, _ := leak.InUse()
			var conns []net.Conn
			for range clients {
				conns = append(conns, dial(t, network, addr))
			}
			for range 2 {
				for _, conn := range conns {
					_, err := conn.Write(pattern(10_000))
					must(t, err)
				}
				for _, conn := range conns {
					wantRead(t, conn, string(pattern(10_000)))
				}
			}
			after, _ := leak.InUse()
			// That is both ends. Stacks are not of the heap.
			if each := (after - before) / clients; each > 6000 {
				t.Errorf("%d bytes for each of %d idle connections", each, clients)
			}
		})
	}
}

// Nothing that a server started is left after Shutdown.
func TestNoGoroutineIsLeft(t *testing.T) {
	_, before := leak.InUse()
	for range 20 {
		var server echo.Server
		for _, network := range []string{"tcp", "unix", "tls", "unixpacket"} {
			wantPacket(t, dial(t, network, listen(t, &server, network)), "ping")
		}
		listenPacket(t, &server, "udp", "127.0.0.1:0")
		listenPacket(t, &server, "unixgram", socketPath(t))
		shutDown(t, &server)
	}
	// The goroutines of the test that called Serve are about to end.
	begin := time.Now()
	_, after := leak.InUse()
	for ; after > before && time.Since(begin) < patience; _, after = leak.InUse() {
		runtime.Gosched()
	}
	if after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// childLimit is the number of descriptors that the child of TestOutOfDescriptors
// has.
const childLimit = 40

// child serves until its input ends.
func child() error {
	limit := syscall.Rlimit{Cur: childLimit, Max: childLimit}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var server echo.Server
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	fmt.Println(l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, server.Close(), server.Shutdown(context.Background()), notClosed(<-served))
}

func notClosed(err error) error {
	if err == echo.ErrServerClosed {
		return nil
	}
	return fmt.Errorf("served: %w", err)
}

// processorTime returns what a process has used of it.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	must(t, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		must(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// A server that is out of descriptors waits for some without keeping the
// processor busy, serves whom it has meanwhile, and goes on when there are some.
func TestOutOfDescriptors(t *testing.T) {
	const variable = "ECHO_TEST_CHILD"
	if os.Getenv(variable) != "" {
		must(t, child())
		return
	}
	command := exec.Command(os.Args[0], "-test.run=^TestOutOfDescriptors$")
	command.Env = append(os.Environ(), variable+"=1")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	must(t, err)
	stdout, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	defer command.Process.Kill()
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	must(t, err)
	addr, err := net.ResolveTCPAddr("tcp", strings.TrimSpace(line))
	must(t, err)

	first := dial(t, "tcp", addr)
	wantEcho(t, first, "first")
	var conns []net.Conn
	for range childLimit {
		conns = append(conns, dial(t, "tcp", addr))
	}
	last := dial(t, "tcp", addr)
	_, err = last.Write([]byte("last"))
	must(t, err)
	before := processorTime(t, command.Process.Pid)
	must(t, last.SetReadDeadline(time.Now().Add(time.Second)))
	if n, err := last.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Read = %d, %v, want a server without descriptors", n, err)
	}
	if used := processorTime(t, command.Process.Pid) - before; used > 200*time.Millisecond {
		t.Errorf("in a second without descriptors it used %v", used)
	}
	wantEcho(t, first, "still served")
	for _, conn := range conns {
		must(t, conn.Close())
	}
	must(t, last.SetReadDeadline(time.Now().Add(patience)))
	wantRead(t, last, "last")
	must(t, stdin.Close())
	rest, err := io.ReadAll(lines)
	must(t, err)
	if err := command.Wait(); err != nil {
		t.Errorf("the child: %v\n%s", err, rest)
	}
}
