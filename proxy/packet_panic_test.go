package proxy_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A connection that panics ends its session, and nothing else.
func TestPacketConnectionPanics(t *testing.T) {
	packetsInMemory(t, func(r *memoryRig) {
		r.server.Dial = func(ctx context.Context, client net.Conn) (net.Conn, error) {
			conn, err := r.dial(ctx, client)
			if err == nil && client.RemoteAddr().String() == "192.0.2.2:2" {
				conn = panickingUpstream{conn.(memoryUpstream)}
			}
			return conn, err
		}
	}, func(t *testing.T, r *memoryRig) {
		bad, good := r.listen(t, "192.0.2.2:2"), r.listen(t, "192.0.2.2:3")
		packetSend(t, bad, r.addr, "ping")
		report := r.reports.next(t)
		if report.Err == nil || !strings.Contains(report.Err.Error(), "panic in connection: ouch") || report.Upstream == nil {
			t.Errorf("report %+v", report)
		}
		packetSend(t, good, r.addr, "ping")
		packetWant(t, r.upstream, "ping")
		// What fails at once is not dialed for each datagram.
		for range 10 {
			packetSend(t, bad, r.addr, "ping")
		}
		synctest.Wait()
		if got := r.dials.Load(); got != 2 {
			t.Errorf("%d dials, want 2", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		packetSend(t, bad, r.addr, "ping")
		r.reports.next(t)
	})
}

// A panickingUpstream panics when it is written to.
type panickingUpstream struct{ memoryUpstream }

func (panickingUpstream) Write([]byte) (int, error) { panic("ouch") }
