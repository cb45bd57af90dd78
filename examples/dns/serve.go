package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/netparts/netparts/internal/serve"
)

const (
	// maxQuery is the longest message that is read: a question has one name, of 255 bytes at most.
	maxQuery = 1024

	// maxConns is how many TCP connections there are at once; others wait to be accepted.
	maxConns = 64

	// idle is how long a TCP connection may be without a question, and an answer without being taken.
	idle = 5 * time.Second
)

// An Answerer returns the answer to a message, in at most limit bytes, or nil for none. It is
// called by several goroutines at once. [Records.Answer] is one.
type Answerer func(query []byte, limit int) []byte

// errEnded is what the loops below return after the end.
var errEnded = errors.New("dns: the server has ended")

// Serve answers what comes over UDP and over TCP, which are best at one address, until ctx
// ends. It closes both and waits for what it has started. Its error is that of a listener
// that failed, or nil after the end of ctx.
func Serve(ctx context.Context, answer Answerer, packets net.PacketConn, streams net.Listener) error {
	// The accept loop of this library waits out errors that pass, and knows what is open.
	var group serve.Group
	end := func() {
		_ = group.Close() // what fails to close fails in its loop
	}
	stop := context.AfterFunc(ctx, end)
	defer stop()
	config := serve.Config{
		Handle:   func(_ context.Context, conn net.Conn) { serveStream(conn, answer) },
		Closed:   errEnded,
		MaxConns: maxConns,
	}
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() {
		defer end() // neither serves without the other
		errs[0] = group.ServePacket(packets, config, packetStep(packets, answer))
	})
	wg.Go(func() {
		defer end()
		errs[1] = group.Serve(streams, config)
	})
	wg.Wait()
	for i, err := range errs {
		if err == errEnded {
			errs[i] = nil
		}
	}
	return errors.Join(errs[:]...)
}

// packetStep returns what answers one packet, which takes no longer than to look it up.
func packetStep(conn net.PacketConn, answer Answerer) func() error {
	b := make([]byte, maxQuery)
	return func() error {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return err
		}
		if a := answer(b[:n], maxUDP); a != nil {
			_, _ = conn.WriteTo(a, from) // whoever does not get it asks again
		}
		return nil
	}
}

// serveStream answers the questions of a connection, until there is none for a while.
func serveStream(conn net.Conn, answer Answerer) {
	for {
		if err := conn.SetDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		query, err := readMessage(conn, maxQuery)
		if err != nil {
			return
		}
		a := answer(query, 1<<16-1)
		if a == nil {
			return
		}
		b := binary.BigEndian.AppendUint16(nil, uint16(len(a)))
		if _, err := conn.Write(append(b, a...)); err != nil {
			return
		}
	}
}
