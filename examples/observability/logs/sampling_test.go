package logs_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// The interval of a sampler begins with the first entry of its kind, and the time is that of the
// entries: in a bubble a second passes at once.
func TestSamplingByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, entries := observer.New(zapcore.DebugLevel)
		dropped := 0
		logger := zap.New(zapcore.NewSamplerWithOptions(core, time.Second, 1, 3,
			zapcore.SamplerHook(func(_ zapcore.Entry, d zapcore.SamplingDecision) {
				if d == zapcore.LogDropped {
					dropped++ // for a metric: what a sampler hides should be counted
				}
			})))
		var want []string
		for i := range 10 {
			if i == 5 {
				time.Sleep(time.Second)
			}
			logger.Debug(fmt.Sprint(i))
			logger.Debug("debug message")
			want = append(want, fmt.Sprint(i))
			if i == 0 || i == 3 || i == 5 || i == 8 {
				want = append(want, "debug message")
			}
		}
		var got []string
		for _, e := range entries.TakeAll() {
			got = append(got, e.Message)
		}
		if strings.Join(got, ",") != strings.Join(want, ",") || dropped != 6 {
			t.Errorf("logged %q and dropped %d, want %q and 6", got, dropped, want)
		}
	})
}

// Entries are told apart by level and message, not by their fields.
func TestSamplingByKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, entries := observer.New(zapcore.DebugLevel)
		logger := zap.New(zapcore.NewSamplerWithOptions(core, time.Second, 1, 3))
		for i := range 3 {
			logger.Debug("same", zap.Int("i", i))
			logger.Info("same", zap.Int("i", i))
			logger.Info("other", zap.Int("i", i))
		}
		if got := entries.Len(); got != 3 {
			t.Errorf("%d entries, want one of each kind: %v", got, entries.All())
		}
		time.Sleep(time.Second - time.Nanosecond)
		logger.Info("other") // the fourth: the first and every third pass
		logger.Info("other") // the fifth
		time.Sleep(time.Nanosecond)
		logger.Info("other") // the first again
		if got := entries.FilterMessage("other").Len(); got != 3 {
			t.Errorf("%d entries of the kind, want 3", got)
		}
	})
}
