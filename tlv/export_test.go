package tlv

// What the tests in package tlv_test look at inside.
const (
	MinBuffer  = minBuffer
	MaxBuffer  = maxBuffer
	BufferSize = bufferSize
	VectorSize = vectorSize
	CopySize   = copySize
)

var (
	LimitOf     = limitOf
	HeldLimitOf = heldLimitOf
)

// BufferCap returns the capacity that w keeps between calls.
func (w *Writer) BufferCap() int { return cap(w.buf) }
