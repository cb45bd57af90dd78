package tftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// An Opcode is the first field of every packet (RFC 1350 section 5, RFC 2347).
type Opcode uint16

// The opcodes.
const (
	OpReadReq   Opcode = 1 // RRQ, a ReadReq
	OpWriteReq  Opcode = 2 // WRQ, a WriteReq
	OpData      Opcode = 3 // DATA, a Data
	OpAck       Opcode = 4 // ACK, an Ack
	OpError     Opcode = 5 // ERROR, an Error
	OpOptionAck Opcode = 6 // OACK, an OptionAck
)

// The modes of transfer (RFC 1350 section 1). They are compared in any case. The
// third one, mail, is obsolete and refused.
const (
	ModeOctet    = "octet"    // bytes as they are
	ModeNetascii = "netascii" // text with CR LF as the end of a line
)

const (
	headerSize = 4 // of DATA: opcode and block

	// maxRequest is the longest request or OACK in bytes (RFC 2347).
	maxRequest = 512
)

// ErrMalformed says that a packet is none of the six kinds, or not well-formed.
// Errors that match it by errors.Is say what is wrong.
var ErrMalformed = errors.New("tftp: malformed packet")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// A Packet is one of [*ReadReq], [*WriteReq], [*Data], [*Ack], [*OptionAck] and
// [*Error].
type Packet interface {
	// AppendBinary appends the packet to b, as encoding.BinaryAppender says. If
	// it fails it returns b as it was.
	AppendBinary(b []byte) ([]byte, error)

	// Opcode returns the first field of the packet.
	Opcode() Opcode
}

// Parse returns the packet that b holds. The payload of a Data is a part of b;
// all other packets own their memory. Errors match [ErrMalformed].
func Parse(b []byte) (Packet, error) {
	if len(b) < 2 {
		return nil, malformed("%d bytes", len(b))
	}
	op, rest := Opcode(binary.BigEndian.Uint16(b)), b[2:]
	switch op {
	case OpReadReq, OpWriteReq:
		if err := checkRequest(b); err != nil {
			return nil, err
		}
		r, err := parseRequest(string(b))
		if err != nil {
			return nil, err
		}
		if op == OpReadReq {
			return &r, nil
		}
		w := WriteReq(r)
		return &w, nil
	case OpData:
		if len(rest) < 2 {
			return nil, malformed("DATA of %d bytes", len(b))
		}
		return &Data{Block: binary.BigEndian.Uint16(rest), Payload: rest[2:]}, nil
	case OpAck:
		if len(rest) != 2 {
			return nil, malformed("ACK of %d bytes", len(b))
		}
		return &Ack{Block: binary.BigEndian.Uint16(rest)}, nil
	case OpError:
		e, err := parseError(b)
		if err != nil {
			return nil, err // not a nil *Error in an interface
		}
		return e, nil
	case OpOptionAck:
		o, err := parseOptionAck(b)
		if err != nil {
			return nil, err
		}
		return o, nil
	}
	return nil, malformed("opcode %d", op)
}

// A ReadReq (RRQ) asks for a file. It is at most 512 bytes long (RFC 2347).
//
//	 2 bytes   string  1   string  1   string   1   string  1
//	+--------+--------+---+-------+---+--------+---+-------+---+
//	| 1      | name   | 0 | mode  | 0 | option | 0 | value | 0 | ...
//	+--------+--------+---+-------+---+--------+---+-------+---+
type ReadReq struct {
	Name    string   // of the file, without a NUL
	Mode    string   // in any case; if empty, ModeOctet is sent
	Options []Option // in the order of the packet
}

// Opcode returns [OpReadReq].
func (*ReadReq) Opcode() Opcode { return OpReadReq }

// AppendBinary appends the packet to b. It fails if a string holds a NUL, if the
// name or the name of an option is empty, or if the packet exceeds 512 bytes.
func (r *ReadReq) AppendBinary(b []byte) ([]byte, error) {
	return appendRequest(b, OpReadReq, r)
}

// A WriteReq (WRQ) offers a file. It looks like a [ReadReq] but for the opcode,
// which is 2.
type WriteReq ReadReq

// Opcode returns [OpWriteReq].
func (*WriteReq) Opcode() Opcode { return OpWriteReq }

// AppendBinary appends the packet to b. It fails as [ReadReq.AppendBinary] does.
func (w *WriteReq) AppendBinary(b []byte) ([]byte, error) {
	return appendRequest(b, OpWriteReq, (*ReadReq)(w))
}

