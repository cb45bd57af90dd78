package tlv_test

import (
	"bytes"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/tlv"
)

// listen returns a listener whose connections must come, and end, within a
// minute.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return l
}

// accept returns the next connection.
func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Netcat sends the golden frames, as any program in any language may, and the
// Reader takes them.
func TestInteropReadsFromNetcat(t *testing.T) {
	nc := interop.Command(t, "nc", "netcat-openbsd")
	l := listen(t)
	var wire bytes.Buffer
	for _, tt := range golden {
		wire.Write(frame(t, tt.wire, tt.value))
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	cmd := exec.CommandContext(t.Context(), nc, "-N", "127.0.0.1", port)
	cmd.Stdin = &wire
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn := accept(t, l)
	r := tlv.NewReader(conn)
	for _, tt := range golden {
		if rec, err := r.Next(); err != nil || rec.Type != tt.typ || string(rec.Value) != tt.value {
			t.Errorf("%s: {%d %.20q}, %v", tt.name, rec.Type, rec.Value, err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v, want %v", err, io.EOF)
	}
	conn.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("nc: %v", err)
	}
}

// Netcat receives what the Writer sends, by one call and by vector, byte for
// byte.
func TestInteropWritesToNetcat(t *testing.T) {
	nc := interop.Command(t, "nc", "netcat-openbsd")
	l := listen(t)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	cmd := exec.CommandContext(t.Context(), nc, "-d", "127.0.0.1", port)
	var got bytes.Buffer
	cmd.Stdout = &got
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn := accept(t, l)
	var want []byte
	w := tlv.NewWriter(conn)
	for _, tt := range golden {
		want = append(want, frame(t, tt.wire, tt.value)...)
		if err := w.Write(tlv.Record{Type: tt.typ, Value: []byte(tt.value)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Stream(tlv.StringType, 5, strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	want = append(want, "\x02\x00\x00\x00\x05hello"...)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("nc: %v", err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("nc received %d bytes, want %d", got.Len(), len(want))
	}
}
