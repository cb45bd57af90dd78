package tftp_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"strings"

	"github.com/netparts/netparts/tftp"
)

// These Examples take the protocol apart, packet by packet, and put it together in the
// end: what was served is what arrived.

// The first two bytes of each packet are its opcode, and those of an ERROR are followed
// by a code that says what kind of error it is.
func ExampleCode() {
	fmt.Println(tftp.OpReadReq, tftp.OpWriteReq, tftp.OpData, tftp.OpAck, tftp.OpError, tftp.OpOptionAck)
	for code := tftp.CodeUndefined; code <= tftp.CodeOption; code++ {
		fmt.Printf("%d %v\n", uint16(code), code)
	}
	// Output:
	// 1 2 3 4 5 6
	// 0 undefined error
	// 1 file not found
	// 2 access violation
	// 3 disk full or allocation exceeded
	// 4 illegal TFTP operation
	// 5 unknown transfer ID
	// 6 file already exists
	// 7 no such user
	// 8 option negotiation refused
}

// A request is the opcode and two texts, each with a zero behind it. Without a Mode it
// asks for bytes as they are.
func ExampleReadReq() {
	b, err := (&tftp.ReadReq{Name: "test.svg"}).AppendBinary(nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", b)

	_, err = (&tftp.ReadReq{Name: "test\x00.svg"}).AppendBinary(nil)
	fmt.Println(err)
	// Output:
	// "\x00\x01test.svg\x00octet\x00"
	// tftp: NUL in "test\x00.svg"
}

// A datagram is parsed at the length that it came with. A buffer that is longer has zeros
// behind the datagram, and those would end a text that the sender has not ended.
func ExampleParse_length() {
	var buf [516]byte
	n := copy(buf[:], "\x00\x01test.svg\x00octet") // the last zero is missing
	for _, b := range [][]byte{buf[:n], []byte("\x00\x01test.svg\x00octet\x00"), []byte("\x00\x01\x00octet\x00"), {0}} {
		p, err := tftp.Parse(b)
		if req, ok := p.(*tftp.ReadReq); ok {
			fmt.Printf("%q in mode %q\n", req.Name, req.Mode)
			continue
		}
		fmt.Println(errors.Is(err, tftp.ErrMalformed), err)
	}
	// Output:
	// true tftp: malformed packet: request without name and mode
	// "test.svg" in mode "octet"
	// true tftp: malformed packet: request without name and mode
	// true tftp: malformed packet: 1 bytes
}

// A file goes out in blocks of 512 bytes. A block that is shorter is the last, so a file
// of a whole number of blocks ends in an empty one.
func ExampleData() {
	file := bytes.NewReader(make([]byte, 1024))
	payload := make([]byte, 512)
	for block := uint16(1); ; block++ {
		n, err := io.ReadFull(file, payload) // a Read alone may return less
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			log.Fatal(err)
		}
		packet, err := (&tftp.Data{Block: block, Payload: payload[:n]}).AppendBinary(nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("% x and %d bytes\n", packet[:4], len(packet)-4)
		if n < len(payload) {
			return
		}
	}
	// Output:
	// 00 03 00 01 and 512 bytes
	// 00 03 00 02 and 512 bytes
	// 00 03 00 03 and 0 bytes
}

// The payload of a block that was parsed is a part of the datagram, so whoever keeps it
// for longer than the buffer clones it.
func ExampleParse_data() {
	datagram := []byte("\x00\x03\x00\x07some bytes")
	p, err := tftp.Parse(datagram)
	if err != nil {
		log.Fatal(err)
	}
	data := p.(*tftp.Data)
	kept := bytes.Clone(data.Payload)
	copy(datagram[4:], "OTHER")
	fmt.Printf("block %d: %q, kept %q\n", data.Block, data.Payload, kept)
	// Output: block 7: "OTHERbytes", kept "some bytes"
}

// An ACK is four bytes, no more and no fewer, so that one that was cut short is not
// completed with what an earlier datagram left in the buffer.
func ExampleAck() {
	b, err := (&tftp.Ack{Block: 0x1234}).AppendBinary(nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("% x\n", b)
	for n := range len(b) + 1 {
		p, err := tftp.Parse(b[:n])
		if ack, ok := p.(*tftp.Ack); ok {
			fmt.Printf("%d bytes: block %#x\n", n, ack.Block)
		} else {
			fmt.Printf("%d bytes: %t\n", n, errors.Is(err, tftp.ErrMalformed))
		}
	}
	// Output:
	// 00 04 12 34
	// 0 bytes: true
	// 1 bytes: true
	// 2 bytes: true
	// 3 bytes: true
	// 4 bytes: block 0x1234
}

// An ERROR ends a transfer, and is never acknowledged. Its text is for people.
func ExampleError() {
	b, err := (&tftp.Error{Code: tftp.CodeNotFound, Message: "not here"}).AppendBinary(nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", b)
	// Output: "\x00\x05\x00\x01not here\x00"
}

// What a peer said is an error like any other, which means what those of package fs do.
// Its text is quoted, since the peer may have sent anything.
func ExampleError_Is() {
	p, err := tftp.Parse([]byte("\x00\x05\x00\x01\x1b[31mgone\x00"))
	if err != nil {
		log.Fatal(err)
	}
	told := p.(*tftp.Error)
	fmt.Println(told)
	fmt.Println(errors.Is(told, fs.ErrNotExist), errors.Is(told, fs.ErrPermission))
	// Output:
	// tftp: file not found: "\x1b[31mgone"
	// true false
}

// UDP has a checksum of 16 bits and TFTP has none, so that who must be certain compares
// one of the file: that of what was served with that of what arrived, which goes into a
// hash on its way.
func ExampleClient_checksum() {
	payload := []byte(strings.Repeat("Reliable UDP. ", 75352/14+1)[:75352])
	addr, stop := start(&tftp.Server{Open: tftp.Payload(payload)})
	defer stop()

	hash := sha512.New512_256()
	stats, err := (&tftp.Client{Addr: addr}).Get(context.Background(), "test.svg", hash)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Bytes, "bytes")
	fmt.Println("equal:", [sha512.Size256]byte(hash.Sum(nil)) == sha512.Sum512_256(payload))
	// Output:
	// 75352 bytes
	// equal: true
}
