//go:build linux

package bench

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"
)

// BenchmarkEchoBulk streams through one connection, with a sender and a receiver
// side by side.
func BenchmarkEchoBulk(b *testing.B) {
	for _, network := range []string{"tcp", "unix"} {
		b.Run(network, func(b *testing.B) {
			c := newEchoContest(b, network, kindOurs, kindCopy, kindPlain)
			for b.Loop() {
				c.round(b, order{Do: "echo-stream", Network: network, Bytes: of(1<<30, 64<<20)})
			}
			c.report(b, streams)
		})
	}
}

const chunk = 256 << 10

// streamThrough sends bytes over a connection of its own, and receives them.
func streamThrough(o *order, a *answer) error {
	conn, err := net.Dial(o.Network, o.Addrs[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	file := content(chunk)
	begin := time.Now()
	sent := make(chan error, 1)
	go func() {
		var err error
		for left := o.Bytes; left > 0 && err == nil; left -= chunk {
			_, err = conn.Write(file[:min(left, chunk)])
		}
		sent <- errors.Join(err, conn.(interface{ CloseWrite() error }).CloseWrite())
	}()
	b := make([]byte, chunk)
	for err == nil {
		var n int
		n, err = conn.Read(b[:chunk-a.Done%chunk])
		if at := a.Done % chunk; !bytes.Equal(b[:n], file[at:at+n]) {
			err = errors.New("what came back differs")
		}
		a.Done += n
		if a.Done == o.Bytes {
			break
		}
	}
	a.All = time.Since(begin)
	return errors.Join(err, <-sent)
}
