package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/examples/logging"
	"github.com/netparts/netparts/internal/leak"
)

// The standard library's test of handlers, which looks at attributes, groups and times.
func TestSamplerIsAHandler(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return logging.NewSampler(slog.NewJSONHandler(&b, nil), &logging.SamplerOptions{DroppedKey: "dropped"})
	}, func(t *testing.T) map[string]any {
		record := make(map[string]any)
		if err := json.Unmarshal(b.Bytes(), &record); err != nil {
			t.Fatal(err)
		}
		return record
	})
}

// A record that gets an attribute is a copy. Otherwise who holds it too could not add one: slog
// notices that two write to the same place, and says so by an attribute "!BUG".
func TestSamplerLeavesTheRecord(t *testing.T) {
	sampler := logging.NewSampler(slog.DiscardHandler, &logging.SamplerOptions{Interval: time.Hour, Every: 2, DroppedKey: "dropped"})
	for attrs := range 20 { // some of which leave a place in the slice behind the record
		r := slog.NewRecord(time.Time{}, slog.LevelInfo, "equal", 0)
		for i := range attrs {
			r.AddAttrs(slog.Int("n", i))
		}
		for range 5 {
			if err := sampler.Handle(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		r.AddAttrs(slog.Int("n", attrs))
		r.Attrs(func(a slog.Attr) bool {
			if a.Key != "n" {
				t.Errorf("a record of %d attributes has got %v", attrs, a)
			}
			return true
		})
	}
}

// Of messages from several goroutines none is counted twice or not at all.
func TestSamplerConcurrently(t *testing.T) {
	var b bytes.Buffer
	sampler := logging.NewSampler(slog.NewTextHandler(&b, nil), &logging.SamplerOptions{Interval: time.Hour, Every: 10})
	var group sync.WaitGroup
	for i := range 8 {
		logger := slog.New(sampler).With("goroutine", i)
		group.Go(func() {
			for range 250 {
				logger.Info("equal")
			}
		})
	}
	group.Wait()
	if n := strings.Count(b.String(), "\n"); n != 200 || sampler.Dropped() != 1800 {
		t.Errorf("%d records and %d dropped, want 200 and 1800", n, sampler.Dropped())
	}
}

// A client that makes each message another one gets no memory by that, however long they are.
// What is counted already stays thinned out, and nothing is lost.
func TestSamplerBoundsItsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const others = 5_000
		var w countingWriter
		sampler := logging.NewSampler(onlyKeys(&w, "msg"), nil)
		logger := slog.New(sampler)
		long := strings.Repeat("x", 1000)
		before, _ := leak.InUse()
		for range 3 { // of which it remembers two
			time.Sleep(time.Second)
			w.writes = 0
			logger.Info("equal")
			for i := range others {
				logger.Info(long + strconv.Itoa(i))
			}
			logger.Info("equal")
			if w.writes != others+1 {
				t.Errorf("%d records, want %d", w.writes, others+1)
			}
		}
		after, _ := leak.InUse()
		if grown := after - before; grown > 200<<10 {
			t.Errorf("the sampler has grown by %d bytes", grown)
		}
		// One that found no place is written each time.
		logger.Info("late")
		logger.Info("late")
		if w.writes != others+3 || sampler.Dropped() != 3 {
			t.Errorf("%d records and %d dropped, want %d and 3", w.writes, sampler.Dropped(), others+3)
		}
	})
}

// As many messages are counted as the option says: the third finds no place.
func TestSamplerCountsMaxMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w countingWriter
		logger := slog.New(logging.NewSampler(onlyKeys(&w, "msg"), &logging.SamplerOptions{MaxMessages: 2}))
		for range 2 {
			for _, message := range []string{"one", "two", "three"} {
				logger.Info(message)
			}
		}
		if w.writes != 4 {
			t.Errorf("%d records, want one, two, three, and three", w.writes)
		}
	})
}

// countingWriter counts the records of a handler.
type countingWriter struct{ writes int }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	return len(p), nil
}

// The error of the handler below is that of Handle.
func TestSamplerPassesErrorsOn(t *testing.T) {
	sampler := logging.NewSampler(slog.NewTextHandler(brokenWriter{io.ErrClosedPipe}, nil), &logging.SamplerOptions{Interval: time.Hour})
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "equal", 0)
	if err := sampler.Handle(t.Context(), r); err != io.ErrClosedPipe {
		t.Errorf("Handle: %v, want %v", err, io.ErrClosedPipe)
	}
	if err := sampler.Handle(t.Context(), r); err != nil {
		t.Errorf("Handle of a record that is dropped: %v", err)
	}
}

func TestSamplerWithoutHandler(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NewSampler(nil) does not panic")
		}
	}()
	logging.NewSampler(nil, nil)
}

// dropping returns a logger whose records are dropped.
func dropping() *slog.Logger {
	sampler := logging.NewSampler(slog.NewJSONHandler(io.Discard, nil), &logging.SamplerOptions{Interval: time.Hour, DroppedKey: "dropped"})
	logger := slog.New(sampler)
	logger.Info("equal")
	return logger
}

func logEqual(logger *slog.Logger) {
	logger.LogAttrs(context.Background(), slog.LevelInfo, "equal", slog.String("method", "GET"), slog.Int("status", 200))
}

// A record that is dropped leaves nothing for the garbage collector.
func TestDroppedRecordsAllocateNothing(t *testing.T) {
	logger := dropping()
	if n := testing.AllocsPerRun(100, func() { logEqual(logger) }); n != 0 {
		t.Errorf("%v allocations for each, want none", n)
	}
}

func BenchmarkSampler(b *testing.B) {
	for _, bb := range []struct {
		name   string
		logger *slog.Logger
	}{
		{"dropped", dropping()},
		{"written", slog.New(slog.NewJSONHandler(io.Discard, nil))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				logEqual(bb.logger)
			}
		})
	}
}
