package tlv_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/netparts/netparts/tlv"
)

// These Examples take the payloads apart: what each type is in bytes, and what its
// ReadFrom takes and refuses.

// Whoever handles payloads of any type needs the interface alone: what a payload is on
// the wire, and what it holds. Of the header, five bytes, the first is the type.
func ExamplePayload() {
	fmt.Println("types:", tlv.BinaryType, tlv.StringType)
	fmt.Println("limit:", tlv.DefaultLimit)
	for _, p := range []tlv.Payload{
		new(tlv.Binary("Clear is better than clever.")),
		new(tlv.String("Errors are values.")),
	} {
		fmt.Printf("type %d, %d bytes: %s\n", p.Type(), len(p.Bytes()), p)
	}
	// Output:
	// types: 1 2
	// limit: 10485760
	// type 1, 28 bytes: Clear is better than clever.
	// type 2, 18 bytes: Errors are values.
}

// A Binary is written with its type, its length in four bytes, the highest first, and
// its value. A peer in any language can read that.
func ExampleBinary_WriteTo() {
	var conn bytes.Buffer
	n, err := tlv.Binary("Don't panic.").WriteTo(&conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes: % x %q\n", n, conn.Next(tlv.HeaderSize), conn.String())
	// Output: 17 bytes: 01 00 00 00 0c "Don't panic."
}

// ReadFrom is for those who know what comes next. A record of another type is read past,
// so that the next one can be read, and its value is not mistaken for a Binary.
func ExampleBinary_ReadFrom() {
	conn := strings.NewReader("\x01\x00\x00\x00\x0cDon't panic." + "\x02\x00\x00\x00\x02hi")
	var b tlv.Binary
	n, err := b.ReadFrom(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes: %q\n", n, b)
	_, err = b.ReadFrom(conn)
	fmt.Println(err)
	fmt.Println(errors.Is(err, tlv.ErrUnexpectedType))
	// Output:
	// 17 bytes: "Don't panic."
	// tlv: record: unexpected type 2
	// true
}

// A String differs from a Binary by its first byte alone, which tells the reader what to
// make of the value.
func ExampleString_WriteTo() {
	var conn bytes.Buffer
	if _, err := tlv.String("Errors are values.").WriteTo(&conn); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("% x %q\n", conn.Next(tlv.HeaderSize), conn.String())
	// Output: 02 00 00 00 12 "Errors are values."
}

// The limit holds for each type: this peer claims 64 MiB and sends three bytes, and is
// refused after its header.
func ExampleString_ReadFrom() {
	var s tlv.String
	n, err := s.ReadFrom(strings.NewReader("\x02\x04\x00\x00\x00abc"))
	fmt.Println(n, "bytes read:", err)
	fmt.Println(errors.Is(err, tlv.ErrTooLarge))
	// Output:
	// 5 bytes read: tlv: record: value of 67108864 bytes exceeds the limit of 10485760
	// true
}

// A claim of as much as the limit is taken, of one byte more it is not. What the peer
// claims and does not send costs no memory: the buffer grows with what arrives.
func ExampleDecode_limit() {
	for _, header := range []string{
		"\x01\x40\x00\x00\x00", // 1 GiB
		"\x01\x00\xa0\x00\x01", // a byte over the limit
		"\x01\x00\xa0\x00\x00", // the limit, of which nothing comes
	} {
		_, err := tlv.Decode(strings.NewReader(header))
		fmt.Println(err)
	}
	p, err := tlv.Decode(strings.NewReader("\x01\x00\xa0\x00\x00" + strings.Repeat("x", tlv.DefaultLimit)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(p.Bytes()), "bytes")
	// Output:
	// tlv: record: value of 1073741824 bytes exceeds the limit of 10485760
	// tlv: record: value of 10485761 bytes exceeds the limit of 10485760
	// tlv: record: unexpected EOF
	// 10485760 bytes
}
