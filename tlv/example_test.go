package tlv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"

	"github.com/netparts/netparts/tlv"
)

// Two programs exchange records over a connection: one writes them, the other
// ranges over what arrives.
func Example() {
	client, server := net.Pipe()
	go func() {
		defer client.Close()
		w := tlv.NewWriter(client)
		if err := w.Write(
			tlv.Record{Type: tlv.StringType, Value: []byte("Errors are values.")},
			tlv.Record{Type: tlv.BinaryType, Value: []byte{0xca, 0xfe}},
		); err != nil {
			log.Fatal(err)
		}
	}()

	defer server.Close()
	for rec, err := range tlv.NewReader(server).All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("type %d: %q\n", rec.Type, rec.Value)
	}
	// Output:
	// type 2: "Errors are values."
	// type 1: "\xca\xfe"
}

// Next is for loops that need the end of the stream as a value of its own. A
// record lives until the next call, so what is kept is cloned.
func ExampleReader_Next() {
	r := tlv.NewReader(strings.NewReader("\x01\x00\x00\x00\x01a\x01\x00\x00\x00\x01b"))
	var kept [][]byte
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		kept = append(kept, bytes.Clone(rec.Value))
	}
	fmt.Printf("%q\n", kept)
	// Output: ["a" "b"]
}

// A value that need not be in memory whole, such as a file, is streamed. Peek
// tells which records those are, Skip passes over what nobody asked for. Stream
// has no limit of its own, so a program compares the size with what it can take.
func ExampleReader_Stream() {
	const nameType, fileType, noteType = 3, 4, 5
	const maxFile = 1 << 30
	var conn bytes.Buffer
	w := tlv.NewWriter(&conn)
	if err := w.Write(
		tlv.Record{Type: nameType, Value: []byte("proverb.txt")},
		tlv.Record{Type: fileType, Value: []byte("Clear is better than clever.\n")},
		tlv.Record{Type: noteType, Value: []byte("of no interest")},
	); err != nil {
		log.Fatal(err)
	}

	r := tlv.NewReader(&conn)
	for {
		typ, size, err := r.Peek()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case typ == nameType:
			rec, err := r.Next()
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("name: %s\n", rec.Value)
		case typ == fileType && size <= maxFile:
			value, err := r.Stream()
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("file of %d bytes: ", size)
			if _, err := io.Copy(os.Stdout, value); err != nil {
				log.Fatal(err)
			}
		default:
			if err := r.Skip(); err != nil {
				log.Fatal(err)
			}
			fmt.Printf("skipped type %d\n", typ)
		}
	}
	// Output:
	// name: proverb.txt
	// file of 29 bytes: Clear is better than clever.
	// skipped type 5
}

