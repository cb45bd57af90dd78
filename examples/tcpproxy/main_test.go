package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/proxy"
)

// limit is how long anything may take here.
const limit = 20 * time.Second

// startDaemon runs the program, listening on a free port.
func startDaemon(t *testing.T, args ...string) *daemon.Daemon {
	t.Helper()
	return daemon.Start(t, run, "tcp", append([]string{"-listen", "tcp:127.0.0.1:0"}, args...)...)
}

// upstream serves each connection by serve, and returns the endpoint for -to.
func upstream(t *testing.T, network, address string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(limit))
				serve(conn)
			}()
		}
	}()
	return network + ":" + l.Addr().String()
}

// named returns an upstream that says its name and then answers with what it gets.
func named(t *testing.T, name string) string {
	t.Helper()
	return upstream(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		fmt.Fprintln(conn, name)
		io.Copy(conn, conn)
	})
}

// echo answers with what it gets.
func echo(conn net.Conn) { io.Copy(conn, conn) }

// dead returns an upstream that cannot be dialed.
func dead(t *testing.T) string { return "unix:" + filepath.Join(t.TempDir(), "none") }

// dial connects to the program.
func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// write sends s.
func write(t *testing.T, conn net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(conn, s); err != nil {
		t.Fatal(err)
	}
}

// closeWrite ends the stream of conn.
func closeWrite(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// wantEcho sends s and reads it again.
func wantEcho(t *testing.T, conn net.Conn, s string) {
	t.Helper()
	write(t, conn, s)
	b := make([]byte, len(s))
	if n, err := io.ReadFull(conn, b); string(b) != s {
		t.Fatalf("the echo of %q is %q, %v", s, b[:n], err)
	}
}

// wantRest reads conn to the end of the stream.
func wantRest(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	b, err := io.ReadAll(conn)
	if err != nil || string(b) != want {
		t.Errorf("received %q, %v, want %q and the end", b, err, want)
	}
}

// wantCut reads conn, which is to be reset without a byte.
func wantCut(t *testing.T, conn net.Conn) {
	t.Helper()
	n, err := conn.Read(make([]byte, 1))
	if n > 0 || err == nil || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("received %d bytes, %v, want a reset", n, err)
	}
}

// wantRefused connects to the program, which is to reset that, maybe before the dial
// has returned.
func wantRefused(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	wantCut(t, conn)
}

// greeting returns the first line that conn gets.
func greeting(t *testing.T, conn net.Conn) string {
	t.Helper()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// What a client sends before the end of its stream is answered after it.
func TestHalfClose(t *testing.T) {
	to := upstream(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		b, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "%d bytes", len(b))
	})
	d := startDaemon(t, "-to", to)
	conn := dial(t, "tcp", d.Addr)
	write(t, conn, strings.Repeat("x", 1<<20))
	closeWrite(t, conn)
	wantRest(t, conn, "1048576 bytes")
	d.End(t)
	if log := d.Stderr.String(); log != "" {
		t.Errorf("without -v the log is\n%s", log)
	}
}

// The network of -listen is what the first line names.
func TestNetworks(t *testing.T) {
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			if l, err := net.Listen(network, address); err != nil {
				t.Skipf("this machine lacks it: %v", err)
			} else {
				l.Close()
			}
			to := upstream(t, network, address, echo)
			d := daemon.Start(t, run, network, "-listen", network+":"+address, "-to", to)
			conn := dial(t, network, d.Addr)
			wantEcho(t, conn, "ping")
			conn.Close()
			d.End(t)
		})
	}
}

func TestPolicies(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	tests := []struct {
		name string
		args []string
		want []string // the upstreams of the first clients
	}{
		{"default", []string{"-to", a, "-to", b}, []string{"a", "a", "a"}},
		{"failover", []string{"-policy", "failover", "-to", dead(t), "-to", b, "-to", c}, []string{"b", "b", "b"}},
		{"roundrobin", []string{"-policy", "roundrobin", "-to", a, "-to", b, "-to", c}, []string{"a", "b", "c", "a", "b"}},
		{"roundrobin past a dead one", []string{"-policy", "roundrobin", "-to", a, "-to", dead(t), "-to", c}, []string{"a", "c", "c", "a"}},
		{"first", []string{"-policy", "first", "-to", dead(t), "-to", c}, []string{"c", "c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := startDaemon(t, tt.args...)
			var got []string
			for range tt.want {
				conn := dial(t, "tcp", d.Addr)
				got = append(got, greeting(t, conn))
				conn.Close()
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the upstreams are %q, want %q", got, tt.want)
			}
			d.End(t)
		})
	}
}

