package heartbeat_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/memnet"
)

// The protocol of these tests: a message is its kind, its length in two bytes, and
// as many bytes.
var (
	ping = []byte{'p', 0, 2, 'h', 'i'}
	pong = []byte{'q', 0, 0}
)

func next(p []byte) (n int, kind heartbeat.Kind) {
	if len(p) < 3 {
		return 0, heartbeat.Data
	}
	n = 3 + int(binary.BigEndian.Uint16(p[1:]))
	switch p[0] {
	case 'p':
		return n, heartbeat.Ping
	case 'q':
		return n, heartbeat.Pong
	}
	return n, heartbeat.Data
}

// message returns a data message with a body of n bytes.
func message(n int) []byte {
	b := binary.BigEndian.AppendUint16([]byte{'d'}, uint16(n))
	for i := range n {
		b = append(b, byte(i*7))
	}
	return b
}

func config() heartbeat.Config {
	return heartbeat.Config{Interval: 10 * time.Second, Timeout: 3 * time.Second, Ping: ping, Pong: pong, Next: next}
}

func TestConnIsANetConn(t *testing.T) {
	for _, c := range []struct {
		name   string
		config heartbeat.Config
	}{
		{"without pings", heartbeat.Config{}},
		// What TestConn writes is not of any protocol: so all is data.
		{"with Next", heartbeat.Config{Next: func(p []byte) (int, heartbeat.Kind) { return len(p), heartbeat.Data }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				a, b := memnet.Pipe()
				c1, c2 := heartbeat.NewConn(a, c.config), heartbeat.NewConn(b, c.config)
				return c1, c2, func() { c1.Close(); c2.Close() }, nil
			})
		})
	}
}

// pair returns two connected Conns whose data is read, until the test ends, into
// what the function read returns.
func pair(t *testing.T, config heartbeat.Config) (a, b *heartbeat.Conn, read func(c *heartbeat.Conn) []byte) {
	t.Helper()
	end1, end2 := memnet.Pipe()
	a, b = heartbeat.NewConn(end1, config), heartbeat.NewConn(end2, config)
	var mu sync.Mutex
	got := make(map[*heartbeat.Conn][]byte)
	var readers sync.WaitGroup
	for _, c := range []*heartbeat.Conn{a, b} {
		readers.Go(func() {
			p := make([]byte, 4096)
			for {
				n, err := c.Read(p)
				mu.Lock()
				got[c] = append(got[c], p[:n]...)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		a.Close()
		b.Close()
		readers.Wait()
	})
	return a, b, func(c *heartbeat.Conn) []byte {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return bytes.Clone(got[c])
	}
}

// Two Conns that have nothing to say keep each other alive, and what they say comes
// out without pings and pongs.
func TestConnsKeepEachOtherAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, read := pair(t, config())
		time.Sleep(time.Hour)
		if len(read(a)) > 0 || len(read(b)) > 0 {
			t.Errorf("%q and %q came out of Read", read(a), read(b))
		}
		if _, err := a.Write(message(1000)); err != nil {
			t.Errorf("Write after an hour: %v", err)
		}
		time.Sleep(time.Hour)
		if got := read(b); !bytes.Equal(got, message(1000)) {
			t.Errorf("%d bytes came out of Read", len(got))
		}
	})
}

// A peer that vanishes ends Read and Write within Interval and Timeout.
func TestConnWithASilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		c := heartbeat.NewConn(conn, config())
		defer c.Close()
		begin := time.Now()
		_, err := c.Read(make([]byte, 1))
		if took := time.Since(begin); err != heartbeat.ErrPeerSilent || took != 13*time.Second {
			t.Errorf("Read = %v after %v, want %v after 13s", err, took, heartbeat.ErrPeerSilent)
		}
		// No deadline of the application brings it back.
		if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Errorf("SetDeadline: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); err != heartbeat.ErrPeerSilent {
			t.Errorf("second Read = %v", err)
		}
		if _, err := c.Write([]byte{1}); err != heartbeat.ErrPeerSilent {
			t.Errorf("Write = %v", err)
		}
		b := make([]byte, 100)
		if n, err := peer.Read(b); err != nil || !bytes.Equal(b[:n], ping) {
			t.Errorf("the peer got %q, %v", b[:n], err)
		}
	})
}

