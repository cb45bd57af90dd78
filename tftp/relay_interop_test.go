package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tftp"
)

// harms are the networks that transfers must survive.
func harms() map[string]harm {
	return map[string]harm{
		"loses 1 percent":           {seed: 11, lose: 0.01},
		"loses 10 percent":          {seed: 12, lose: 0.1},
		"delays 5 ms":               {seed: 13, delay: 5 * time.Millisecond},
		"delays 50 ms":              {seed: 14, delay: 50 * time.Millisecond},
		"reorders":                  {seed: 15, reorder: 0.1, delay: time.Millisecond},
		"duplicates":                {seed: 16, duplicate: 0.1},
		"loses 1 percent, in 50 ms": {seed: 17, lose: 0.01, delay: 50 * time.Millisecond},
		"all of it":                 {seed: 18, lose: 0.03, duplicate: 0.03, reorder: 0.03, delay: 5 * time.Millisecond},
	}
}

// Whatever the network does, files arrive whole in both directions, and both
// sides know.
func TestThroughRelay(t *testing.T) {
	for name, h := range harms() {
		for _, window := range []int{-1, 16} {
			for _, single := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/window=%d,single=%v", name, window, single), func(t *testing.T) {
					t.Parallel()
					// What waits for the round trip gets less to send.
					size := 64 << 10
					if window > 0 {
						size *= window
					}
					if h.delay > 0 {
						size /= 4
					}
					if h.delay > 5*time.Millisecond {
						size /= 4
					}
					throughRelay(t, h, random(size), window, single)
				})
			}
		}
	}
}

// throughRelay reads and writes file through a relay.
func throughRelay(t *testing.T, h harm, file []byte, window int, single bool) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var s store
	reports := make(chan tftp.Transfer, 10)
	server := &tftp.Server{
		Open:       tftp.Payload(file),
		Create:     func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil },
		SinglePort: single,
		Report:     func(r tftp.Transfer) { reports <- r },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(conn) }()
	client := &tftp.Client{Addr: newRelay(t, localAddr(conn), h).addr().String(), WindowSize: window}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	var got bytes.Buffer
	stats, err := client.Get(ctx, "file", &got)
	if err != nil || !bytes.Equal(got.Bytes(), file) {
		t.Errorf("Get = %+v, %v; equal %v", stats, err, bytes.Equal(got.Bytes(), file))
	}
	stats, err = client.Put(ctx, "file", io.NewSectionReader(bytes.NewReader(file), 0, int64(len(file))))
	if err != nil {
		t.Errorf("Put = %+v, %v", stats, err)
	}

	for done := 0; done < 2; {
		select {
		case r := <-reports:
			switch {
			case r.Err == nil:
				done++
			case errors.Is(r.Err, tftp.ErrNoAnswer) && r.Blocks == 0:
				// Three answers were lost, more are not sent to a stranger, and
				// a later request was served.
			default:
				t.Errorf("server: %v", r.Err)
			}
		case <-ctx.Done():
			t.Fatal("the server does not know that the transfers have ended")
		}
	}
	if !bytes.Equal(s.Bytes(), file) || s.committed != 1 || s.aborted != 0 {
		t.Errorf("after Put the server has %d bytes, equal %v; committed %d times, aborted %d times",
			s.Len(), bytes.Equal(s.Bytes(), file), s.committed, s.aborted)
	}
	if err := client.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != tftp.ErrServerClosed {
		t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
	}
	if n := len(reports); n != 0 {
		t.Errorf("%d transfers on the server besides", n)
	}
}

// atOnce runs all jobs at the same time, since they wait for timers most of the time.
func atOnce(t *testing.T, jobs map[string]func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	var running sync.WaitGroup
	for name, run := range jobs {
		running.Go(func() {
			began := time.Now()
			if err := run(ctx); err != nil {
				t.Errorf("%s: after %v: %v", name, time.Since(began), err)
			}
			t.Logf("%s: %v", name, time.Since(began))
		})
	}
	running.Wait()
}

// survives reports whether uploads of a real client have a chance. curl sends a
// block again for each ACK that comes twice, and gives up when its copies and
// their answers have multiplied. busybox ends without the last ACK once it has
// sent the last block again.
func survives(client string, h harm) bool {
	return (client != "curl" || h.duplicate == 0) && (client != "busybox" || h.lose == 0)
}

// Real clients read and write over bad networks.
func TestInteropClientsThroughRelay(t *testing.T) {
	interop.Slow(t)
	t.Parallel()
	jobs := make(map[string]func(context.Context) error)
	for network, h := range harms() {
		for client, options := range map[string][]string{
			"tftp-hpa": nil,
			"atftp":    {"windowsize 8", "timeout 1"},
			"curl":     nil,
			"busybox":  {"-b", "1428"},
		} {
			c := realClients[client]
			c.find(t)
			for _, put := range []bool{false, true} {
				if put && !survives(client, h) {
					continue
				}
				file := random(50_000)
				if client == "tftp-hpa" {
					file = random(5_000) // each loss costs it 5 seconds
				}
				s, here := startOurServer(t), t.TempDir()
				from, to := filepath.Join(s.folder, "file"), filepath.Join(here, "file")
				if put {
					from, to = to, from
				}
				if err := os.WriteFile(from, file, 0o600); err != nil {
					t.Fatal(err)
				}
				j := job{
					server: newRelay(t, s.addr, h).addr(), put: put, options: options,
					remote: "file", local: filepath.Join(here, "file"),
				}
				jobs[fmt.Sprintf("%s/%s/put=%v", network, client, put)] = func(ctx context.Context) error {
					return errors.Join(c.run(ctx, j), same(to, file))
				}
			}
		}
	}
	atOnce(t, jobs)
}
