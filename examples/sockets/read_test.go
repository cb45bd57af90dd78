package sockets_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"testing"
	"testing/iotest"
	"time"
)

// TCP passes on bytes, and no messages: a Read returns what has arrived, from one byte to
// the length of the buffer, whatever the sizes of the Writes were. To have a whole message
// one reads on, which io.ReadFull does; a stream that ends inside of it is
// io.ErrUnexpectedEOF, and only one that ends before it io.EOF.
func Example_readFull() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	send := func(s string) {
		if _, err := io.WriteString(client, s); err != nil {
			log.Fatal(err)
		}
	}

	b := make([]byte, 5)
	send("hel")
	n, err := server.Read(b)
	fmt.Printf("%q %v\n", b[:n], err) // b[:n], since the rest of b is old

	send("lo")
	m, err := io.ReadFull(server, b[n:])
	fmt.Printf("%q %v\n", b[:n+m], err)

	send("cut")
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
	n, err = io.ReadFull(server, b)
	fmt.Printf("%q %v\n", b[:n], err)
	n, err = io.ReadFull(server, b)
	fmt.Printf("%q %v\n", b[:n], err)
	// Output:
	// "hel" <nil>
	// "hello" <nil>
	// "cut" unexpected EOF
	// "" EOF
}

// sendRandom writes size random bytes, closes conn, and returns their hash.
func sendRandom(conn net.Conn, size int64) (sum []byte, err error) {
	defer func() { err = errors.Join(err, conn.Close()) }()
	hash := sha256.New()
	source := io.LimitReader(rand.NewChaCha8([32]byte{}), size)
	_, err = io.Copy(io.MultiWriter(conn, hash), source)
	return hash.Sum(nil), err
}

// consume reads r to its end through b, and returns how many bytes there were.
func consume(r io.Reader, b []byte, use func([]byte)) (total int64, err error) {
	for {
		n, err := r.Read(b)
		use(b[:n]) // before the look at err: a Read may return the last bytes and io.EOF at once
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Sixteen mebibytes come through a buffer of half of one: the memory that a stream takes
// is the reader's choice, and not the sender's. How many Reads it takes is nobody's.
func Example_read() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	sent := make(chan []byte)
	go func() {
		sum, err := sendRandom(client, 16<<20)
		if err != nil {
			log.Fatal(err)
		}
		sent <- sum
	}()

	hash := sha256.New()
	n, err := consume(server, make([]byte, 512<<10), func(b []byte) { hash.Write(b) }) // which never fails
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "bytes")
	fmt.Println("the same that were sent:", bytes.Equal(hash.Sum(nil), <-sent))
	// Output:
	// 16777216 bytes
	// the same that were sent: true
}

// Where a stream goes to a Writer as it is, io.Copy has the loop already, and io.EOF is its
// success. From one TCP connection to another Linux copies inside of the kernel, as long as
// neither is wrapped. io.CopyBuffer takes a buffer of the caller, and does not use it where
// an end has a method of its own, as connections do. Both copy as much as comes;
// io.LimitReader is for peers who send without end: with one byte more than is allowed, too
// much can be told from enough.
func Example_readCopy() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if _, err := sendRandom(client, 100<<10); err != nil {
			log.Fatal(err)
		}
	}()

	const limit = 64 << 10
	n, err := io.Copy(io.Discard, io.LimitReader(server, limit+1))
	fmt.Println("too much:", n > limit, err)
	n, err = io.Copy(io.Discard, server) // what is left, so that the sender ends in peace
	fmt.Println(n, err)
	<-sent
	// Output:
	// too much: true <nil>
	// 36863 <nil>
}

// What consume must cope with: Reads of one byte, of half a buffer, the last bytes together
// with io.EOF, and an error in the middle, which is neither lost nor an end.
func TestReadOfAnyShape(t *testing.T) {
	const text = "a stream of bytes"
	for _, tt := range []struct {
		name string
		r    io.Reader
		err  error
	}{
		{"one byte", iotest.OneByteReader(bytes.NewReader([]byte(text))), nil},
		{"half", iotest.HalfReader(bytes.NewReader([]byte(text))), nil},
		{"with EOF", iotest.DataErrReader(bytes.NewReader([]byte(text))), nil},
		{"an error", io.MultiReader(bytes.NewReader([]byte(text)), iotest.ErrReader(errReset)), errReset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			n, err := consume(tt.r, make([]byte, 4), func(b []byte) { got = append(got, b...) })
			if n != int64(len(text)) || string(got) != text || err != tt.err {
				t.Errorf("%d, %q, %v, want %d, %q, %v", n, got, err, len(text), text, tt.err)
			}
		})
	}
}

// Of an expired deadline consume reports the error, and what came before it.
func TestReadUntilADeadline(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	if _, err := client.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	n, err := consume(server, make([]byte, 2), func([]byte) {
		if err := server.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
	})
	timeout, ok := errors.AsType[net.Error](err)
	if n != 2 || !ok || !timeout.Timeout() {
		t.Errorf("%d, %v, want 2 bytes and a time-out", n, err)
	}
}
