package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/netparts/netparts/proxy"
)

func TestMonitorLines(t *testing.T) {
	full := strings.Repeat("x", 1024)
	tests := []struct {
		name, in string
		want     []string
	}{
		{"a line", "Test\n", []string{"Test"}},
		{"two lines", "one\ntwo\n", []string{"one", "two"}},
		{"empty lines", "\n\n", []string{"", ""}},
		{"no newline", "Test", []string{"Test"}},
		{"no newline at the end", "one\ntwo", []string{"one", "two"}},
		{"carriage return", "one\r\n", []string{`one\r`}},
		{"control characters", "\x00\a\t\x1b[31m\x7f\n", []string{`\x00\a\t\x1b[31m\x7f`}},
		{"a quote", "\"\n", []string{`\"`}},
		{"quotes", "\"'`\\\n", []string{"\\\"'`\\\\"}},
		{"text", "Grüße, 世界\n", []string{"Grüße, 世界"}},
		{"characters that turn the line", "a\u202eb\u2028c\ufeff\n", []string{`a\u202eb\u2028c\ufeff`}},
		{"invalid UTF-8", "a\xffb\xe4\xb8\n", []string{`a\xffb\xe4\xb8`}},
		{"1024 bytes", full + "\n", []string{full}},
		{"1025 bytes", full + "y\n", []string{full, "y"}},
		{"2049 bytes", full + full + "y", []string{full, full, "y"}},
		{"a character across the border", full[1:] + "ßy\n", []string{full[1:], "ßy"}},
		{"four bytes across the border", full[3:] + "😀\n", []string{full[3:], "😀"}},
		{"no text across the border", strings.Repeat("\x80", 1030), []string{
			strings.Repeat(`\x80`, 1024), strings.Repeat(`\x80`, 6),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			m := proxy.Monitor{Out: &b}
			if n, err := m.Writer("in: ").Write([]byte(tt.in)); n != len(tt.in) || err != nil {
				t.Errorf("Write = %d, %v, want %d", n, err, len(tt.in))
			}
			want := "in: " + strings.Join(tt.want, "\nin: ") + "\n"
			if b.String() != want {
				t.Errorf("it became %.2000q, want %.2000q", b.String(), want)
			}
		})
	}
}

// Each piece is one call, and an empty one none.
func TestMonitorWritesOncePerPiece(t *testing.T) {
	var calls []string
	m := proxy.Monitor{Out: sinkFunc(func(b []byte) (int, error) {
		calls = append(calls, string(b))
		return len(b), nil
	})}
	w := m.Writer("")
	for _, piece := range []string{"a\nb\n", "", "c"} {
		if n, err := io.WriteString(w, piece); n != len(piece) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	if want := []string{"a\nb\n", "c\n"}; !slices.Equal(calls, want) {
		t.Errorf("the sink got %q, want %q", calls, want)
	}
}

// A name that the client tells cannot make lines of its own.
func TestMonitorTapNames(t *testing.T) {
	var b bytes.Buffer
	m := proxy.Monitor{Out: &b}
	tap := m.Tap("@a\nb")
	tap(proxy.ToUpstream, []byte("ping"))
	tap(proxy.ToClient, []byte("pong"))
	if want := "@a\\nb> ping\n@a\\nb< pong\n"; b.String() != want {
		t.Errorf("the tap wrote %q, want %q", b.String(), want)
	}
}

// Whatever is wrong with the sink is counted, and Write does not tell of it. The next
// piece is tried again.
func TestMonitorCountsWhatFails(t *testing.T) {
	tests := []struct {
		name string
		out  io.Writer
	}{
		{"error", sinkFunc(func(b []byte) (int, error) { return len(b), errors.New("broken") })},
		{"short write", sinkFunc(func(b []byte) (int, error) { return len(b) - 1, nil })},
		{"panic", sinkFunc(func([]byte) (int, error) { panic("boom") })},
		{"no sink", nil},
	}
	for _, tt := range tests {
		for _, queue := range []int{0, 4} {
			t.Run(fmt.Sprint(tt.name, ", queue of ", queue), func(t *testing.T) {
				m := proxy.Monitor{Out: tt.out, Queue: queue}
				w := m.Writer("in: ")
				for range 3 {
					if n, err := io.WriteString(w, "text\n"); n != 5 || err != nil {
						t.Errorf("Write = %d, %v", n, err)
					}
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				if m.Failed() != 3 || m.Dropped() != 0 {
					t.Errorf("Failed = %d, Dropped = %d, want 3 and 0", m.Failed(), m.Dropped())
				}
			})
		}
	}
}

// A sink that fails now and then loses only what it failed on.
func TestMonitorGoesOnAfterAFailure(t *testing.T) {
	var b bytes.Buffer
	calls := 0
	m := proxy.Monitor{Out: sinkFunc(func(p []byte) (int, error) {
		if calls++; calls == 2 {
			panic("boom")
		}
		return b.Write(p)
	})}
	for _, piece := range []string{"one", "two", "three"} {
		io.WriteString(m.Writer(""), piece)
	}
	if b.String() != "one\nthree\n" || m.Failed() != 1 {
		t.Errorf("the sink has %q, and Failed = %d", b.String(), m.Failed())
	}
}

// A gate is a sink that takes nothing until it is opened.
type gate struct {
	open chan struct{}
	bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	return g.Buffer.Write(b)
}

// Without a queue the traffic waits for a slow sink, and nothing is lost.
func TestMonitorWithoutQueueWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		m := proxy.Monitor{Out: g}
		written := false
		go func() {
			io.WriteString(m.Writer(""), "text")
			written = true
		}()
		synctest.Wait()
		if written {
			t.Error("Write did not wait for the sink")
		}
		close(g.open)
		synctest.Wait()
		if !written || g.String() != "text\n" || m.Dropped() != 0 {
			t.Errorf("written: %v, the sink has %q, Dropped = %d", written, g.String(), m.Dropped())
		}
	})
}

