package udpio

import (
	"math/bits"
	"sync"
)

const (
	minSlotBits  = 9  // 512 bytes
	maxSlotBits  = 16 // 64 KiB, more than any datagram and any run of them
	maxBatchBits = 10 // as many messages as the kernel reads in one call
)

// pools are sets by their length and number of slots, in powers of two, so that
// Readers of different Configs do not get what is too small for them.
var pools [maxSlotBits - minSlotBits + 1][maxBatchBits + 1]sync.Pool

// A set is what one Read needs to take datagrams in: a slot for each message,
// and what the system call takes and returns besides.
type set struct {
	pool *sync.Pool
	data []byte
	slot int // length of one slot
	scratch
}

// newSet returns a set of at least batch slots of at least length bytes.
func newSet(length, batch int) *set {
	i := max(bits.Len(uint(max(length, 1)-1)), minSlotBits)
	j := bits.Len(uint(batch - 1))
	pool := &pools[i-minSlotBits][j]
	if s, ok := pool.Get().(*set); ok {
		return s
	}
	s := &set{pool: pool, data: make([]byte, 1<<(i+j)), slot: 1 << i}
	s.link(1 << j)
	return s
}

// put gives the set back to where it is from.
func (s *set) put() { s.pool.Put(s) }

// bytes returns the first n bytes of slot i.
func (s *set) bytes(i, n int) []byte { return s.data[i*s.slot:][:n:n] }
