package logs_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A terminal or a pipe cannot be synced, and the error says nothing of the log. It is kept out
// at the one output that it belongs to, by hiding the Sync of that. Who ignores what Logger.Sync
// returns misses that the disk is full, and who ignores a kind of error may miss it too.
func TestSyncOfAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	encoder := zapcore.NewJSONEncoder(encoderConfig)
	full := errors.New("no space left")
	for _, tt := range []struct {
		name  string
		out   zapcore.WriteSyncer
		fails bool
	}{
		{"a pipe as it is", w, true},
		{"a pipe without its Sync", zapcore.AddSync(struct{ io.Writer }{w}), false},
	} {
		pipe := zapcore.NewCore(encoder, zapcore.Lock(tt.out), zapcore.InfoLevel)
		if err := zap.New(pipe).Sync(); (err != nil) != tt.fails {
			t.Errorf("%s: Sync: %v", tt.name, err)
		}
		// A file beside it still tells of its fault.
		both := zapcore.NewTee(pipe, zapcore.NewCore(encoder, failingSync{full}, zapcore.InfoLevel))
		if err := zap.New(both).Sync(); !errors.Is(err, full) {
			t.Errorf("%s and a full disk: Sync: %v", tt.name, err)
		}
	}
}

// A failingSync is an output whose disk is full.
type failingSync struct{ err error }

func (failingSync) Write(p []byte) (int, error) { return len(p), nil }
func (s failingSync) Sync() error               { return s.err }
