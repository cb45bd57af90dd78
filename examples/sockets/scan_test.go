package sockets_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// write sends the pieces one after the other, and closes conn.
func write(conn net.Conn, pieces ...string) error {
	for _, piece := range pieces {
		if _, err := io.WriteString(conn, piece); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	return conn.Close()
}

// A Scanner cuts a stream into tokens: lines, or with ScanWords what white space separates,
// commas and full stops included. It reads on while a token is not complete, wherever the
// network cut the stream, which is harder than it looks to write by hand. The end of the
// stream is the end of the loop, and Err is nil then.
func Example_scanWords() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	sent := make(chan error)
	go func() { sent <- write(client, "Small pie", "ces, lo", "osely\n\t jo", "ined.") }()

	scanner := bufio.NewScanner(server)
	scanner.Split(bufio.ScanWords)
	for scanner.Scan() {
		fmt.Printf("%q\n", scanner.Text())
	}
	fmt.Println(scanner.Err(), <-sent)
	// Output:
	// "Small"
	// "pieces,"
	// "loosely"
	// "joined."
	// <nil> <nil>
}

// A peer that never sends a delimiter would fill the memory. A Scanner gives up instead:
// beyond 64 KiB, or beyond what Buffer says, which is the place for the longest token of
// one's protocol and its delimiter. There is no going on after that, since where the next
// token begins nobody knows: the connection is closed.
func Example_scanTooLong() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	sent := make(chan error)
	go func() { sent <- write(client, "fits\n", strings.Repeat("x", 100), "\nlost\n") }()

	scanner := bufio.NewScanner(server)
	scanner.Buffer(make([]byte, 0, 16), 32)
	for scanner.Scan() {
		fmt.Printf("%q\n", scanner.Text())
	}
	err = scanner.Err()
	fmt.Println(errors.Is(err, bufio.ErrTooLong), err)
	fmt.Println(<-sent)
	// Output:
	// "fits"
	// true bufio.Scanner: token too long
	// <nil>
}

// Where exactly the limits are: a line and its delimiter fit the buffer, the last one of a
// stream may come without, and has to be a byte shorter than the buffer.
func TestScanLimits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit int // 0 is the Scanner's own
		token int
		ends  string
		err   error
	}{
		{"32 fit", 32, 31, "\n", nil},
		{"33 do not", 32, 32, "\n", bufio.ErrTooLong},
		{"at the end", 32, 31, "", nil},
		{"too long at the end", 32, 32, "", bufio.ErrTooLong},
		{"64 KiB fit", 0, bufio.MaxScanTokenSize - 1, "\n", nil},
		{"one more does not", 0, bufio.MaxScanTokenSize, "\n", bufio.ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := strings.Repeat("x", tt.token)
			scanner := bufio.NewScanner(iotest.HalfReader(strings.NewReader(token + tt.ends)))
			if tt.limit != 0 {
				scanner.Buffer(nil, tt.limit)
			}
			if got := scanner.Scan(); got != (tt.err == nil) || scanner.Err() != tt.err {
				t.Fatalf("Scan: %v, %v, want %v", got, scanner.Err(), tt.err)
			}
			if tt.err == nil && scanner.Text() != token {
				t.Errorf("%d bytes, want %d", len(scanner.Text()), tt.token)
			}
		})
	}
}

// A Scanner gives the bytes after the last delimiter as a token, also when they are half a
// word that an error has cut off; only afterwards Err tells. A program that acts on
// a word at once acts on half of one. Where that does harm, a protocol needs lengths (as
// package tlv has them), or a word for the end.
func TestScanGivesAWordThatWasCutOff(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	if _, err := io.WriteString(client, "delete photos-old"[:len("delete photos")]); err != nil {
		t.Fatal(err)
	}
	var words []string
	scanner := bufio.NewScanner(server)
	scanner.Split(bufio.ScanWords)
	for scanner.Scan() {
		words = append(words, scanner.Text())
		// The rest does not come in time.
		if err := server.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"delete", "photos"}; !slices.Equal(words, want) {
		t.Errorf("the words are %q, want %q", words, want)
	}
	if err := scanner.Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Err: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}
