package tftp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tftp"
)

var serverAddr = netip.MustParseAddrPort("192.0.2.1:69")

// A path is a network between a client and a server, in a bubble.
type path struct {
	net    memnet.Network
	server *tftp.Server
	client *tftp.Client

	mu      sync.Mutex
	reports []tftp.Transfer
}

// newPath starts a server that serves file under every name, and keeps the upload
// that it takes in the store.
func newPath(rule memnet.Rule, file io.ReadCloser, store *store) *path {
	p := &path{net: memnet.Network{Rule: rule}}
	p.server = &tftp.Server{
		Open:   func(context.Context, *tftp.Request) (io.ReadCloser, error) { return file, nil },
		Create: func(context.Context, *tftp.Request) (tftp.Upload, error) { return store, nil },
		ListenPacket: func(_ context.Context, network, _ string) (net.PacketConn, error) {
			return p.net.ListenPacket("udp", "192.0.2.1:0")
		},
		Report: func(r tftp.Transfer) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.reports = append(p.reports, r)
		},
	}
	p.client = &tftp.Client{
		Addr: "192.0.2.1:69",
		ListenPacket: func(context.Context, string, string) (net.PacketConn, error) {
			return p.net.ListenPacket("udp", "192.0.2.2:0")
		},
	}
	return p
}

// serve runs the server during f.
func (p *path) serve(t *testing.T, f func()) {
	t.Helper()
	conn, err := p.net.ListenPacket("udp", "192.0.2.1:69")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(conn) }()
	defer p.server.Close() // in case that f ends the test
	f()
	if err := p.client.Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if err := p.server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != tftp.ErrServerClosed {
		t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
	}
}

// A store is an Upload in memory.
type store struct {
	bytes.Buffer
	committed, aborted int
}

func (s *store) Commit() error { s.committed++; return nil }
func (s *store) Abort(error)   { s.aborted++ }

// A seekable file can be read at random, a stream only once.
type seekable struct{ *bytes.Reader }

func (seekable) Close() error { return nil }

type stream struct{ io.Reader }

func (stream) Close() error { return nil }

// random returns n bytes that depend on n only.
func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	r.Read(b) // which never fails
	return b
}

// loses is a network with a delay each way that loses a part of all packets.
func loses(seed uint64, part float64, delay time.Duration) memnet.Rule {
	return memnet.Chain(memnet.Drop(memnet.Chance(seed, part)), memnet.Delay(nil, delay))
}

// get reads a file over p and compares it.
func (p *path) get(t *testing.T, want []byte) *tftp.Stats {
	t.Helper()
	var out bytes.Buffer
	stats, err := p.client.Get(t.Context(), "file", &out)
	if err != nil || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("Get: %v, %d bytes, equal %v", err, out.Len(), bytes.Equal(out.Bytes(), want))
	}
	return stats
}

// put writes a file over p and compares what s got.
func (p *path) put(t *testing.T, file io.Reader, want []byte, s *store) *tftp.Stats {
	t.Helper()
	stats, err := p.client.Put(t.Context(), "file", file)
	if err != nil || !bytes.Equal(s.Bytes(), want) {
		t.Errorf("Put: %v, %d bytes, equal %v", err, s.Len(), bytes.Equal(s.Bytes(), want))
	}
	if s.committed != 1 || s.aborted != 0 {
		t.Errorf("Commit was called %d times and Abort %d times, want once and never", s.committed, s.aborted)
	}
	return stats
}

// noFailures checks the reports of the server.
func (p *path) noFailures(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.reports {
		if r.Err != nil {
			t.Errorf("server: %v", r.Err)
		}
	}
	if len(p.reports) != 1 {
		t.Errorf("%d transfers on the server, want 1", len(p.reports))
	}
}

// A lost packet costs milliseconds, not seconds.
func TestOnePercentLoss(t *testing.T) {
	file := random(1 << 20)
	for _, tt := range []struct {
		window int
		most   time.Duration // of the median; without loss it is 1.47 s and 94 ms
	}{
		{1, 2 * time.Second},
		{16, 150 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("window=%d", tt.window), func(t *testing.T) {
			t.Parallel()
			var times []time.Duration
			for seed := range uint64(100) {
				synctest.Test(t, func(t *testing.T) {
					p := newPath(loses(seed, 0.01, time.Millisecond), seekable{bytes.NewReader(file)}, nil)
					p.client.WindowSize = tt.window
					p.serve(t, func() { times = append(times, p.get(t, file).Duration) })
					p.noFailures(t)
				})
			}
			slices.Sort(times)
			t.Logf("median %v, longest %v", times[50], times[99])
			if times[50] > tt.most {
				t.Errorf("the median of %d transfers is %v, want at most %v", len(times), times[50], tt.most)
			}
			// A lost request is waited for a second, and nothing as long as that.
			if times[99] > tt.most+2*time.Second {
				t.Errorf("the longest transfer took %v", times[99])
			}
		})
	}
}

// Over a long way a window of blocks is under way in each round trip.
func TestLongPath(t *testing.T) {
	file := random(4 << 20)
	const roundTrip = 50 * time.Millisecond
	for _, single := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPath(memnet.Delay(nil, roundTrip/2), seekable{bytes.NewReader(file)}, nil)
			p.server.SinglePort, p.client.WindowSize = single, 64
			p.serve(t, func() {
				stats := p.get(t, file)
				rate := float64(stats.Bytes) / stats.Duration.Seconds()
				most := float64(stats.WindowSize*stats.BlockSize) / roundTrip.Seconds()
				t.Logf("%.2f of a window each round trip", rate/most)
				if stats.WindowSize != 64 || rate < 0.8*most {
					t.Errorf("%.0f bytes/s, want at least 0.8 of %.0f: %+v", rate, most, stats)
				}
			})
			p.noFailures(t)
		})
	}
}

