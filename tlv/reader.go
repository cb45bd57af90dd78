package tlv

import (
	"io"
	"iter"
)

const (
	// minBuffer is what a Reader allocates first: a header that claims much
	// and an idle connection both cost this.
	minBuffer = 4608

	// growth is the factor by which a buffer grows.
	growth = 4

	// maxBuffer is how much a Reader reads ahead: 72 KiB, to hold a value of
	// 64 KiB with its header.
	maxBuffer = minBuffer * growth * growth
)

// A Reader reads records from a stream. It reads ahead, so nobody else can use
// the stream after it.
//
// After an error, [io.EOF] and a deadline between two records among them, every
// call returns that error. A Reader must be made by [NewReader], and is not safe
// for concurrent use.
type Reader struct {
	// Limit is the length in bytes of the largest value that Next accepts.
	// If zero, it is DefaultLimit. If negative, it is the format's 4 GiB - 1,
	// or 256 MiB - 1 where int has 32 bits. It must not be changed after the
	// first call to Next.
	Limit int64

	src   source
	limit uint64 // of Limit, from the first call of next on
	err   error  // the first error
	open  *Value // the streamed value that the source stands in, or nil

	// The window: buf[start:end] has arrived and is not consumed yet. The
	// buffer grows with the bytes that come, never to a length that was only
	// claimed: when it is full of one unfinished record, or when one read filled
	// half of it or more to its end, so that the source is likely to have more. A
	// quiet stream stays at minBuffer, a busy one reaches maxBuffer in two steps.
	buf        []byte
	start, end int
	busy       bool  // the last read did that
	base       int64 // offset in the stream of buf[0]
}

// NewReader returns a Reader of the records in src. It needs no bufio.Reader
// around src. If src is a connection, its deadlines hold for the Reader.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: source{r: src}}
}

// Next returns the next record. Its value is a view of the Reader's buffer,
// which the next call of any method overwrites; clone it to keep it.
//
// At the end of the stream the error is [io.EOF]. A value longer than Limit is
// a [*DecodeError] that wraps [ErrTooLarge]. The buffer grows to the largest
// value that Next has returned and stays with the Reader.
func (r *Reader) Next() (Record, error) {
	// The record is in the buffer already: the whole work for most records. That
	// i is not negative tells the compiler that it need not check the indexes.
	if b, i := r.buf[:r.end], r.start; i >= 0 && i <= len(b)-HeaderSize && r.open == nil {
		t := Type(b[i])
		size := uint64(b[i+4]) | uint64(b[i+3])<<8 | uint64(b[i+2])<<16 | uint64(b[i+1])<<24
		if t != 0 && size <= r.limit && size <= uint64(len(b)-i-HeaderSize) {
			end := i + HeaderSize + int(size)
			r.start = end
			return Record{t, b[i+HeaderSize : end : end]}, nil
		}
	}
	return r.next()
}

// next is Next for a record that is not whole in the buffer.
func (r *Reader) next() (Record, error) {
	r.limit = heldLimitOf(r.Limit)
	t, size, err := r.Peek()
	if err != nil {
		return Record{}, err
	}
	if err := check(t, uint64(size), r.limit); err != nil {
		return Record{}, r.fail(&DecodeError{Offset: r.offset(), Err: err})
	}
	end := HeaderSize + int(size)
	if err := r.fill(end); err != nil {
		return Record{}, r.fail(err)
	}
	b := r.buf[r.start:r.end]
	r.start += end
	return Record{t, b[HeaderSize:end:end]}, nil
}

// All returns an iterator over the records that are left, each as from
// [Reader.Next]: a value is valid until the next round. An error ends the
// iteration and comes as its last pair; [io.EOF] ends it in silence. A loop
// that breaks off can be taken up again by another call.
func (r *Reader) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			rec, err := r.Next()
			if err == io.EOF || !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// Peek returns the type of the next record and the length of its value in
// bytes, and leaves the record to be read by Next, Stream or Skip. The length
// is what the peer claims; Peek compares it with no limit.
func (r *Reader) Peek() (Type, int64, error) {
	if err := r.finish(); err != nil {
		return 0, 0, err
	}
	if err := r.fill(HeaderSize); err != nil {
		return 0, 0, r.fail(err)
	}
	t, size := header(r.buf[r.start:r.end])
	if t == 0 {
		return 0, 0, r.fail(&DecodeError{Offset: r.offset(), Err: ErrInvalidType})
	}
	return t, int64(size), nil
}

// Skip reads past the next record. It holds none of it, and so has no limit.
func (r *Reader) Skip() error {
	_, size, err := r.Peek()
	if err != nil {
		return err
	}
	if size <= int64(r.end-r.start-HeaderSize) {
		r.start += HeaderSize + int(size)
		return nil
	}
	if _, err := r.Stream(); err != nil {
		return err
	}
	return r.finish()
}

// offset returns where in the stream the window starts.
func (r *Reader) offset() int64 { return r.base + int64(r.start) }

// fail makes err the Reader's last word, and lets go of the buffer.
func (r *Reader) fail(err error) error {
	r.err = err
	r.buf, r.start, r.end = nil, 0, 0
	return err
}

// fill makes the window at least need bytes long. Its error is io.EOF if the
// stream ended at the start of the window.
func (r *Reader) fill(need int) error {
	for r.end-r.start < need {
		r.makeRoom(need)
		// What lies past both the record and the read-ahead stays in the
		// source, or most of a large record would be moved to the front later.
		room := r.buf[r.end:min(len(r.buf), max(r.start+need, maxBuffer))]
		n, err := r.src.read(room)
		r.end += n
		r.busy = r.end == len(r.buf) && n >= len(r.buf)/2
		switch {
		case err == io.EOF && r.end == r.start:
			return io.EOF
		case err != nil:
			return readError(r.offset(), err)
		}
	}
	return nil
}

// makeRoom makes room for at least one byte behind the window, which wants to
// become need bytes long.
func (r *Reader) makeRoom(need int) {
	size := len(r.buf)
	switch {
	case size == 0:
		size = minBuffer
	case r.end-r.start == size:
		size = min(size*growth, max(need, maxBuffer))
	case r.busy && size < maxBuffer:
		size *= growth
	case r.start < r.end && r.start+need <= size:
		return
	}
	buf := r.buf
	if size != len(buf) {
		buf = make([]byte, size)
	}
	r.end = copy(buf, r.buf[r.start:r.end])
	r.base += int64(r.start)
	r.buf, r.start = buf, 0
}
