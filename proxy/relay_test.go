package proxy_test

import (
	"bytes"
	"io"
	"sync"
	"testing"

	"github.com/netparts/netparts/proxy"
)

// All that is sent both ways at once arrives, and each end of a stream.
func TestBothWays(t *testing.T) {
	sockets := []string{"tcp", "unix", "peeked", "wrapped", "tls"}
	for _, client := range sockets {
		for _, upstream := range sockets {
			t.Run(client+" to "+upstream, func(t *testing.T) {
				t.Parallel()
				size := 4 << 20
				if (client == "tcp" || client == "unix") && (upstream == "tcp" || upstream == "unix") {
					size = 32 << 20
				}
				bothWays(t, relay(t, client, upstream, nil), size)
			})
		}
	}
}

func bothWays(t *testing.T, r *rig, size int) {
	request, reply := random(size), random(size-1)
	var peers sync.WaitGroup
	for _, p := range []struct {
		conn       io.ReadWriter
		send, want []byte
	}{{r.client, request, reply}, {r.upstream, reply, request}} {
		peers.Go(func() {
			if _, err := p.conn.Write(p.send); err != nil {
				t.Error(err)
			}
			if err := p.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		peers.Go(func() {
			got, err := io.ReadAll(p.conn)
			if err != nil || !bytes.Equal(got, p.want) {
				t.Errorf("received %d bytes, %v, want %d", len(got), err, len(p.want))
			}
		})
	}
	peers.Wait()
	stats, err := r.wait()
	if want := (proxy.Stats{ToUpstream: int64(size), ToClient: int64(size - 1)}); err != nil || stats != want {
		t.Errorf("Relay = %+v, %v, want %+v", stats, err, want)
	}
}