// A client whose upstreams are all dead is reset, and that is logged without -v.
func TestNoUpstream(t *testing.T) {
	d := startDaemon(t, "-to", dead(t), "-to", dead(t))
	wantRefused(t, d.Addr)
	d.End(t)
	log := d.Stderr.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, `msg="connection refused" client=127.0.0.1:`) {
		t.Errorf("the log is\n%s", log)
	}
}

func TestLimitsOfTime(t *testing.T) {
	to := upstream(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		io.Copy(io.Discard, conn)
		conn.Read(make([]byte, 1)) // nothing ever comes
		<-t.Context().Done()
	})
	for _, tt := range []struct {
		name, flag, cause string
		half              bool
	}{
		{"idle", "-idle", "proxy: idle for too long", false},
		{"half-closed", "-half-close", "proxy: half-closed for too long", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := startDaemon(t, "-v", "-to", to, tt.flag, "50ms")
			conn := dial(t, "tcp", d.Addr)
			if tt.half {
				closeWrite(t, conn)
			}
			wantRest(t, conn, "")
			d.End(t)
			if log := d.Stderr.String(); !strings.Contains(log, fmt.Sprintf("error=%q", tt.cause)) {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}

// Zero is no limit of time, and the defaults of the flags are those of the package.
func TestTimesOfTheServer(t *testing.T) {
	for _, tt := range []struct {
		args                  []string
		idle, halfClose, dial time.Duration
	}{
		{nil, time.Hour, time.Minute, 10 * time.Second},
		{[]string{"-idle", "0", "-half-close", "0", "-dial-timeout", "1ms"}, -1, -1, time.Millisecond},
	} {
		var c config
		if err := c.parse(append(tt.args, "-listen", "unix:a", "-to", "unix:b"), t.Output()); err != nil {
			t.Fatal(err)
		}
		s := c.server()
		if s.IdleTimeout != tt.idle || s.HalfCloseTimeout != tt.halfClose || s.DialTimeout != tt.dial {
			t.Errorf("%q: idle %v, half-close %v, dial %v", tt.args, s.IdleTimeout, s.HalfCloseTimeout, s.DialTimeout)
		}
	}
}

// A client more than -max-conns waits until another one has ended.
func TestMaxConns(t *testing.T) {
	d := startDaemon(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-max-conns", "1")
	first, second := dial(t, "tcp", d.Addr), dial(t, "tcp", d.Addr)
	wantEcho(t, first, "ping")
	write(t, second, "pong")
	second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := second.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second client received %d bytes, %v before the first one had ended", n, err)
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(limit))
	b := make([]byte, 4)
	if _, err := io.ReadFull(second, b); err != nil || string(b) != "pong" {
		t.Errorf("the second client received %q, %v", b, err)
	}
	second.Close()
	d.End(t)
}

func TestVerbose(t *testing.T) {
	to := upstream(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		io.Copy(io.Discard, conn)
		io.WriteString(conn, "four")
	})
	d := startDaemon(t, "-v", "-to", to)
	conn := dial(t, "tcp", d.Addr)
	write(t, conn, "question")
	closeWrite(t, conn)
	wantRest(t, conn, "four")
	d.End(t)
	want := fmt.Sprintf(`^time=\S+ level=INFO msg="connection ended" client=%v upstream=%s to_upstream=8 to_client=4 duration=\S+\n$`,
		conn.LocalAddr(), strings.TrimPrefix(to, "tcp:"))
	if log := d.Stderr.String(); !regexp.MustCompile(want).MatchString(log) {
		t.Errorf("the log is\n%s, want %s", log, want)
	}
}

// refused waits until nobody listens on addr any more.
func refused(t *testing.T, addr string) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); time.Since(begin) < limit; <-again.C {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("it goes on listening")
}

