package proxy_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

// A tap sees what each direction carries, and all that holds without one holds with
// it: both directions call at the same time, and what is read is what the wrappers of
// a connection say, the plain text of TLS.
func TestTapSeesBothDirections(t *testing.T) {
	for _, kinds := range [][2]string{
		{"tcp", "tcp"},
		{"unix", "unix"},
		{"peeked", "tcp"},
		{"tls", "tcp"},
		{"tcp", "tls"},
		{"wrapped", "unix"},
	} {
		t.Run(kinds[0]+" to "+kinds[1], func(t *testing.T) {
			t.Parallel()
			const size = 1 << 20
			var seen [2]bytes.Buffer
			bothWays(t, relay(t, kinds[0], kinds[1], &proxy.Options{
				Tap: func(d proxy.Direction, b []byte) { seen[d].Write(b) },
			}), size)
			if !bytes.Equal(seen[proxy.ToUpstream].Bytes(), random(size)) {
				t.Errorf("the tap saw %d other bytes to the upstream", seen[proxy.ToUpstream].Len())
			}
			if !bytes.Equal(seen[proxy.ToClient].Bytes(), random(size-1)) {
				t.Errorf("the tap saw %d other bytes to the client", seen[proxy.ToClient].Len())
			}
		})
	}
}

// What was read before the relay began is seen too.
func TestTapSeesTheHead(t *testing.T) {
	client, a := join(t, "tcp")
	upstream, b := join(t, "tcp")
	var peers sync.WaitGroup
	peers.Go(func() { sendAll(t, client, " and tail") })
	peers.Go(func() {
		wantRest(t, upstream, "head and tail")
		upstream.Close()
	})
	var seen [2]bytes.Buffer
	_, err := proxy.Relay(t.Context(), proxy.Prepend(a, []byte("head")), b, &proxy.Options{
		Tap: func(d proxy.Direction, b []byte) { seen[d].Write(b) },
	})
	peers.Wait()
	if got := seen[proxy.ToUpstream].String(); got != "head and tail" || seen[proxy.ToClient].Len() > 0 || err != nil {
		t.Errorf("the tap saw %q, Relay: %v", got, err)
	}
}

// A tap that panics is not called again, by neither direction, and one record tells of
// it. The traffic does not notice.
func TestTapPanics(t *testing.T) {
	var log bytes.Buffer
	var calls atomic.Int64
	r := relay(t, "tcp", "unix", &proxy.Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Tap: func(proxy.Direction, []byte) {
			calls.Add(1)
			panic("boom")
		},
	})
	for _, conn := range []net.Conn{r.client, r.upstream} {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	for range 3 {
		if _, err := io.WriteString(r.client, "ping"); err != nil {
			t.Fatal(err)
		}
		wantRead(t, r.upstream, "ping")
		if _, err := io.WriteString(r.upstream, "pong"); err != nil {
			t.Fatal(err)
		}
		wantRead(t, r.client, "pong")
	}
	closeWrite(t, r.client)
	closeWrite(t, r.upstream)
	if stats, err := r.wait(); err != nil || stats != (proxy.Stats{ToUpstream: 12, ToClient: 12}) {
		t.Errorf("Relay = %+v, %v", stats, err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("the tap was called %d times", n)
	}
	if n := strings.Count(log.String(), "panic in tap"); n != 1 || !strings.Contains(log.String(), `direction="to upstream" panic=boom`) {
		t.Errorf("%d records:\n%s", n, &log)
	}
}

// Both directions may be in the tap when it panics. One record is enough.
func TestTapPanicsInBothDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, a := memnet.Pipe()
		upstream, b := memnet.Pipe()
		var log bytes.Buffer
		both := make(chan struct{})
		ended := make(chan error)
		go func() {
			_, err := proxy.Relay(t.Context(), a, b, &proxy.Options{
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
				Tap: func(proxy.Direction, []byte) {
					<-both
					panic("boom")
				},
			})
			ended <- err
		}()
		for _, conn := range []net.Conn{client, upstream} {
			if _, err := io.WriteString(conn, "text"); err != nil {
				t.Error(err)
			}
			closeWrite(t, conn)
		}
		synctest.Wait()
		close(both)
		wantRest(t, client, "text")
		wantRest(t, upstream, "text")
		if err := <-ended; err != nil || strings.Count(log.String(), "panic in tap") != 1 {
			t.Errorf("Relay: %v, with the records\n%s", err, &log)
		}
		client.Close()
		upstream.Close()
	})
}

