//go:build unix

package echo_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
)

// keepAlive has an echo again and again for twice the idle timeout. It reports
// false if it was too slow, so that the server was right to end the connection.
func keepAlive(t *testing.T, conn io.ReadWriter, idle time.Duration, wait func(time.Duration) error) bool {
	t.Helper()
	begin := time.Now()
	for time.Since(begin) < 2*idle {
		last := time.Now()
		err := wait(idle / 3)
		slow := time.Since(last) > idle/2
		if err != nil && !slow {
			t.Fatalf("cut after %v, the last echo was %v ago: %v", time.Since(begin), time.Since(last), err)
		}
		if slow {
			return false
		}
		wantPacket(t, conn, "ping")
	}
	return true
}

// Sockets have an idle timeout as other connections have, and activity postpones
// it.
func TestIdleSockets(t *testing.T) {
	const idle = 300 * time.Millisecond
	networks := []string{"tcp", "unix"}
	if runtime.GOOS == "linux" {
		networks = append(networks, "unixpacket")
	}
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			server := echo.Server{IdleTimeout: idle}
			addr := listen(t, &server, network)
			for {
				conn := dial(t, network, addr)
				wantPacket(t, conn, "ping")
				wait := func(d time.Duration) error {
					must(t, conn.SetReadDeadline(time.Now().Add(d)))
					_, err := conn.Read(make([]byte, 1))
					must(t, conn.SetReadDeadline(time.Now().Add(patience)))
					if errors.Is(err, os.ErrDeadlineExceeded) {
						return nil
					}
					return err
				}
				if !keepAlive(t, conn, idle, wait) {
					continue // the machine is busy
				}
				begin := time.Now()
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("Read: %v, want EOF", err)
				}
				if after := time.Since(begin); after < idle/2 {
					t.Errorf("cut after %v, want %v", after, idle)
				}
				return
			}
		})
	}
}