func appendRequest(b []byte, op Opcode, r *ReadReq) ([]byte, error) {
	mode := r.Mode
	if mode == "" {
		mode = ModeOctet
	}
	start := len(b)
	out := binary.BigEndian.AppendUint16(b, uint16(op))
	if r.Name == "" {
		return b, errors.New("tftp: request without a file name")
	}
	out, err := appendStrings(out, r.Name, mode)
	if err == nil {
		out, err = appendOptions(out, r.Options)
	}
	if err != nil {
		return b, err
	}
	if n := len(out) - start; n > maxRequest {
		return b, fmt.Errorf("tftp: request of %d bytes exceeds the limit of %d", n, maxRequest)
	}
	return out, nil
}

func appendStrings(b []byte, list ...string) ([]byte, error) {
	for _, s := range list {
		if strings.IndexByte(s, 0) >= 0 {
			return b, fmt.Errorf("tftp: NUL in %q", s)
		}
		b = append(append(b, s...), 0)
	}
	return b, nil
}

// checkRequest checks the length of a request.
func checkRequest(b []byte) error {
	if len(b) > maxRequest {
		return malformed("request of %d bytes, more than %d", len(b), maxRequest)
	}
	return nil
}

// parseRequest reads an RRQ or a WRQ. The strings of the result are parts of
// packet.
func parseRequest(packet string) (r ReadReq, err error) {
	var rest string
	var ok1, ok2 bool
	r.Name, rest, ok1 = strings.Cut(packet[2:], "\x00")
	r.Mode, rest, ok2 = strings.Cut(rest, "\x00")
	if !ok1 || !ok2 || r.Name == "" || r.Mode == "" {
		return ReadReq{}, malformed("request without name and mode")
	}
	r.Options, err = parseOptions(rest)
	return r, err
}

// A Data (DATA) is a block of a file. Blocks are numbered from 1, and 0 follows
// 65535. One that is shorter than the block size, which is 512 unless an option
// changed it, is the last.
//
//	 2 bytes   2 bytes  0 to block size
//	+--------+---------+----------------+
//	| 3      | block   | payload        |
//	+--------+---------+----------------+
type Data struct {
	Block   uint16 // its number, modulo 65536
	Payload []byte // at most the block size
}

// Opcode returns [OpData].
func (*Data) Opcode() Opcode { return OpData }

// AppendBinary appends the packet to b. It does not fail.
func (d *Data) AppendBinary(b []byte) ([]byte, error) {
	return append(appendHeader(b, OpData, d.Block), d.Payload...), nil
}

// An Ack (ACK) says that all blocks up to Block have arrived. Block 0 accepts a
// write request, or the options of an [OptionAck].
//
//	 2 bytes   2 bytes
//	+--------+---------+
//	| 4      | block   |
//	+--------+---------+
type Ack struct {
	Block uint16 // the last one in order, modulo 65536
}

// Opcode returns [OpAck].
func (*Ack) Opcode() Opcode { return OpAck }

// AppendBinary appends the packet to b. It does not fail.
func (a *Ack) AppendBinary(b []byte) ([]byte, error) {
	return appendHeader(b, OpAck, a.Block), nil
}

func appendHeader(b []byte, op Opcode, n uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, uint16(op)), n)
}

// An OptionAck (OACK) is the answer to a request with options: those that the
// server agrees to, with the values that hold (RFC 2347).
//
//	 2 bytes   string   1   string  1
//	+--------+--------+---+-------+---+
//	| 6      | option | 0 | value | 0 | ...
//	+--------+--------+---+-------+---+
type OptionAck struct {
	Options []Option // those agreed to, with the values that hold
}

// Opcode returns [OpOptionAck].
func (*OptionAck) Opcode() Opcode { return OpOptionAck }

// AppendBinary appends the packet to b. It fails as [ReadReq.AppendBinary] does.
func (o *OptionAck) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	out, err := appendOptions(binary.BigEndian.AppendUint16(b, uint16(OpOptionAck)), o.Options)
	if err != nil {
		return b, err
	}
	if n := len(out) - start; n > maxRequest {
		return b, fmt.Errorf("tftp: OACK of %d bytes exceeds the limit of %d", n, maxRequest)
	}
	return out, nil
}

func parseOptionAck(b []byte) (*OptionAck, error) {
	if len(b) > maxRequest {
		return nil, malformed("OACK of %d bytes, more than %d", len(b), maxRequest)
	}
	list, err := parseOptions(string(b[2:]))
	if err != nil {
		return nil, err
	}
	return &OptionAck{Options: list}, nil
}
