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

// keepAlive has an echo again and again for twice the idle timeout, and returns
// when the last one began. It reports false if it was too slow, so that the server
// was right to end the connection.
func keepAlive(t *testing.T, conn io.ReadWriter, idle time.Duration, wait func(time.Duration) error) (last time.Time, ok bool) {
	t.Helper()
	begin := time.Now()
	last = begin
	for time.Since(begin) < 2*idle {
		err := wait(idle / 3)
		now := time.Now()
		if err == nil {
			_, err = conn.Write([]byte("ping"))
		}
		if err == nil {
			_, err = conn.Read(make([]byte, 4))
		}
		if time.Since(last) > idle*2/3 {
			return last, false
		}
		if err != nil {
			t.Fatalf("cut after %v, the last echo began %v ago: %v", time.Since(begin), time.Since(last), err)
		}
		last = now
	}
	return last, true
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
				wait := func(d time.Duration) error {
					must(t, conn.SetReadDeadline(time.Now().Add(d)))
					_, err := conn.Read(make([]byte, 1))
					must(t, conn.SetReadDeadline(time.Now().Add(patience)))
					if errors.Is(err, os.ErrDeadlineExceeded) {
						return nil
					}
					return err
				}
				last, ok := keepAlive(t, conn, idle, wait)
				if !ok {
					continue // the machine is busy
				}
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("Read: %v, want EOF", err)
				}
				if after := time.Since(last); after < idle {
					t.Errorf("cut after %v, want at least %v", after, idle)
				}
				return
			}
		})
	}
}
