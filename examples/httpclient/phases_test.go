package httpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A phaseError says which phase of a request took too long.
type phaseError struct {
	phase string
	limit time.Duration
}

func (e *phaseError) Error() string { return fmt.Sprintf("no %s within %v", e.phase, e.limit) }

// Timeout makes it a time-out as those of package net are.
func (e *phaseError) Timeout() bool { return true }

// Is makes it what a deadline of a context is.
func (e *phaseError) Is(target error) bool { return target == context.DeadlineExceeded }

// A stopwatch ends a context when a phase takes too long. It is for one goroutine.
type stopwatch struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil between phases
	phase  *phaseError
	late   error
}

// withStopwatch returns a context that the stopwatch ends. Its method end must be called.
func withStopwatch(parent context.Context) (context.Context, *stopwatch) {
	ctx, cancel := context.WithCancelCause(parent)
	return ctx, &stopwatch{cancel: cancel}
}

// begin ends the phase before, and gives the next one its time.
func (s *stopwatch) begin(phase string, limit time.Duration) error {
	if err := s.pause(); err != nil {
		return err
	}
	late := &phaseError{phase, limit}
	s.phase = late
	// The cause says what took too long, where Canceled would not.
	s.timer = time.AfterFunc(limit, func() { s.cancel(late) })
	return nil
}

// pause ends a phase. It returns an error if that took too long, at this moment included.
//
// Reset would not do in its place. It starts a timer again that has fired already, and
// the next phase begins with a context that has ended, or is about to.
func (s *stopwatch) pause() error {
	if s.timer != nil && !s.timer.Stop() {
		s.late = s.phase
	}
	s.timer = nil
	if s.late != nil {
		return s.late // the interface: a nil pointer in it would be an error
	}
	return nil
}

// end frees what the stopwatch holds.
func (s *stopwatch) end() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.cancel(nil)
}

// A timedReader gives each Read its own time. What the caller does between two of them
// takes none of it.
type timedReader struct {
	io.Reader
	watch *stopwatch
	limit time.Duration
}

func (r timedReader) Read(p []byte) (int, error) {
	if err := r.watch.begin("more of the body", r.limit); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if late := r.watch.pause(); err == nil {
		err = late
	}
	return n, err
}

// limits are those of fetch.
type limits struct {
	header time.Duration // from dialing on
	body   time.Duration // for all of it; if zero, piece counts
	piece  time.Duration // for each piece of the body
	size   int64         // of the body, in bytes
}

// fetch gets what a URL names. A server that takes long to answer gets as much time as it
// needs, and one that answers at once and then stops is noticed soon. With a limit for each
// piece a download may take as long as it moves.
func fetch(ctx context.Context, client *http.Client, url string, l limits) ([]byte, error) {
	ctx, watch := withStopwatch(ctx)
	defer watch.end()
	if err := watch.begin("header", l.header); err != nil {
		return nil, err
	}
	resp, err := do(ctx, client, http.MethodGet, url, nil)
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer resp.Body.Close()

	// A pace alone would let a server send for ever.
	var body io.Reader = http.MaxBytesReader(nil, resp.Body, l.size)
	if l.body > 0 {
		err = watch.begin("body", l.body)
	} else {
		err = watch.pause()
		body = timedReader{body, watch, l.piece}
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, explain(ctx, err)
	}
	return b, nil
}

// explain returns why ctx ended, if it did, instead of what came of that: that
// connections were closed, say, or that something was canceled.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// slowly answers after a while, with pieces that come after a while each.
func slowly(header time.Duration, pieces ...time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wait := func(d time.Duration) bool {
			select {
			case <-time.After(d):
				return true
			case <-r.Context().Done():
				return false
			}
		}
		control := http.NewResponseController(w)
		if !wait(header) || control.Flush() != nil {
			return
		}
		for _, d := range pieces {
			if !wait(d) {
				return
			}
			if _, err := io.WriteString(w, "x"); err != nil || control.Flush() != nil {
				return
			}
		}
	}
}