// end ends the program meanwhile, and returns what waits for that.
func end(t *testing.T, d *daemon.Daemon) (wait func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.End(t)
	}()
	return func() { <-ended }
}

// A connection that is open when the signal comes gets all of its bytes.
func TestDrain(t *testing.T) {
	answer := make(chan struct{})
	to := upstream(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		io.WriteString(conn, "begin\n")
		<-answer
		io.WriteString(conn, strings.Repeat("x", 1<<20))
	})
	d := startDaemon(t, "-to", to, "-grace", "1h")
	conn := dial(t, "tcp", d.Addr)
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); line != "begin\n" {
		t.Fatalf("received %q, %v", line, err)
	}
	wait := end(t, d)
	refused(t, d.Addr)
	close(answer)
	if b, err := io.ReadAll(r); err != nil || len(b) != 1<<20 {
		t.Errorf("received %d bytes, %v, want %d", len(b), err, 1<<20)
	}
	conn.Close()
	wait()
	if log := d.Stderr.String(); log != "" {
		t.Errorf("the log is\n%s", log)
	}
}

// What is left after -grace is reset and logged, and the program ends well.
func TestGraceEnds(t *testing.T) {
	for _, grace := range []string{"0", "50ms"} {
		d := startDaemon(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-grace", grace, "-v")
		conn := dial(t, "tcp", d.Addr)
		wantEcho(t, conn, "ping")
		d.End(t)
		wantCut(t, conn)
		log := d.Stderr.String()
		if strings.Count(log, "\n") != 2 || !strings.Contains(log, `msg="connections are cut" after=`) ||
			!strings.Contains(log, "relayed=1\n") || !strings.Contains(log, `to_client=4`) || !strings.Contains(log, `error="proxy: server closed"`) {
			t.Errorf("-grace %s: the log is\n%s", grace, log)
		}
	}
}

// The end waits as long as -grace says, and then until what was cut has been reported.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, accepted := net.Pipe()
		upstream, dialed := net.Pipe()
		defer client.Close()
		defer upstream.Close()
		c := config{grace: 10 * time.Minute}
		var reported time.Time
		server := &proxy.Server{
			Dial: func(context.Context, net.Conn) (net.Conn, error) { return dialed, nil },
			Report: func(proxy.Report) {
				time.Sleep(time.Second / 2)
				reported = time.Now()
			},
			Logger: slog.New(slog.DiscardHandler),
		}
		go server.ServeConn(t.Context(), accepted)
		synctest.Wait()
		served := make(chan error, 1)
		served <- proxy.ErrServerClosed
		begin := time.Now()
		if err := c.stop(server, served); err != nil {
			t.Error(err)
		}
		want := c.grace + time.Second/2
		if d := time.Since(begin); d != want || !reported.Equal(begin.Add(want)) {
			t.Errorf("the end took %v, want %v; reported at %v", d, want, reported)
		}
	})
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Nobody would learn the port if the first line cannot be written.
func TestFirstLineThatFails(t *testing.T) {
	var stderr bytes.Buffer
	status := run(t.Context(), []string{"-listen", "tcp:127.0.0.1:0", "-to", dead(t)}, brokenOutput{}, &stderr)
	if want := "tcpproxy: broken pipe\n"; status != 1 || stderr.String() != want {
		t.Errorf("exit status %d, stderr %q, want 1 and %q", status, &stderr, want)
	}
}

func TestFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, args := range [][]string{
		{"-listen", "tcp:" + l.Addr().String()}, // in use
		{"-listen", "tcp4:[::1]:0"},
		{"-listen", "unix:" + t.TempDir()},
		{"-listen", "unix:" + filepath.Join(t.TempDir(), "none", "s")},
		{"-listen", "tcp:127.0.0.1:0", "-tap", t.TempDir()},
		{"-listen", "tcp:127.0.0.1:0", "-tap", filepath.Join(t.TempDir(), "none", "t")},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), append(args, "-to", dead(t)), &stdout, &stderr)
		if status != 1 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 1 and nothing", args, status, &stdout)
		}
		if s := stderr.String(); !strings.HasPrefix(s, "tcpproxy: ") || strings.Count(s, "\n") != 1 {
			t.Errorf("%q: stderr %q, want one line", args, s)
		}
	}
}
