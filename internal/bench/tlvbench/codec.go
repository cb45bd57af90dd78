//go:build linux

package tlvbench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlv"
)

func plainEncode(w io.Writer, t tlv.Type, value []byte) error {
	if err := binary.Write(w, binary.BigEndian, uint8(t)); err != nil {
		return err
	}
	if err := binary.Write(w, binary.BigEndian, uint32(len(value))); err != nil {
		return err
	}
	_, err := w.Write(value)
	return err
}

func plainDecode(r io.Reader) ([]byte, error) {
	var t uint8
	if err := binary.Read(r, binary.BigEndian, &t); err != nil {
		return nil, err
	}
	return plainValue(r)
}

// plainValue reads what follows the type.
func plainValue(r io.Reader) ([]byte, error) {
	var size uint32
	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	if size > tlv.DefaultLimit {
		return nil, tlv.ErrTooLarge
	}
	value := make([]byte, size)
	_, err := io.ReadFull(r, value)
	return value, err
}

// A typedBinary reads its own header.
type typedBinary []byte

// ReadFrom reads a record.
func (b *typedBinary) ReadFrom(r io.Reader) (int64, error) {
	var t uint8
	if err := binary.Read(r, binary.BigEndian, &t); err != nil {
		return 0, err
	}
	value, err := plainValue(r)
	*b = value
	return int64(tlv.HeaderSize + len(value)), err
}

func typedDecode(r io.Reader) ([]byte, error) {
	var t uint8
	if err := binary.Read(r, binary.BigEndian, &t); err != nil {
		return nil, err
	}
	p := new(typedBinary)
	_, err := p.ReadFrom(io.MultiReader(bytes.NewReader([]byte{t}), r))
	return *p, err
}

// A hand is the codec by hand.
type hand struct {
	r      *bufio.Reader
	w      *bufio.Writer
	header [tlv.HeaderSize]byte
	value  []byte
}

func (h *hand) read() ([]byte, error) {
	if _, err := io.ReadFull(h.r, h.header[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(h.header[1:]))
	if n > tlv.DefaultLimit {
		return nil, tlv.ErrTooLarge
	}
	if n > cap(h.value) {
		h.value = make([]byte, n)
	}
	h.value = h.value[:n]
	_, err := io.ReadFull(h.r, h.value)
	return h.value, err
}

func (h *hand) write(t tlv.Type, value []byte) error {
	h.header[0] = byte(t)
	binary.BigEndian.PutUint32(h.header[1:], uint32(len(value)))
	if _, err := h.w.Write(h.header[:]); err != nil {
		return err
	}
	_, err := h.w.Write(value)
	return err
}

// newDecoder returns what reads one record from a connection in the way of a side, with
// so much room for reading ahead where that is a bufio.Reader's.
func newDecoder(side string, conn io.Reader, ahead int) (func() ([]byte, error), error) {
	switch side {
	case lab.Ours:
		r := tlv.NewReader(conn)
		return func() ([]byte, error) {
			rec, err := r.Next()
			return rec.Value, err
		}, nil
	case plain:
		return func() ([]byte, error) { return plainDecode(conn) }, nil
	case gathered:
		r := bufio.NewReaderSize(conn, ahead)
		return func() ([]byte, error) { return plainDecode(r) }, nil
	case byHand:
		return (&hand{r: bufio.NewReaderSize(conn, ahead)}).read, nil
	case delim:
		r := bufio.NewReaderSize(conn, ahead)
		var message wrapperspb.BytesValue
		return func() ([]byte, error) {
			err := protodelim.UnmarshalFrom(r, &message)
			return message.Value, err
		}, nil
	}
	return nil, fmt.Errorf("no codec is called %q", side)
}

// An encoder writes the same record again and again.
type encoder struct{ write, flush func() error }

// newEncoder returns what writes in the way of a side.
func newEncoder(side string, w io.Writer, value []byte) (encoder, error) {
	b := bufio.NewWriterSize(w, ahead)
	e := encoder{flush: b.Flush}
	switch side {
	case lab.Ours:
		out := tlv.NewWriter(w)
		out.Buffered = true
		e.write = func() error { return out.Write(tlv.Record{Type: tlv.BinaryType, Value: value}) }
		e.flush = out.Flush
	case plain:
		e.write = func() error { return plainEncode(w, tlv.BinaryType, value) }
	case gathered:
		e.write = func() error { return plainEncode(b, tlv.BinaryType, value) }
	case byHand:
		h := &hand{w: b}
		e.write = func() error { return h.write(tlv.BinaryType, value) }
	case delim:
		message := wrapperspb.Bytes(value)
		e.write = func() error {
			_, err := protodelim.MarshalTo(b, message)
			return err
		}
	default:
		return e, fmt.Errorf("no codec is called %q", side)
	}
	return e, nil
}

// ahead is how much a bufio.Reader reads and a bufio.Writer gathers where there is one
// connection: as much as ours does, and a message of protobuf of 64 KiB fits into it.
const ahead = 72 << 10