// A slow sink delays nothing with a Queue, and the traffic without one. Either way
// every byte arrives.
func TestMonitorAsATap(t *testing.T) {
	for _, queue := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			client, a := memnet.Pipe()
			upstream, b := memnet.Pipe()
			g := &gate{open: make(chan struct{})}
			m := &proxy.Monitor{Out: g, Queue: queue}
			ended := make(chan error)
			go func() {
				_, err := proxy.Relay(t.Context(), a, b, &proxy.Options{Tap: m.Tap("conn")})
				ended <- err
			}()
			arrived := false
			go func() {
				wantRead(t, upstream, "ping\n")
				arrived = true
			}()
			if _, err := io.WriteString(client, "ping\n"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if arrived != (queue > 0) {
				t.Errorf("with a Queue of %d: arrived = %v beside a stuck sink", queue, arrived)
			}
			close(g.open)
			synctest.Wait()
			if _, err := io.WriteString(upstream, "pong"); err != nil {
				t.Error(err)
			}
			wantRead(t, client, "pong")
			client.Close()
			upstream.Close()
			if err := <-ended; err != nil {
				t.Errorf("Relay: %v", err)
			}
			m.Close()
			if want := "conn> ping\nconn< pong\n"; g.String() != want {
				t.Errorf("the monitor wrote %q, want %q", g.String(), want)
			}
		})
	}
}

// A server asks for a tap for each client. None is needed, and a panic of the asking
// ends that connection alone.
func TestServerTap(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]string{} // by address of the client and direction
	turn := 0
	var reports []proxy.Report
	upstream := acceptEach(t, func(conn net.Conn) error {
		_ = answerPing(conn) // one is reset
		conn.Close()
		return nil
	})
	s := &proxy.Server{
		Dial: proxy.To("tcp", upstream.String()),
		Tap: func(client net.Conn) func(proxy.Direction, []byte) {
			turn++
			switch turn {
			case 1:
				return nil
			case 2:
				panic("boom")
			}
			return func(d proxy.Direction, b []byte) {
				mu.Lock()
				defer mu.Unlock()
				seen[client.RemoteAddr().String()+" "+d.String()] += string(b)
			}
		},
		Report: func(r proxy.Report) { reports = append(reports, r) },
	}
	want := map[string]string{}
	for i := range 4 { // one after the other
		client, served := join(t, "tcp")
		client.SetDeadline(time.Now().Add(20 * time.Second))
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := s.ServeConn(context.Background(), served); err != nil {
				t.Errorf("ServeConn: %v", err)
			}
		})
		if i == 1 {
			if n, err := client.Read(make([]byte, 8)); err == nil {
				t.Errorf("the client without a tap got %d bytes", n)
			}
		} else {
			if _, err := io.WriteString(client, "ping"); err != nil {
				t.Fatal(err)
			}
			wantRead(t, client, "pong")
		}
		if addr := client.LocalAddr().String(); i >= 2 {
			want[addr+" to upstream"], want[addr+" to client"] = "ping", "pong"
		}
		client.Close()
		serving.Wait()
		if err := reports[i].Err; (err != nil) != (i == 1) || i == 1 && !strings.Contains(err.Error(), "panic in Tap: boom") {
			t.Errorf("connection %d is reported with %v", i, err)
		}
	}
	for key, bytes := range want {
		if seen[key] != bytes {
			t.Errorf("%s: the tap saw %q, want %q", key, seen[key], bytes)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("the taps saw %v", seen)
	}
}