// Many small records cost a system call each unless they are gathered. Flush
// when the peer should have them, such as at the end of a batch.
func ExampleWriter_Flush() {
	client, server := net.Pipe()
	go func() {
		defer client.Close()
		w := tlv.NewWriter(client)
		w.Buffered = true
		for i := range 1000 {
			rec := tlv.Record{Type: tlv.StringType, Value: fmt.Appendf(nil, "sample %d", i)}
			if err := w.Write(rec); err != nil {
				log.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			log.Fatal(err)
		}
	}()

	defer server.Close()
	n := 0
	for _, err := range tlv.NewReader(server).All() {
		if err != nil {
			log.Fatal(err)
		}
		n++
	}
	fmt.Println(n, "records")
	// Output: 1000 records
}

// The size stands before the value, so it must be known; the value itself may
// come from anywhere.
func ExampleWriter_Stream() {
	file := strings.NewReader("Don't panic.")
	var conn bytes.Buffer
	w := tlv.NewWriter(&conn)
	if err := w.Stream(tlv.BinaryType, file.Size(), file); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", conn.String())
	// Output: "\x01\x00\x00\x00\fDon't panic."
}

// A peer that claims too much is refused before it costs memory.
func ExampleReader_Next_limit() {
	r := tlv.NewReader(strings.NewReader("\x01\x40\x00\x00\x00"))
	r.Limit = 1 << 20
	_, err := r.Next()
	fmt.Println(errors.Is(err, tlv.ErrTooLarge))
	fmt.Println(err)
	// Output:
	// true
	// tlv: record at offset 0: value of 1073741824 bytes exceeds the limit of 1048576
}

// Payloads are for programs that want one Go type for each record type.
func ExampleDecode() {
	var conn bytes.Buffer
	text := tlv.String("Errors are values.")
	if _, err := text.WriteTo(&conn); err != nil {
		log.Fatal(err)
	}

	payload, err := tlv.Decode(&conn)
	if err != nil {
		log.Fatal(err)
	}
	switch p := payload.(type) {
	case *tlv.String:
		fmt.Printf("text: %s\n", p)
	case *tlv.Binary:
		fmt.Printf("%d bytes\n", len(*p))
	}
	// Output: text: Errors are values.
}

// Port is a record type of this program's own: a 16-bit number.
type Port uint16

// PortType is the type of Port on the wire.
const PortType tlv.Type = 3

func (p Port) Type() tlv.Type { return PortType }
func (p Port) Bytes() []byte  { return binary.BigEndian.AppendUint16(nil, uint16(p)) }
func (p Port) String() string { return fmt.Sprint(uint16(p)) }

func (p Port) WriteTo(w io.Writer) (int64, error) {
	return tlv.Record{Type: PortType, Value: p.Bytes()}.WriteTo(w)
}

func (p *Port) ReadFrom(r io.Reader) (int64, error) {
	var rec tlv.Record
	n, err := rec.ReadFrom(r)
	if err != nil {
		return n, err
	}
	return n, p.set(rec.Value)
}

func (p *Port) set(value []byte) error {
	if len(value) != 2 {
		return fmt.Errorf("port of %d bytes, want 2", len(value))
	}
	*p = Port(binary.BigEndian.Uint16(value))
	return nil
}

// A Decoder with Types knows the payloads of the application too. Each function
// checks the value, which is as the peer sent it. A record that is not taken need
// not end the stream; any other error does.
func ExampleDecoder_Decode() {
	d := tlv.Decoder{Types: map[tlv.Type]func([]byte) (tlv.Payload, error){
		PortType: func(value []byte) (tlv.Payload, error) {
			p := new(Port)
			return p, p.set(value)
		},
	}}
	conn := strings.NewReader("\x03\x00\x00\x00\x01\x50" + "\x03\x00\x00\x00\x02\x1f\x90")
	for {
		p, err := d.Decode(conn)
		var refused *tlv.DecodeError
		switch {
		case err == io.EOF:
			return
		case errors.As(err, &refused) && refused.InStep:
			fmt.Println("skipped:", err)
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Printf("%T %s\n", p, p)
		}
	}
	// Output:
	// skipped: tlv: record: port of 1 bytes, want 2
	// *tlv_test.Port 8080
}

// On byte slices, such as datagrams, nothing is copied and nothing allocated.
func ExampleParse() {
	datagram := []byte("\x02\x00\x00\x00\x02hi\x01\x00\x00\x00\x01!")
	for rest := datagram; len(rest) > 0; {
		var rec tlv.Record
		var err error
		if rec, rest, err = tlv.Parse(rest); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("type %d: %q\n", rec.Type, rec.Value)
	}
	// Output:
	// type 2: "hi"
	// type 1: "!"
}

// Records can be nested: a value may hold records of its own.
func ExampleRecord_AppendBinary() {
	inner, err := tlv.Record{Type: tlv.StringType, Value: []byte("hi")}.AppendBinary(nil)
	if err != nil {
		log.Fatal(err)
	}
	outer, err := tlv.Record{Type: 7, Value: inner}.AppendBinary(nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", outer)
	// Output: "\a\x00\x00\x00\a\x02\x00\x00\x00\x02hi"
}