// The book's lesson with a Conn: it pings once a second, allows 5 s of silence, and
// is answered once after 4 s.
func TestConnAdvancesDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, client := memnet.Pipe()
		defer client.Close()
		server := heartbeat.NewConn(conn, heartbeat.Config{Interval: time.Second, Timeout: time.Second, MaxMissed: 4, Ping: []byte("ping")})
		begin := time.Now()
		var serving sync.WaitGroup
		serving.Go(func() {
			defer server.Close()
			if got, err := io.ReadAll(server); string(got) != "PONG!!!" || err != heartbeat.ErrPeerSilent {
				t.Errorf("the server read %q, %v", got, err)
			}
		})
		b := make([]byte, 4)
		for range 4 {
			if _, err := io.ReadFull(client, b); err != nil {
				t.Error(err)
			}
		}
		if _, err := client.Write([]byte("PONG!!!")); err != nil {
			t.Error(err)
		}
		rest, err := io.ReadAll(client)
		if took := time.Since(begin); err != nil || string(rest) != "pingpingpingping" || took != 9*time.Second {
			t.Errorf("the client read %q, %v, until %v, want four pings and the end at 9s", rest, err, took)
		}
		serving.Wait()
	})
}

// Without a Ping the silence of a peer is found out all the same.
func TestConnThatOnlyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		c := heartbeat.NewConn(conn, heartbeat.Config{Interval: 10 * time.Second, Timeout: 3 * time.Second, Pong: pong, Next: next})
		defer c.Close()
		other := heartbeat.NewConn(peer, config())
		var reading sync.WaitGroup
		defer reading.Wait()
		reading.Go(func() { io.Copy(io.Discard, other) })
		ended := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		time.Sleep(time.Hour + time.Second) // the pings of the other keep it alive
		if len(ended) > 0 {
			t.Errorf("Read: %v", <-ended)
		}
		other.Close()
		if err := <-ended; err != io.EOF {
			t.Errorf("Read = %v at the end of the stream", err)
		}
	})
}

// Silence proves nothing while nobody reads.
func TestConnThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		c := heartbeat.NewConn(conn, config())
		defer c.Close()
		time.Sleep(time.Hour)
		if _, err := peer.Write(message(1)); err != nil {
			t.Error(err)
		}
		if n, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Errorf("Read = %d, %v", n, err)
		}
	})
}

// A slow reader that takes a long Write piece by piece is not accused, though no ping
// gets through; one that takes nothing is.
func TestConnWithASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		c := heartbeat.NewConn(conn, config())
		defer c.Close()
		var reading sync.WaitGroup
		defer reading.Wait()
		var readErr error
		reading.Go(func() { _, readErr = c.Read(make([]byte, 1)) })

		written := make(chan error)
		go func() {
			_, err := c.Write(make([]byte, 2<<20))
			written <- err
		}()
		for range 16 {
			time.Sleep(9 * time.Second)
			if _, err := io.CopyN(io.Discard, peer, 64<<10); err != nil {
				t.Error(err)
			}
		}
		begin := time.Now()
		err := <-written
		if took := time.Since(begin); !errors.Is(err, heartbeat.ErrPeerSilent) || took > 13*time.Second {
			t.Errorf("Write = %v %v after the peer took something", err, took)
		}
		reading.Wait()
		if readErr != heartbeat.ErrPeerSilent {
			t.Errorf("Read = %v", readErr)
		}
	})
}

// The application's own write deadline holds, before and after a ping.
func TestConnKeepsTheWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		cfg := config()
		cfg.Interval = time.Second // a ping before the deadline passes
		c := heartbeat.NewConn(conn, cfg)
		defer c.Close()
		if err := c.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		begin := time.Now()
		_, err := c.Write(make([]byte, 1<<20))
		if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, heartbeat.ErrPeerSilent) || took != 3*time.Second {
			t.Errorf("Write = %v after %v", err, took)
		}
		if err := c.SetWriteDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		var reading sync.WaitGroup
		reading.Go(func() { io.Copy(io.Discard, peer) })
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Errorf("Write after the deadline was cleared: %v", err)
		}
		c.Close()
		reading.Wait()
	})
}

// Two peers that both write for ever, and read, do not wait for each other, however
// many pings come.
func TestPingsDoNotBlockReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		c := heartbeat.NewConn(conn, config())
		fill(t, conn) // the peer does not read
		var reading sync.WaitGroup
		var got []byte
		reading.Go(func() { got, _ = io.ReadAll(c) })
		for range 100 {
			if _, err := peer.Write(append(message(10), ping...)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		drain(t, peer, len(pong)) // one answer for all that came meanwhile
		peer.Close()
		reading.Wait()
		c.Close()
		if want := bytes.Repeat(message(10), 100); !bytes.Equal(got, want) {
			t.Errorf("%d bytes were read, want %d", len(got), len(want))
		}
	})
}

