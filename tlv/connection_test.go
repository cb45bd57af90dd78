package tlv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlv"
)

// A value that a single Read cannot fill arrives whole, and a large one goes to
// the kernel from where it is.
func TestLargePayloadOverTCP(t *testing.T) {
	client, server := tcpPair(t)
	want := tlv.Binary(strings.Repeat("x", 8<<20))
	received := make(chan error, 1)
	got := make([]byte, tlv.HeaderSize+len(want))
	go func() {
		_, err := io.ReadFull(server, got)
		if err == nil && !bytes.Equal(got[tlv.HeaderSize:], want) {
			err = errors.New("the value differs")
		}
		received <- err
	}()
	cost := allocated(func() {
		if n, err := want.WriteTo(client); n != int64(tlv.HeaderSize+len(want)) || err != nil {
			t.Errorf("WriteTo = %d, %v", n, err)
		}
	})
	if err := <-received; err != nil {
		t.Error(err)
	}
	if cost > uint64(len(want))/2 {
		t.Errorf("sending %d bytes cost %d: the value was copied", len(want), cost)
	}

	sent := make(chan error, 1)
	go func() {
		_, err := want.WriteTo(client)
		sent <- err
	}()
	p, err := tlv.Decode(server)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := p.(*tlv.Binary); !ok || !bytes.Equal(*got, want) {
		t.Errorf("decoded a %T of %d bytes that differs", p, len(p.Bytes()))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Writers know the connections that take a vector, and copy for the others only.
func TestLargeValuesAreNotCopiedForSockets(t *testing.T) {
	client, server := tcpPair(t)
	go io.Copy(io.Discard, server)
	large := tlv.Record{Type: 1, Value: make([]byte, tlv.VectorSize)}
	for _, tt := range []struct {
		name   string
		conn   net.Conn
		copied bool
	}{
		{"tcp", client, false},
		{"wrapped", struct{ net.Conn }{client}, true},
	} {
		w := tlv.NewWriter(tt.conn)
		if err := w.Write(large); err != nil {
			t.Fatal(err)
		}
		if copied := w.BufferCap() >= tlv.VectorSize; copied != tt.copied {
			t.Errorf("%s: the Writer's buffer has %d bytes", tt.name, w.BufferCap())
		}
	}
}

func TestVectorWriteToAClosedConnection(t *testing.T) {
	client, server := tcpPair(t)
	server.Close()
	client.Close()
	large := tlv.Record{Type: 1, Value: make([]byte, tlv.VectorSize)}
	w := tlv.NewWriter(client)
	if err := w.Write(large); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %v, want %v", err, net.ErrClosed)
	}
	if _, err := large.WriteTo(client); !errors.Is(err, net.ErrClosed) {
		t.Errorf("WriteTo: %v, want %v", err, net.ErrClosed)
	}
}

// The records of one call stay together, whoever else writes.
func TestRecordsOfOneCallStayTogether(t *testing.T) {
	const writers, each = 8, 500
	client, server := tcpPair(t)
	w := tlv.NewWriter(client)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			a := tlv.Record{Type: tlv.Type(i + 1), Value: make([]byte, 100)}
			b := tlv.Record{Type: tlv.Type(i + 101), Value: make([]byte, tlv.VectorSize)}
			for range each {
				if err := w.Write(a, b, a); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	go func() {
		wg.Wait()
		client.Close()
	}()
	var types []tlv.Type
	for rec, err := range tlv.NewReader(server).All() {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, rec.Type)
	}
	if len(types) != writers*each*3 {
		t.Fatalf("%d records, want %d", len(types), writers*each*3)
	}
	for i := 0; i < len(types); i += 3 {
		if types[i+1] != types[i]+100 || types[i+2] != types[i] {
			t.Fatalf("types %v in a row", types[i:i+3])
		}
	}
}

// A deadline of the connection ends a Write that waits for the peer.
func TestDeadlineOfTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe()
		defer client.Close()
		defer server.Close()
		if err := client.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		w := tlv.NewWriter(client)
		start := time.Now()
		err := w.Write(tlv.Record{Type: 1, Value: make([]byte, 1<<20)})
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("Write: %v after %v, want %v after a minute", err, time.Since(start), os.ErrDeadlineExceeded)
		}
	})
}

