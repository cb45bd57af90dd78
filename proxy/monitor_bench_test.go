package proxy_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/netparts/netparts/proxy"
)

// BenchmarkMonitor writes pieces of 16 KiB down: lines of text, and bytes that are
// escaped.
func BenchmarkMonitor(b *testing.B) {
	for name, piece := range map[string][]byte{
		"text":   []byte(strings.Repeat(strings.Repeat("x", 63)+"\n", 256)),
		"umlaut": []byte(strings.Repeat(strings.Repeat("ü", 31)+".\n", 256)),
		"binary": random(16 << 10),
	} {
		b.Run(name, func(b *testing.B) {
			m := proxy.Monitor{Out: io.Discard}
			w := m.Writer("in: ")
			b.SetBytes(int64(len(piece)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Write(piece); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTap relays 1 MiB at a time between TCP connections, with and without
// somebody who looks on.
func BenchmarkTap(b *testing.B) {
	lines := bytes.Repeat([]byte(strings.Repeat("x", 63)+"\n"), 16<<10)
	direct := &proxy.Monitor{Out: io.Discard}
	queued := &proxy.Monitor{Out: io.Discard, Queue: 64}
	defer queued.Close()
	for _, bench := range []struct {
		name string
		tap  func(proxy.Direction, []byte)
	}{
		{"none", nil},
		{"empty", func(proxy.Direction, []byte) {}},
		{"monitor", direct.Tap("conn")},
		{"queue", queued.Tap("conn")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			near, client := tcpPair(b)
			far, upstream := tcpPair(b)
			ended := make(chan error, 2)
			go func() {
				_, err := proxy.Relay(b.Context(), client, upstream, &proxy.Options{Tap: bench.tap})
				ended <- err
			}()
			go func() {
				_, err := io.Copy(io.Discard, far)
				far.Close()
				ended <- err
			}()
			b.SetBytes(int64(len(lines)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := near.Write(lines); err != nil {
					b.Fatal(err)
				}
			}
			near.Close()
			for range cap(ended) {
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// tcpPair returns the two ends of a connection.
func tcpPair(b *testing.B) (near, far net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return near, far
}

// BenchmarkMultiWriter writes lines to three sinks.
func BenchmarkMultiWriter(b *testing.B) {
	w := proxy.MultiWriter(io.Discard, io.Discard, io.Discard)
	line := []byte(strings.Repeat("x", 63) + "\n")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(line); err != nil {
			b.Fatal(err)
		}
	}
}