// A Conn that has half-closed still reads, and sends neither pings nor pongs.
func TestConnHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		c := heartbeat.NewConn(conn, config())
		defer c.Close()
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(9 * time.Second)
			peer.Write(append(message(3), ping...))
		}()
		if got, err := io.ReadAll(c); !bytes.Equal(got, message(3)) || err != heartbeat.ErrPeerSilent {
			t.Errorf("read %q, %v", got, err)
		}
		if got, err := io.ReadAll(peer); len(got) > 0 || err != nil {
			t.Errorf("the peer read %q, %v, want the end of the stream", got, err)
		}
	})
	end, other := net.Pipe()
	defer other.Close()
	c := heartbeat.NewConn(end, heartbeat.Config{})
	defer c.Close()
	if err := c.CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseWrite of a net.Pipe: %v", err)
	}
}

func TestConnEnforces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		cfg := config()
		cfg.Enforce = &heartbeat.Enforce{MinInterval: time.Second}
		c := heartbeat.NewConn(conn, cfg)
		defer c.Close()
		var reading sync.WaitGroup
		defer reading.Wait()
		reading.Go(func() { io.Copy(io.Discard, peer) })
		flood := bytes.Repeat(ping, 3)
		if _, err := peer.Write(append(append(flood, message(0)...), bytes.Repeat(ping, 4)...)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); !bytes.Equal(got, message(0)) || err != heartbeat.ErrTooManyPings {
			t.Errorf("read %q, %v, want the data and %v", got, err, heartbeat.ErrTooManyPings)
		}
		c.Close()
	})
}

func TestConnEndsWithinAMessage(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent []byte
		want error
	}{
		{"nothing", nil, nil}, // which is what io.ReadAll makes of io.EOF
		{"after data", message(5), nil},
		{"within data", message(5)[:6], nil}, // which the application can tell
		{"after a ping", ping, nil},
		{"within a header", ping[:2], io.ErrUnexpectedEOF},
		{"within a ping", ping[:4], io.ErrUnexpectedEOF},
		{"a header without end", bytes.Repeat([]byte{'x'}, 2000), heartbeat.ErrHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, peer := memnet.Pipe()
			cfg := config()
			if tt.want == heartbeat.ErrHeader {
				cfg.Next = func([]byte) (int, heartbeat.Kind) { return 0, heartbeat.Data }
			}
			c := heartbeat.NewConn(conn, cfg)
			defer c.Close()
			go io.Copy(io.Discard, peer)
			if _, err := peer.Write(tt.sent); err != nil {
				t.Fatal(err)
			}
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(c); err != tt.want {
				t.Errorf("ReadAll = %v, want %v", err, tt.want)
			}
		})
	}
}

// A segmented is a connection whose Read returns pieces of some other lengths.
type segmented struct {
	net.Conn
	data   []byte
	random *rand.Rand
}

func (s *segmented) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+s.random.IntN(20))], s.data)
	s.data = s.data[n:]
	return n, nil
}

// However a stream is cut into reads, the same data comes out, without pings and
// pongs, and no Conn fails that does not have to.
func FuzzConn(f *testing.F) {
	f.Add([]byte("d\x00\x03abcp\x00\x02hiq\x00\x00d\x00\x00"), uint64(1)) // one of each
	f.Add([]byte("p\x00\xffcut"), uint64(2))                              // a ping that is cut
	f.Add([]byte("d\x10"), uint64(3))                                     // a header that is cut
	f.Add(append(message(3000), ping...), uint64(4))                      // longer than the header's room
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		var want []byte
		cut := false
		for rest := data; len(rest) > 0; {
			n, kind := next(rest)
			if n == 0 {
				cut = true
				break
			}
			if kind == heartbeat.Data {
				want = append(want, rest[:min(n, len(rest))]...)
			}
			cut = n > len(rest) && kind != heartbeat.Data
			rest = rest[min(n, len(rest)):]
		}
		end, peer := memnet.Pipe()
		defer peer.Close()
		conn := &segmented{end, data, rand.New(rand.NewPCG(seed, 0))}
		c := heartbeat.NewConn(conn, config())
		defer c.Close()
		got, err := io.ReadAll(c)
		if !bytes.Equal(got, want) {
			t.Errorf("read %q, want %q", got, want)
		}
		if cut && err != io.ErrUnexpectedEOF || !cut && err != nil {
			t.Errorf("the end is %v, cut is %v", err, cut)
		}
	})
}
