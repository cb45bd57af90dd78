package proxy_test

import (
	"bytes"
	"log/slog"
	"sync"
)

// journalOfPackets keeps what is logged.
type journalOfPackets struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journalOfPackets) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// Write implements io.Writer.
func (j *journalOfPackets) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// String returns all that was logged.
func (j *journalOfPackets) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