// Whatever the network does to packets, the file arrives whole, and both sides
// know.
func TestBadNetworks(t *testing.T) {
	file := random(200_000)
	networks := map[string]func(seed uint64) memnet.Rule{
		"loses 10 percent": func(seed uint64) memnet.Rule { return loses(seed, 0.1, time.Millisecond) },
		"loses 10 percent, 50 ms each way": func(seed uint64) memnet.Rule {
			return loses(seed, 0.1, 50*time.Millisecond)
		},
		"duplicates all": func(uint64) memnet.Rule { return memnet.Duplicate(nil) },
		"duplicates late": func(seed uint64) memnet.Rule {
			return memnet.Chain(memnet.Duplicate(nil), memnet.Delay(memnet.Chance(seed, 0.5), 30*time.Millisecond))
		},
		"reorders": func(seed uint64) memnet.Rule {
			return memnet.Chain(memnet.Reorder(memnet.Chance(seed, 0.1)), memnet.Delay(nil, time.Millisecond))
		},
		"loses, duplicates, reorders": func(seed uint64) memnet.Rule {
			return memnet.Chain(
				memnet.Drop(memnet.Chance(seed, 0.05)), memnet.Duplicate(memnet.Chance(seed+1, 0.05)),
				memnet.Reorder(memnet.Chance(seed+2, 0.05)), memnet.Delay(memnet.Chance(seed+3, 0.1), 5*time.Millisecond),
			)
		},
	}
	for name, rule := range networks {
		for _, window := range []int{-1, 1, 4, 16, 64} {
			t.Run(fmt.Sprintf("%s/window=%d", name, window), func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(3) {
					for _, single := range []bool{false, true} {
						synctest.Test(t, func(t *testing.T) {
							p := newPath(rule(seed), seekable{bytes.NewReader(file)}, nil)
							p.client.WindowSize, p.server.SinglePort = window, single
							p.serve(t, func() { p.get(t, file) })
							p.noFailures(t)
						})
						synctest.Test(t, func(t *testing.T) {
							var s store
							p := newPath(rule(seed), nil, &s)
							p.client.WindowSize, p.server.SinglePort = window, single
							p.serve(t, func() { p.put(t, stream{bytes.NewReader(file)}, file, &s) })
							p.noFailures(t)
						})
					}
				}
			})
		}
	}
}

// Each packet of a small transfer is lost once, in turn: the first, all in the
// middle, and the last ACK, for which the receiver stays.
func TestEachPacketLost(t *testing.T) {
	file := random(3000)
	for _, window := range []int{-1, 1, 2, 4} {
		for _, upload := range []bool{false, true} {
			t.Run(fmt.Sprintf("window=%d,upload=%v", window, upload), func(t *testing.T) {
				for n := 1; ; n++ {
					sent := 0
					synctest.Test(t, func(t *testing.T) {
						rule := func(p memnet.Packet) []memnet.Packet {
							if sent++; sent == n {
								return nil
							}
							return []memnet.Packet{p}
						}
						var s store
						// On a path without delay a request that is sent again, at the instant
						// at which the server sends its answer again, may be read after all of the
						// transfer.
						path := memnet.Chain(rule, memnet.Delay(nil, time.Millisecond))
						p := newPath(path, seekable{bytes.NewReader(file)}, &s)
						p.client.BlockSize, p.client.WindowSize = -1, window
						p.serve(t, func() {
							stats := new(tftp.Stats)
							if upload {
								stats = p.put(t, bytes.NewReader(file), file, &s)
							} else {
								stats = p.get(t, file)
							}
							if stats.Duration > 3*time.Second {
								t.Errorf("without packet %d the transfer took %v", n, stats.Duration)
							}
						})
						p.noFailures(t)
					})
					if sent < n {
						break
					}
				}
			})
		}
	}
}

// A duplicate never makes a second one: the number of packets stays what it is
// without duplicates, but for the duplicates themselves and their answers.
func TestNoSorcerersApprentice(t *testing.T) {
	file := random(100 * 512)
	for _, window := range []int{-1, 1, 8} {
		t.Run(fmt.Sprintf("window=%d", window), func(t *testing.T) {
			count := func(duplicate memnet.Match) (n int) {
				synctest.Test(t, func(t *testing.T) {
					counted := func(p memnet.Packet) []memnet.Packet { n++; return []memnet.Packet{p} }
					rule := memnet.Chain(counted, memnet.Duplicate(duplicate), memnet.Delay(nil, time.Millisecond))
					p := newPath(rule, seekable{bytes.NewReader(file)}, nil)
					p.client.BlockSize, p.client.WindowSize = -1, window
					p.serve(t, func() { p.get(t, file) })
					p.noFailures(t)
				})
				return n
			}
			never := func(memnet.Packet) bool { return false }
			plain := count(never)
			if once := count(memnet.Nth(10)); once > plain+10 {
				t.Errorf("one duplicate made %d packets of %d", once, plain)
			}
			if all := count(nil); all > 2*plain+10 {
				t.Errorf("duplicates made %d packets of %d", all, plain)
			}
		})
	}
}
