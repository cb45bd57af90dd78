package proxy

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/netparts/netparts/internal/udpio"
)

// How much is held for one session: while it is dialed, when anybody can have forged
// its datagrams, and later, if the upstream is one that sending may wait for. One
// datagram is held whatever its size.
const (
	mostHeld        = 64 // datagrams
	heldBytes       = 64 << 10
	heldBytesOpened = 1 << 20
)

// A packetQueue is datagrams that wait to be sent to the upstream, in order.
type packetQueue struct {
	direct atomic.Bool   // nothing waits, nor will
	more   chan struct{} // has an element if something was added

	mu       sync.Mutex
	messages []udpio.Message
	count    int64 // datagrams in messages
	bytes    int
	opened   bool
	closed   bool
}

// add copies ms to the end, and returns how many datagrams found no room. It reports
// false if they are to be sent directly.
func (q *packetQueue) add(ms []udpio.Message) (lost int64, ok bool) {
	if q.direct.Load() {
		return 0, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.direct.Load() {
		return 0, false
	}
	for i := range ms {
		n := countDatagrams(ms[i].Data, ms[i].Size)
		if !q.fits(n, len(ms[i].Data)) {
			lost += n
			continue
		}
		q.messages = append(q.messages, udpio.Message{Data: bytes.Clone(ms[i].Data), Size: ms[i].Size})
		q.count += n
		q.bytes += len(ms[i].Data)
	}
	select {
	case q.more <- struct{}{}:
	default: // it is there already
	}
	return lost, true
}

// fits reports whether there is room for a message. It is called under mu.
func (q *packetQueue) fits(datagrams int64, bytes int) bool {
	limit := heldBytes
	if q.opened {
		limit = heldBytesOpened
	}
	if q.count == 0 {
		return !q.closed
	}
	return !q.closed && q.count+datagrams <= mostHeld && q.bytes+bytes <= limit
}

// grow makes more room, as for an upstream that has been reached.
func (q *packetQueue) grow() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opened = true
}

// take returns all that is held, or nil. Then it ends the queue, if that is asked for:
// what comes next can be sent directly.
func (q *packetQueue) take(last bool) []udpio.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.messages) == 0 && last {
		q.direct.Store(true)
	}
	return q.empty()
}

// empty is called under mu.
func (q *packetQueue) empty() []udpio.Message {
	ms := q.messages
	q.messages, q.count, q.bytes = nil, 0, 0
	return ms
}

// close ends the queue, and returns how many datagrams were in it.
func (q *packetQueue) close() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	n := q.count
	q.empty()
	return n
}
