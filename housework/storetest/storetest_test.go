package storetest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/housework/storetest"
)

func TestMemoryStorePasses(t *testing.T) {
	storetest.Run(t, func(*testing.T) housework.Store { return new(housework.MemoryStore) })
}

// What the faults of the other tests are put into has none of its own.
func TestStoreWithoutFaultPasses(t *testing.T) {
	storetest.Run(t, func(*testing.T) housework.Store { return newFaulty("") })
	storetest.RunDurable(t, func(*testing.T) func() housework.Store { return disk("") })
}

func TestMeteredPasses(t *testing.T) { testMetered(t) }

// A child process runs the tests that are to fail, for this one shall not.
func TestRunFails(t *testing.T) {
	const variable = "STORETEST_FAULT"
	if os.Getenv(variable) != "" {
		storetest.Run(t, func(*testing.T) housework.Store { return newFaulty("completes 0") })
		storetest.RunDurable(t, func(*testing.T) func() housework.Store { return disk("opens without requests") })
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestRunFails$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	if _, ok := err.(*exec.ExitError); !ok {
		t.Errorf("the child ended with %v, want a failure", err)
	}
	failed := strings.Count(string(out), "--- FAIL: TestRunFails/")
	for _, part := range []string{"complete_of_unknown_numbers", "requests_after_opening_again", "closed_while_writing"} {
		if !strings.Contains(string(out), "--- FAIL: TestRunFails/"+part+" ") {
			t.Errorf("%s has not failed", part)
		}
	}
	if failed != 3 || t.Failed() {
		t.Errorf("%d parts failed, want 3:\n%s", failed, out)
	}
}

// A Store that needs 5 ms for an operation, and does one at a time, passes in some
// seconds.
func TestSlowStorePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := storetest.Faults(t.Context(), func() func() housework.Store {
			open := disk("")
			return func() housework.Store { return newSlow(open()) }
		})
		if err != nil {
			t.Error(err)
		}
		took := time.Since(begin)
		t.Log(took)
		if took > 15*time.Second {
			t.Errorf("it took %v, want at most 15 s", took)
		}
	})
}

// slow is a Store whose operations take their turns.
type slow struct {
	housework.Store
	turn chan struct{}
}

func newSlow(s housework.Store) slow { return slow{s, make(chan struct{}, 1)} }

// wait is no mutex: while goroutines wait for one of those, no time passes in a
// bubble.
func (s slow) wait() {
	s.turn <- struct{}{}
	time.Sleep(5 * time.Millisecond)
	<-s.turn
}

// Add implements housework.Store.
func (s slow) Add(ctx context.Context, requestID string, chores []housework.Chore) (int, error) {
	s.wait()
	return s.Store.Add(ctx, requestID, chores)
}

// Complete implements housework.Store.
func (s slow) Complete(ctx context.Context, numbers ...int) error {
	s.wait()
	return s.Store.Complete(ctx, numbers...)
}

// List implements housework.Store.
func (s slow) List(ctx context.Context, first, limit int) ([]housework.Chore, error) {
	s.wait()
	return s.Store.List(ctx, first, limit)
}