// Each phase has its own time, whatever the one before has left, and the error names the
// one that was too long.
func TestPhases(t *testing.T) {
	const s = time.Second
	whole := limits{header: 5 * s, body: 2 * s, size: 1 << 10}
	pieces := limits{header: 5 * s, piece: 2 * s, size: 1 << 10}
	for _, tt := range []struct {
		name    string
		limits  limits
		handler http.HandlerFunc
		body    string
		err     string
		took    time.Duration
	}{
		{"in time", whole, slowly(4*s, s), "x", "", 5 * s},
		{"the header is late", whole, slowly(6 * s), "", "no header within 5s", 5 * s},
		{"the body is late", whole, slowly(s, s, 3*s), "", "no body within 2s", 3 * s},
		{"the sum of both is in nobody's way", whole, slowly(4900*time.Millisecond, 1900*time.Millisecond), "x", "", 6800 * time.Millisecond},
		{"many pieces", pieces, slowly(4*s, s, s, s, s, s, s), "xxxxxx", "", 10 * s},
		{"a piece is late", pieces, slowly(0, s, s, 3*s), "", "no more of the body within 2s", 4 * s},
		{"the header is late before pieces", pieces, slowly(time.Hour), "", "no header within 5s", 5 * s},
		{"too much", limits{header: s, body: s, size: 1}, slowly(0, 0, 0), "", "http: request body too large", 0},
	} {
		for _, version := range versions {
			t.Run(tt.name+", "+version.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client := inMemory(t, tt.handler, version.set)
					begin := time.Now()
					b, err := fetch(t.Context(), client, memory, tt.limits)
					if took := time.Since(begin); took != tt.took || string(b) != tt.body {
						t.Errorf("%q after %v, want %q after %v", b, took, tt.body, tt.took)
					}
					if got := fmt.Sprint(err); tt.err != "" && got != tt.err || tt.err == "" && err != nil {
						t.Errorf("error %q, want %q", got, tt.err)
					}
					if late := strings.HasPrefix(tt.err, "no "); errors.Is(err, context.DeadlineExceeded) != late {
						t.Errorf("%v is a deadline: %v", err, !late)
					}
				})
			})
		}
	}
}

// The context of the caller goes on to count, and its cause is what comes back.
func TestPhasesEndWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := inMemory(t, slowly(0, time.Hour))
		why := errors.New("the user has pressed the key")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, err := fetch(ctx, client, memory, limits{header: time.Minute, body: time.Minute, size: 1})
		if !errors.Is(err, why) {
			t.Errorf("%v, want %v", err, why)
		}
	})
}

// A header that comes in the very moment in which its time is up is either in time, and
// then the body has all of its own, or it is late. There is nothing between the two.
func TestPhasesAtTheSameMoment(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			client := inMemory(t, slowly(time.Second, 59*time.Second))
			b, err := fetch(t.Context(), client, memory, limits{header: time.Second, body: time.Minute, size: 1})
			late, ok := errors.AsType[*phaseError](err)
			if (err != nil || string(b) != "x") && (!ok || late.phase != "header") {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// The timer of a phase that is over cannot be moved any more: the next phase does not begin.
func TestStopwatchIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, watch := withStopwatch(t.Context())
		defer watch.end()
		for range 3 {
			if err := watch.begin("first", time.Second); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second - 1)
			if err := watch.pause(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour) // of which nobody keeps the time
		}
		if err := watch.begin("second", time.Second); err != nil || ctx.Err() != nil {
			t.Fatal(err, ctx.Err())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, err := range []error{watch.begin("third", time.Hour), watch.pause(), context.Cause(ctx)} {
			if late, ok := errors.AsType[*phaseError](err); !ok || late.phase != "second" || !late.Timeout() {
				t.Errorf("%v, want an error about the second", err)
			}
		}
	})
}
