package sockets_test

import (
	"errors"
	"io"
	"testing"
)

// To close without reading what the client sent is no graceful end: Linux answers unread
// bytes with a reset, as RFC 2525, section 2.17, wants it, and the reset can overtake the
// answer that was written before. A server reads the request to its end, or drains it, also
// when it refuses. Other systems may end the stream as if all were well.
func TestCloseOverUnreadBytesResets(t *testing.T) {
	for _, drain := range []bool{false, true} {
		client, server, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := io.WriteString(client, "a long request"); err != nil {
			t.Fatal(err)
		}
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(make([]byte, 1)); err != nil { // so that the request is here
			t.Fatal(err)
		}
		if drain {
			if _, err := io.Copy(io.Discard, server); err != nil {
				t.Fatal(err)
			}
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		want := io.EOF
		if !drain {
			want = errReset
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, want) {
			t.Errorf("drained %v: the client sees %v, want %v", drain, err, want)
		}
	}
}
