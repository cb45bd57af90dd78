package heartbeat_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/memnet"
)

// A slow is a connection whose Write takes 5 ms, of which it is not busy.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	time.Sleep(5 * time.Millisecond)
	return s.Conn.Write(p)
}

// A ping that is due while the application writes comes after that, and a peer that
// answers it, but nothing else, is not accused.
func TestPingDuringAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, end := memnet.Pipe()
		cfg := config()
		c := heartbeat.NewConn(slow{conn}, cfg)
		cfg.Interval = time.Hour // only c pings
		peer := heartbeat.NewConn(end, cfg)
		var reading sync.WaitGroup
		reading.Go(func() { io.Copy(io.Discard, peer) })
		reading.Go(func() { io.Copy(io.Discard, c) })
		for begin := time.Now(); time.Since(begin) < time.Minute; {
			if _, err := c.Write(message(1)); err != nil {
				t.Errorf("Write after %v: %v", time.Since(begin), err)
				break
			}
		}
		c.Close()
		peer.Close()
		reading.Wait()
	})
}

// A Conn that nobody reads pings once an interval, not once a Timeout, which an
// Enforce of the peer may call a flood.
func TestConnThatIsNotReadPingsOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		c := heartbeat.NewConn(conn, config())
		time.Sleep(101 * time.Second)
		c.Close()
		got, err := io.ReadAll(peer)
		if want := bytes.Repeat(ping, 10); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d pings in 101s, %v, want 10", len(got)/len(ping), err)
		}
	})
}

// A peer that vanished while nobody read is found out when somebody reads.
func TestConnThatIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		c := heartbeat.NewConn(conn, config())
		defer c.Close()
		time.Sleep(105 * time.Second)
		begin := time.Now()
		_, err := c.Read(make([]byte, 1))
		if took := time.Since(begin); err != heartbeat.ErrPeerSilent || took > 13*time.Second {
			t.Errorf("Read = %v after %v", err, took)
		}
	})
}

// Nor does silence prove anything after a Read has returned and before the next.
func TestConnThatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		c := heartbeat.NewConn(conn, config())
		defer c.Close()
		for range 2 {
			if _, err := peer.Write(message(1)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
				t.Errorf("Read: %v", err)
			}
			time.Sleep(time.Hour)
		}
	})
}

// A deadline that the application sets while a ping is being written does not cut
// that in two.
func TestDeadlineDuringAPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		fill(t, conn)
		if _, err := io.ReadFull(peer, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		cfg := config()
		cfg.Timeout = time.Minute
		c := heartbeat.NewConn(conn, cfg)
		defer c.Close()
		time.Sleep(10 * time.Second) // there is room for two bytes of the ping
		synctest.Wait()
		if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		rest := make([]byte, 64<<10-2+len(ping))
		if _, err := io.ReadFull(peer, rest); err != nil || !bytes.HasSuffix(rest, ping) {
			t.Errorf("the peer read %q at the end, %v, want a ping", rest[len(rest)-len(ping):], err)
		}
		if err := c.SetWriteDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		if _, err := c.Write(message(1)); err != nil {
			t.Errorf("Write: %v", err)
		}
	})
}
