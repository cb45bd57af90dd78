package proxy

import (
	"bytes"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

const (
	// maxLine is how many bytes of traffic a line of a [Monitor] holds at most.
	maxLine = 1024

	// maxKept is the largest buffer for lines that is used again, in bytes.
	maxKept = 64 << 10
)

// A Monitor writes traffic down, as lines that people read: each line of the
// traffic becomes one, with a prefix, and with what cannot be printed escaped as in a
// Go string, quotes included. A line that goes on in another write, and one of more
// than 1024 bytes, becomes several. A write that does not end in a newline is ended
// by one.
//
// Whatever its sink does, the traffic goes on: errors and panics of the sink are
// counted, and what it did not take is lost. With a Queue a slow sink does not even
// delay it.
//
// The zero value has no sink, and counts what comes as failed.
//
// The exported fields must not be changed after the first use. Its methods are safe
// for concurrent use.
type Monitor struct {
	// Out is the sink. It gets whole lines, one call of Write for those of one
	// piece of traffic, which is what one call of Write or of the tap has brought,
	// and no two calls at the same time. If nil, each piece counts as failed.
	Out io.Writer

	// Queue is how many pieces of traffic may wait for Out. When they are that
	// many, more of them are dropped and counted. If zero or negative nothing
	// waits: the traffic does, until Out has taken it.
	//
	// What waits is a copy. A tap brings up to 16 KiB at once, so that a Queue of
	// 64 holds at most 1 MiB; Write brings what its caller does. After the first
	// piece a goroutine serves the queue, until Close.
	Queue int

	dropped, failed atomic.Int64

	line []byte // what Out gets; used by whoever calls write

	mu     sync.Mutex
	pieces chan piece // nil before the first piece, and without a Queue
	ended  chan struct{}
	closed bool
}

// A piece is what one call has brought.
type piece struct {
	prefix string
	bytes  []byte
}

// Writer returns a writer whose lines begin with prefix, as it is, for an
// [io.TeeReader] or a [MultiWriter]. Its Write always takes everything, and has no
// error.
func (m *Monitor) Writer(prefix string) io.Writer { return &monitorWriter{m, prefix} }

type monitorWriter struct {
	monitor *Monitor
	prefix  string
}

// Write implements io.Writer.
func (w *monitorWriter) Write(b []byte) (int, error) {
	w.monitor.take(w.prefix, b)
	return len(b), nil
}

// Tap returns a tap for [Options] whose lines begin with name and an arrow: "> " for
// what goes to the upstream, "< " for what goes to the client. The name is escaped as
// the traffic is, since it may be an address that the client tells.
func (m *Monitor) Tap(name string) func(d Direction, b []byte) {
	name = string(appendEscaped(nil, []byte(name)))
	prefixes := [...]string{ToUpstream: name + "> ", ToClient: name + "< "}
	return func(d Direction, b []byte) { m.take(prefixes[d], b) }
}

// Dropped returns how many pieces of traffic were not written because the Queue was
// full, or the Monitor closed.
func (m *Monitor) Dropped() int64 { return m.dropped.Load() }

// Failed returns how many pieces Out did not take, because of an error or a panic.
func (m *Monitor) Failed() int64 { return m.failed.Load() }

// Close waits until Out has taken what is in the Queue. What comes later is dropped.
// Its error is always nil.
func (m *Monitor) Close() error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		if m.pieces != nil {
			close(m.pieces)
		}
	}
	ended := m.ended
	m.mu.Unlock()
	if ended != nil {
		<-ended
	}
	return nil
}

// take writes a piece, or puts it into the queue.
func (m *Monitor) take(prefix string, b []byte) {
	if len(b) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		m.dropped.Add(1)
		return
	}
	if m.Queue <= 0 {
		m.write(piece{prefix, b})
		return
	}
	if m.pieces == nil {
		m.pieces, m.ended = make(chan piece, m.Queue), make(chan struct{})
		go m.run()
	}
	select {
	case m.pieces <- piece{prefix, bytes.Clone(b)}:
	default:
		m.dropped.Add(1)
	}
}

// run writes what is in the queue, until Close.
func (m *Monitor) run() {
	defer close(m.ended)
	for p := range m.pieces {
		m.write(p)
	}
}

// write gives the lines of a piece to Out.
func (m *Monitor) write(p piece) {
	defer func() {
		if recover() != nil { // the traffic does not care
			m.failed.Add(1)
		}
		if cap(m.line) > maxKept {
			m.line = nil
		}
	}()
	m.line = m.line[:0]
	for line := range bytes.Lines(p.bytes) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		for first := true; first || len(line) > 0; first = false {
			n := lineLen(line)
			m.line = append(m.line, p.prefix...)
			m.line = append(appendEscaped(m.line, line[:n]), '\n')
			line = line[n:]
		}
	}
	if n, err := m.Out.Write(m.line); err != nil || n < len(m.line) {
		m.failed.Add(1)
	}
}

// lineLen returns how many bytes of line stand in one line. It divides no character.
func lineLen(line []byte) int {
	if len(line) <= maxLine {
		return len(line)
	}
	for n := maxLine; n > maxLine-utf8.UTFMax; n-- {
		if utf8.RuneStart(line[n]) {
			return n
		}
	}
	return maxLine // it is no text
}

// appendEscaped appends b as it would stand in a Go string.
func appendEscaped(line, b []byte) []byte {
	if isPlain(b) {
		return append(line, b...)
	}
	start := len(line)
	line = strconv.AppendQuote(line, string(b))
	// Without the quotes around it; those within keep their backslashes.
	copy(line[start:], line[start+1:])
	return line[:len(line)-2]
}

// isPlain reports whether nothing in b is to be escaped, as in most lines.
func isPlain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
