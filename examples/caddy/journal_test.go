package main

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(new(journalModule))
}

// journalModule is where Caddy writes its log in tests: to the journal.
type journalModule struct{}

var _ caddy.WriterOpener = (*journalModule)(nil)

// CaddyModule tells Caddy the name of the module, and how to make one.
func (*journalModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers.test_journal", New: func() caddy.Module { return new(journalModule) }}
}

// String implements [caddy.WriterOpener].
func (*journalModule) String() string { return "the journal of the test" }

// WriterKey implements [caddy.WriterOpener].
func (*journalModule) WriterKey() string { return "test_journal" }

// OpenWriter implements [caddy.WriterOpener].
func (*journalModule) OpenWriter() (io.WriteCloser, error) { return &log, nil }

// log is what Caddy has logged.
var log = journal{changed: make(chan struct{})}

// A journal is a log that tests can wait for.
type journal struct {
	mu      sync.Mutex
	text    []byte
	admins  int           // how many servers of the admin API there are
	changed chan struct{} // closed with each record
}

// Write implements io.Writer.
func (j *journal) Write(record []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text = append(j.text, record...)
	if bytes.Contains(record, []byte(`"msg":"admin endpoint started"`)) {
		j.admins++
	}
	if bytes.Contains(record, []byte(`"msg":"stopped previous server"`)) {
		j.admins--
	}
	close(j.changed)
	j.changed = make(chan struct{})
	return len(record), nil
}

// Close implements io.Closer.
func (*journal) Close() error { return nil }

// since returns what was logged after the first n bytes.
func (j *journal) since(n int) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text[n:])
}

// settle waits until there is one server of the admin API again. With each configuration
// Caddy opens a second one on the same socket, and only then stops the first. A request
// that the first takes in that moment gets no answer.
func (j *journal) settle(t *testing.T) {
	t.Helper()
	timeout := time.After(limit)
	for {
		j.mu.Lock()
		admins, changed := j.admins, j.changed
		j.mu.Unlock()
		if admins == 1 {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("there are %d servers of the admin API:\n%s", admins, j.since(0))
		}
	}
}
