package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/netparts/netparts/tftp"
)

const (
	barWidth = 30                     // characters
	barPause = 100 * time.Millisecond // between two drawings
)

// A bar shows how far a transfer is, in one line of a terminal. If w is nil it
// shows nothing.
type bar struct {
	w     io.Writer
	drawn time.Time
}

// draw is a hook for Client.Progress.
func (b *bar) draw(s tftp.Stats) {
	if time.Since(b.drawn) < barPause {
		return
	}
	b.drawn = time.Now()
	if s.Size <= 0 {
		fmt.Fprintf(b.w, "\r\x1b[K%d bytes, %s", s.Bytes, rate(&s))
		return
	}
	part := min(float64(s.Bytes)/float64(s.Size), 1)
	full := int(part * barWidth)
	fmt.Fprintf(b.w, "\r\x1b[K[%s%s] %3.0f %%, %d of %d bytes, %s",
		strings.Repeat("#", full), strings.Repeat(" ", barWidth-full), 100*part, s.Bytes, s.Size, rate(&s))
}

// clear takes the bar away.
func (b *bar) clear() {
	if !b.drawn.IsZero() {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}

// isTerminal reports whether w is one: a character device other than that which
// swallows everything.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && !os.SameFile(info, null)
}