// With a queue nothing waits for a slow sink. What it has no room for is counted, and
// Close waits for what it has.
func TestMonitorWithQueueDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		m := proxy.Monitor{Out: g, Queue: 3}
		b := []byte("0\n")
		for i := range byte(10) {
			b[0] = '0' + i // the queue must not share it
			m.Writer("").Write(b)
			synctest.Wait() // the sink has the first
		}
		if m.Dropped() != 6 {
			t.Errorf("Dropped = %d, want 6", m.Dropped())
		}
		closed := false
		go func() {
			m.Close()
			closed = true
		}()
		synctest.Wait()
		if closed {
			t.Error("Close did not wait for the queue")
		}
		io.WriteString(m.Writer(""), "late") // does not wait either
		close(g.open)
		synctest.Wait()
		if !closed || g.String() != "0\n1\n2\n3\n" || m.Dropped() != 7 || m.Failed() != 0 {
			t.Errorf("closed: %v, the sink has %q, Dropped = %d, Failed = %d", closed, g.String(), m.Dropped(), m.Failed())
		}
	})
}

// What comes after Close is dropped, whether there is a queue or not, and whether
// anything came before.
func TestMonitorAfterClose(t *testing.T) {
	for _, queue := range []int{-1, 0, 2} {
		for _, before := range []string{"", "before"} {
			t.Run(fmt.Sprintf("queue of %d, %q before", queue, before), func(t *testing.T) {
				var b bytes.Buffer
				m := proxy.Monitor{Out: &b, Queue: queue}
				io.WriteString(m.Writer(""), before)
				for range 2 {
					if err := m.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
				if n, err := io.WriteString(m.Writer(""), "after"); n != 5 || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
				if strings.TrimSpace(b.String()) != before || m.Dropped() != 1 {
					t.Errorf("the sink has %q, Dropped = %d", b.String(), m.Dropped())
				}
			})
		}
	}
}

// Each piece is written, dropped or failed, once, whatever happens at the same time.
func TestMonitorClosedWhileWritten(t *testing.T) {
	const writers, pieces = 8, 200
	for _, queue := range []int{0, 16} {
		t.Run(fmt.Sprint("queue of ", queue), func(t *testing.T) {
			calls, lines := 0, int64(0)
			m := proxy.Monitor{Queue: queue, Out: sinkFunc(func(b []byte) (int, error) {
				if calls++; calls%10 == 0 {
					return 0, io.ErrShortWrite
				}
				if string(b) != "in: text\n" {
					t.Errorf("the sink got %q", b)
				}
				lines++
				return len(b), nil
			})}
			var using sync.WaitGroup
			for range writers {
				using.Go(func() {
					for range pieces {
						io.WriteString(m.Writer("in: "), "text\n")
					}
				})
				using.Go(func() {
					m.Dropped()
					m.Failed()
					m.Close()
				})
			}
			using.Wait()
			if sum := lines + m.Dropped() + m.Failed(); sum != writers*pieces {
				t.Errorf("%d written + %d dropped + %d failed, want %d", lines, m.Dropped(), m.Failed(), writers*pieces)
			}
		})
	}
}
