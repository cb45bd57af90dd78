package logging_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/examples/logging"
)

// A loop that runs a thousand times a second says the same each time. The first says it, and
// then every third, which tells how many it speaks for.
func ExampleSampler() {
	text := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTime})
	sampler := logging.NewSampler(text, &logging.SamplerOptions{
		Interval:   time.Hour, // so that it does not end within the Example
		First:      1,
		Every:      3,
		DroppedKey: "dropped",
	})
	logger := slog.New(sampler)
	for job := range 9 {
		logger.Info("job done", "job", job)
	}
	logger.Info("all jobs done")
	fmt.Println(sampler.Dropped(), "dropped")
	// Output:
	// level=INFO msg="job done" job=0
	// level=INFO msg="job done" job=3 dropped=2
	// level=INFO msg="job done" job=6 dropped=2
	// level=INFO msg="all jobs done"
	// 6 dropped
}

// In each interval the first of equal messages is written, and every third after it. What
// differs is always written. The second half of the loop is in the next interval; in the
// bubble of a test the second until then costs nothing.
func TestSampling(t *testing.T) {
	const want = `{"level":"debug","msg":"0"}
{"level":"debug","msg":"debug message"}
{"level":"debug","msg":"1"}
{"level":"debug","msg":"2"}
{"level":"debug","msg":"3"}
{"level":"debug","msg":"debug message"}
{"level":"debug","msg":"4"}
{"level":"debug","msg":"5"}
{"level":"debug","msg":"debug message"}
{"level":"debug","msg":"6"}
{"level":"debug","msg":"7"}
{"level":"debug","msg":"8"}
{"level":"debug","msg":"debug message"}
{"level":"debug","msg":"9"}
`
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		h := slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: ownKeys})
		logger := slog.New(logging.NewSampler(h, &logging.SamplerOptions{Interval: time.Second, First: 1, Every: 3}))
		for i := range 10 {
			if i == 5 {
				time.Sleep(time.Second)
			}
			logger.Debug(strconv.Itoa(i))
			logger.Debug("debug message")
		}
		if b.String() != want {
			t.Errorf("the log is\n%s, want\n%s", &b, want)
		}
	})
}

// Which of 20 equal messages are written, by the options.
func TestSamplerOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts *logging.SamplerOptions
		want string
	}{
		{"none", nil, "1"},
		{"zero", &logging.SamplerOptions{}, "1"},
		{"negative", &logging.SamplerOptions{Interval: -1, First: -1, Every: -1, MaxMessages: -1}, "1"},
		{"first five", &logging.SamplerOptions{First: 5}, "1 2 3 4 5"},
		{"first two, then each fifth", &logging.SamplerOptions{First: 2, Every: 5}, "1 2 7 12 17"},
		{"all", &logging.SamplerOptions{Every: 1}, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"},
	} {
		synctest.Test(t, func(t *testing.T) { // whose clock stands still
			var b bytes.Buffer
			logger := slog.New(logging.NewSampler(onlyKeys(&b, "n"), tt.opts))
			for i := range 20 {
				logger.Info("equal", "n", i+1)
			}
			got := strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", " ")
			if got = strings.ReplaceAll(got, "n=", ""); got != tt.want {
				t.Errorf("%s: written are %s, want %s", tt.name, got, tt.want)
			}
		})
	}
}

// What was dropped is told by the next one that is written, also if that is in the next
// interval, and at the latest there.
func TestSamplerTellsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		sampler := logging.NewSampler(onlyKeys(&b, "msg", "dropped"), &logging.SamplerOptions{DroppedKey: "dropped"})
		logger := slog.New(sampler)
		say := func(n int, message string) {
			for range n {
				logger.Info(message)
			}
		}
		say(5, "a")
		say(2, "b")
		time.Sleep(time.Second)
		say(3, "a")
		time.Sleep(time.Second)
		say(1, "a")
		say(1, "b") // whose first record is two intervals old
		const want = "msg=a\nmsg=b\nmsg=a dropped=4\nmsg=a dropped=2\nmsg=b\n"
		if b.String() != want || sampler.Dropped() != 7 {
			t.Errorf("the log is %q, and %d are dropped, want %q and 7", &b, sampler.Dropped(), want)
		}
	})
}

// An interval ends when it is over, not before, however long nothing was logged.
func TestSamplerIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		logger := slog.New(logging.NewSampler(onlyKeys(&b, "at"), &logging.SamplerOptions{Interval: time.Minute}))
		began := time.Now()
		for _, wait := range []time.Duration{0, time.Minute - 1, 1, time.Second, time.Minute - 1, time.Hour, 1} {
			time.Sleep(wait)
			logger.Info("equal", "at", time.Since(began))
		}
		const want = "at=0s\nat=1m0s\nat=2m0.999999999s\nat=1h2m0.999999999s\n"
		if b.String() != want {
			t.Errorf("the log is %q, want %q", &b, want)
		}
	})
}

// Levels count apart, loggers that come from one logger count together, and attributes make
// no difference.
func TestSamplerEquality(t *testing.T) {
	var b bytes.Buffer
	sampler := logging.NewSampler(onlyKeys(&b, "level", "n", "dropped"), &logging.SamplerOptions{
		Interval: time.Hour, Every: 3, DroppedKey: "dropped",
	})
	logger := slog.New(sampler)
	logger.Info("equal", "n", 1)
	logger.Warn("equal", "n", 2)
	logger.With("request", 7).Info("equal", "n", 3)
	logger.WithGroup("store").Info("equal", "n", 4)
	logger.WithGroup("store").With("request", 8).Info("equal", "n", 5)
	const want = "level=INFO n=1\nlevel=WARN n=2\nlevel=INFO store.n=5 store.dropped=2\n"
	if b.String() != want {
		t.Errorf("the log is %q, want %q", &b, want)
	}
	if sampler.Enabled(t.Context(), slog.LevelDebug-1) || !sampler.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the level is not that of the handler below")
	}
}
