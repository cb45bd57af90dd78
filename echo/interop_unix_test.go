//go:build unix

package echo_test

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/interop"
)

// netcat half-closes when it has sent all of its input (-N), and gets all of it back.
func TestInteropNetcat(t *testing.T) {
	nc := interop.Command(t, "nc", "netcat-openbsd")
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			addr := listen(t, &server, network)
			args := []string{"-N", "-U", addr.String()}
			if network == "tcp" {
				args = []string{"-N", "127.0.0.1", portOf(t, addr)}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, nc, args...)
			sent := pattern(8 << 20)
			cmd.Stdin = bytes.NewReader(sent)
			got, err := cmd.Output()
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
			}
		})
	}
}

// netcat sends one datagram, and waits a second for the answer.
func TestInteropNetcatUDP(t *testing.T) {
	nc := interop.Command(t, "nc", "netcat-openbsd")
	var server echo.Server
	addr := listenPacket(t, &server, "udp", "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, nc, "-u", "-w", "1", "127.0.0.1", portOf(t, addr))
	cmd.Stdin = bytes.NewReader([]byte("ping"))
	if got, err := cmd.Output(); err != nil || string(got) != "ping" {
		t.Errorf("netcat got %q, %v", got, err)
	}
}

// portOf returns the port of an address.
func portOf(t testing.TB, a net.Addr) string {
	t.Helper()
	_, port, err := net.SplitHostPort(a.String())
	must(t, err)
	return port
}
