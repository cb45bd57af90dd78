package tftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// maxWindowBytes bounds the data of one window, whatever is asked for.
	maxWindowBytes = 512 << 10

	// maxRun is how many packets are handed to the network in one piece, and
	// maxRunBytes how long that is: what one datagram of a kernel that splits
	// it can hold.
	maxRun      = 64
	maxRunBytes = 65507
)

// blocks are the DATA packets of a file.
type blocks interface {
	// packets returns packets of consecutive blocks from first on, at least
	// one and none after end, in one piece, and how many they are. They are
	// valid until release.
	packets(first, end int64) (b []byte, n int64, err error)
	release()

	// acked says that no block up to this one is asked for again.
	acked(block int64)

	// last returns the number of the last block, as far as it is known, and
	// total then the bytes of the file.
	last() (int64, bool)
	total() int64
}

// newBlocks returns the blocks of r, of which c is known. It is read at random if
// that can be done, so that nothing need be kept for being sent again.
func newBlocks(r io.Reader, c content, blockSize, window int) blocks {
	if c.at != nil {
		return &fileBlocks{content: c, blockSize: int64(blockSize)}
	}
	return &streamBlocks{r: r, blockSize: blockSize, window: window}
}

// runLength is how many packets make a run.
func runLength(blockSize int64) int64 {
	return max(1, min(maxRun, maxRunBytes/(blockSize+headerSize)))
}

func putHeader(b []byte, block int64) {
	binary.BigEndian.PutUint16(b, uint16(OpData))
	binary.BigEndian.PutUint16(b[2:], uint16(block))
}

// A run is memory for the packets that are sent at once. It is held only while
// they are put together and sent.
type run [maxRunBytes]byte

var runs = sync.Pool{New: func() any { return new(run) }}

// fileBlocks are the blocks of something that can be read at random.
type fileBlocks struct {
	content
	blockSize int64
	run       *run
}

func (f *fileBlocks) last() (int64, bool) { return f.size/f.blockSize + 1, true }
func (f *fileBlocks) total() int64        { return f.size }
func (f *fileBlocks) acked(int64)         {}

// packets reads the data of all packets at once, into the end of the run, and
// moves it apart from the front to make room for the headers.
func (f *fileBlocks) packets(first, end int64) ([]byte, int64, error) {
	final, _ := f.last()
	n := min(end, final) - first + 1
	n = min(n, runLength(f.blockSize))
	offset := (first - 1) * f.blockSize
	data := min(n*f.blockSize, f.size-offset)

	f.run = runs.Get().(*run)
	b := f.run[:n*headerSize+data]
	if err := f.readAt(b[n*headerSize:], offset); err != nil {
		f.release()
		return nil, 0, err
	}
	for i := range n {
		from := n*headerSize + i*f.blockSize
		to := i * (headerSize + f.blockSize)
		putHeader(b[to:], first+i)
		copy(b[to+headerSize:], b[from:min(from+f.blockSize, int64(len(b)))])
	}
	return b, n, nil
}

func (f *fileBlocks) readAt(b []byte, offset int64) error {
	n, err := f.at.ReadAt(b, f.start+offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("tftp: file of %d bytes: read at %d: %w", f.size, offset+int64(n), err)
}

func (f *fileBlocks) release() {
	if f.run != nil {
		runs.Put(f.run)
		f.run = nil
	}
}

// streamBlocks are the blocks of something that can be read only once. A window
// of them is kept, in a ring that grows with what is read.
type streamBlocks struct {
	r         io.Reader
	blockSize int
	window    int
	ring      []byte
	slots     int64
	kept      int64 // all after this block are in the ring
	read      int64 // up to this block
	bytes     int64
	ended     bool // read is the last block
}

func (s *streamBlocks) last() (int64, bool) { return s.read, s.ended }
func (s *streamBlocks) total() int64        { return s.bytes }
func (s *streamBlocks) acked(block int64)   { s.kept = block }
func (s *streamBlocks) release()            {}

func (s *streamBlocks) packets(first, end int64) ([]byte, int64, error) {
	for s.read < end && !s.ended {
		if err := s.readBlock(); err != nil {
			return nil, 0, err
		}
	}
	end = min(end, s.read)
	slot := first % s.slots
	n := min(end-first+1, s.slots-slot, runLength(int64(s.blockSize)))
	size := int64(s.blockSize) + headerSize
	b := s.ring[slot*size : (slot+n)*size]
	if s.ended && first+n-1 == s.read {
		b = b[:int64(len(b))-int64(s.blockSize)+s.bytes%int64(s.blockSize)]
	}
	return b, n, nil
}

// readBlock reads one block into the ring.
func (s *streamBlocks) readBlock() error {
	if s.read-s.kept == s.slots {
		s.grow()
	}
	size := s.blockSize + headerSize
	slot := int((s.read + 1) % s.slots)
	b := s.ring[slot*size : (slot+1)*size]
	putHeader(b, s.read+1)
	n, err := readBlock(s.r, b[headerSize:])
	s.bytes += int64(n)
	if err == io.EOF {
		s.ended = true
	} else if err != nil {
		return err
	}
	s.read++
	return nil
}

// readBlock reads until b is full. Unlike io.ReadFull it tells the end of r from
// an io.ErrUnexpectedEOF that r returns because it was cut off.
func readBlock(r io.Reader, b []byte) (int, error) {
	n := 0
	for idle := 0; n < len(b); {
		m, err := r.Read(b[n:])
		n += m
		if err == io.EOF && n == len(b) {
			return n, nil // the end comes with the next block
		}
		if err != nil {
			return n, err
		}
		if idle++; m > 0 {
			idle = 0
		}
		if idle == 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// grow doubles the ring.
func (s *streamBlocks) grow() {
	size := int64(s.blockSize) + headerSize
	slots := min(max(2*s.slots, 4096/size, 1), int64(s.window))
	ring := make([]byte, slots*size)
	for n := s.kept + 1; n <= s.read; n++ {
		from, to := n%s.slots*size, n%slots*size
		copy(ring[to:to+size], s.ring[from:from+size])
	}
	s.ring, s.slots = ring, slots
}