// Unix sockets take vectors too, and TLS connections do not.
func TestOtherConnections(t *testing.T) {
	t.Run("unix", func(t *testing.T) {
		folder, err := os.MkdirTemp("", "tlv") // t.TempDir may be too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		l, err := net.Listen("unix", filepath.Join(folder, "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, client, server)
	})
	t.Run("wrapped", func(t *testing.T) {
		client, server := tcpPair(t)
		exchange(t, struct{ net.Conn }{client}, struct{ net.Conn }{server})
	})
	t.Run("memnet", func(t *testing.T) {
		client, server := memnet.Pipe()
		exchange(t, client, server)
	})
}

// exchange sends records of all kinds through a connection.
func exchange(t *testing.T, client, server net.Conn) {
	t.Helper()
	defer server.Close()
	large := strings.Repeat("large ", 50_000)
	sent := make(chan error, 1)
	go func() {
		w := tlv.NewWriter(client)
		sent <- errors.Join(
			w.Write(rec(1, "small"), rec(2, large), rec(3, "")),
			w.Stream(4, int64(len(large)), strings.NewReader(large)),
			client.Close(),
		)
	}()
	got, err := drain(tlv.NewReader(server))
	if want := "1:small 2:" + large + " 3: 4:" + large; err != nil || got != want {
		t.Errorf("%d bytes arrived, %v, want %d", len(got), err, len(want))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestConcurrentRecordsNeverMix(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		t.Run(fmt.Sprintf("buffered=%v", buffered), func(t *testing.T) {
			const writers, each = 16, 200
			client, server := tcpPair(t)
			w := tlv.NewWriter(client)
			w.Buffered = buffered
			var wg sync.WaitGroup
			for i := range writers {
				wg.Go(func() {
					value := bytes.Repeat([]byte{byte(i)}, 100*i)
					for n := range each {
						var err error
						if n%10 == 0 {
							err = w.Stream(tlv.Type(i+1), int64(len(value)), bytes.NewReader(value))
						} else {
							r := tlv.Record{Type: tlv.Type(i + 1), Value: value}
							err = w.Write(r, r)
						}
						if err == nil && n%50 == 0 {
							err = w.Flush()
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			done := make(chan error, 1)
			go func() {
				wg.Wait()
				done <- errors.Join(w.Flush(), client.Close())
			}()
			count := 0
			for rec, err := range tlv.NewReader(server).All() {
				if err != nil {
					t.Fatal(err)
				}
				i := int(rec.Type) - 1
				if !bytes.Equal(rec.Value, bytes.Repeat([]byte{byte(i)}, 100*i)) {
					t.Fatalf("record of type %d is torn", rec.Type)
				}
				count++
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if want := writers * (each/10 + (each-each/10)*2); count != want {
				t.Errorf("%d records, want %d", count, want)
			}
		})
	}
}

func TestDeadlineIsRecognised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		if err := server.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, err := tlv.NewReader(server).Next()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Next: %v, want %v", err, os.ErrDeadlineExceeded)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
	})
}

// tcpPair returns the two ends of a loopback connection.
func tcpPair(tb testing.TB) (client, server net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { server.Close() })
	if t, ok := tb.(*testing.T); ok { // so that a fault fails, rather than hangs
		deadline := time.Now().Add(time.Minute)
		if err := errors.Join(client.SetDeadline(deadline), server.SetDeadline(deadline)); err != nil {
			t.Fatal(err)
		}
	}
	return client, server
}

// On TCP a file goes out by the kernel; the bytes must be the same.
func TestStreamAFileOverTCP(t *testing.T) {
	want := strings.Repeat("0123456789", 50_000)
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	client, server := tcpPair(t)
	sent := make(chan error, 1)
	go func() {
		w := tlv.NewWriter(client)
		err := w.Stream(7, int64(len(want)), f)
		if got := w.BufferCap(); got >= tlv.CopySize {
			err = errors.Join(err, fmt.Errorf("the file passed through a buffer of %d bytes", got))
		}
		sent <- errors.Join(err, w.Write(rec(2, "after")), client.Close())
	}()
	r := tlv.NewReader(server)
	v, err := r.Stream()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(v); err != nil || string(got) != want {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
	if got, err := drain(r); err != nil || got != "2:after" {
		t.Errorf("rest is %q, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
