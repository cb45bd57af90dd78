package httpmw_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

type timeoutKey struct{}

// timeoutRun runs a handler with a limit of one second under a context.
func timeoutRun(ctx context.Context, major int, f func(ctx context.Context)) {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(ctx)
	r.ProtoMajor = major
	httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f(r.Context())
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// timeoutMajors runs a test in a bubble for each version of HTTP.
func timeoutMajors(t *testing.T, f func(t *testing.T, major int)) {
	for _, major := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) { f(t, major) })
	}
}

func TestTimeoutContext(t *testing.T) {
	timeoutMajors(t, func(t *testing.T, major int) {
		parent := context.WithValue(t.Context(), timeoutKey{}, "value")
		var kept context.Context
		timeoutRun(parent, major, func(ctx context.Context) {
			kept = ctx
			if ctx.Value(timeoutKey{}) != "value" {
				t.Error("no value")
			}
			if err := ctx.Err(); err != nil {
				t.Errorf("ended at once: %v", err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			select {
			case <-ctx.Done():
			default:
				t.Error("not ended when first asked after the limit")
			}
			if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Err %v", err)
			}
			if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Cause %v", err)
			}
			if ctx.Value(timeoutKey{}) != "value" {
				t.Error("no value after the limit")
			}
		})
		if err := kept.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("later %v", err)
		}
	})
}

// A handler that ends in time leaves a context that has ended, whether it looked or not.
func TestTimeoutContextAfterTheHandler(t *testing.T) {
	timeoutMajors(t, func(t *testing.T, major int) {
		for _, look := range []bool{false, true} {
			var kept context.Context
			timeoutRun(t.Context(), major, func(ctx context.Context) {
				if kept = ctx; look {
					ctx.Done()
				}
			})
			<-kept.Done()
			if err := kept.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("looked %t: %v", look, err)
			}
		}
	})
}

// Contexts made of the handler's end with it, and cost no goroutine meanwhile.
func TestTimeoutContextDerived(t *testing.T) {
	timeoutMajors(t, func(t *testing.T, major int) {
		var children []context.Context
		after := make(chan bool, 10)
		timeoutRun(t.Context(), major, func(ctx context.Context) {
			ctx.Done()
			before := runtime.NumGoroutine()
			for range 100 {
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				children = append(children, child)
			}
			if n := runtime.NumGoroutine() - before; n > 0 {
				t.Errorf("%d goroutines for 100 contexts", n)
			}
			stop := context.AfterFunc(ctx, func() { after <- false })
			if !stop() {
				t.Error("AfterFunc did not stop")
			}
			context.AfterFunc(ctx, func() { after <- true })
			sooner, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			<-sooner.Done()
			for _, c := range children {
				<-c.Done()
				if err := c.Err(); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("child: %v", err)
				}
			}
			context.AfterFunc(ctx, func() { after <- true })
		})
		for range 2 {
			if !<-after {
				t.Error("a function that was stopped ran")
			}
		}
	})
}

// Contexts made of the handler's, and functions that wait for it, learn that the request's
// context has ended without anybody asking for Done or Err.
func TestTimeoutContextDerivedOfTheRequest(t *testing.T) {
	timeoutMajors(t, func(t *testing.T, major int) {
		parent, cancel := context.WithCancel(t.Context())
		timeoutRun(parent, major, func(ctx context.Context) {
			after := make(chan struct{})
			context.AfterFunc(ctx, func() { close(after) })
			child, stop := context.WithCancel(ctx)
			defer stop()
			cancel()
			<-after
			<-child.Done()
			if err := child.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("child: %v", err)
			}
			if time.Since(timeoutStart(ctx)) != 0 {
				t.Error("it took the limit to learn of it")
			}
		})
	})
}

// A handler that waits for Done and asks nothing else learns of it too.
func TestTimeoutContextDoneOfTheRequest(t *testing.T) {
	timeoutMajors(t, func(t *testing.T, major int) {
		parent, cancel := context.WithCancel(t.Context())
		timeoutRun(parent, major, func(ctx context.Context) {
			done := ctx.Done()
			cancel()
			<-done
			if time.Since(timeoutStart(ctx)) != 0 {
				t.Error("it took the limit to learn of it")
			}
			if err := ctx.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("Err %v", err)
			}
		})
	})
}

// timeoutStart returns when a handler with a limit of one second began.
func timeoutStart(ctx context.Context) time.Time {
	d, _ := ctx.Deadline()
	return d.Add(-time.Second)
}

func TestTimeoutContextOfTheRequest(t *testing.T) {
	timeoutMajors(t, func(t *testing.T, major int) {
		parent, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		timeoutRun(parent, major, func(ctx context.Context) {
			done := ctx.Done()
			cancel(gone)
			if err := ctx.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("Err %v", err)
			}
			<-done
			if err := context.Cause(ctx); !errors.Is(err, gone) {
				t.Errorf("Cause %v", err)
			}
		})
		sooner, cancelSooner := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancelSooner()
		timeoutRun(sooner, major, func(ctx context.Context) {
			want, _ := sooner.Deadline()
			if d, ok := ctx.Deadline(); !ok || !d.Equal(want) {
				t.Errorf("deadline %v", d)
			}
			<-ctx.Done()
		})
	})
}
