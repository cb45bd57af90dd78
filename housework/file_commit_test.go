package housework_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/housework"
)

// A fileGate is a codec whose Flush waits for the test.
type fileGate struct {
	housework.Codec
	entered, pass chan struct{}
}

// fileOpenGated opens a list whose commits each send on entered, and go on when there is
// something in pass.
func fileOpenGated(t *testing.T, path string) (*housework.FileStore, *fileGate) {
	t.Helper()
	g := &fileGate{entered: make(chan struct{}, 100), pass: make(chan struct{}, 100)}
	g.Codec = fileHook{housework.JSON, func([]housework.Chore) error {
		g.entered <- struct{}{}
		<-g.pass
		return nil
	}}
	return fileOpen(t, path, &housework.FileOptions{Codec: g}), g
}

// fileAdds begins adds that are to wait for a commit, and returns their errors. It waits
// until all are queued.
func fileAdds(ctx context.Context, s *housework.FileStore, descriptions ...string) []chan error {
	var results []chan error
	for _, d := range descriptions {
		result := make(chan error, 1)
		results = append(results, result)
		before := s.Queued()
		go func() {
			_, err := s.Add(ctx, "", fileChores(d))
			result <- err
		}()
		for s.Queued() == before {
			runtime.Gosched()
		}
	}
	return results
}

// Changes that come while a commit runs go together into the next, in their order, and
// each has its own result.
func TestFileChangesShareACommit(t *testing.T) {
	s, gate := fileOpenGated(t, filePath(t))
	first := make(chan error, 1)
	go func() {
		_, err := s.Add(context.Background(), "", fileChores("first"))
		first <- err
	}()
	<-gate.entered
	var wait []chan error
	var want strings.Builder
	for i := range 15 {
		d := fmt.Sprint(i)
		wait = append(wait, fileAdds(t.Context(), s, d)...)
		fmt.Fprintf(&want, " %s", d)
	}
	bad := make(chan error, 1)
	go func() { bad <- s.Complete(context.Background(), 1, 99) }()
	gate.pass <- struct{}{}
	fileNoError(t, <-first)
	<-gate.entered
	gate.pass <- struct{}{}
	for _, w := range wait {
		fileNoError(t, <-w)
	}
	if err := <-bad; !errors.Is(err, housework.ErrNotFound) {
		t.Errorf("the change that is invalid: %v, want ErrNotFound", err)
	}
	fileWant(t, s, "first"+want.String())
	if n := len(gate.entered); n > 0 {
		t.Errorf("%d more commits than two", n)
	}
}

// A change whose context ends before a commit has taken it is not made.
func TestFileChangeWithdrawn(t *testing.T) {
	s, gate := fileOpenGated(t, filePath(t))
	ctx, cancel := context.WithCancel(t.Context())

	first := fileStartAdd(ctx, s, "taken")
	<-gate.entered
	wait := fileAdds(ctx, s, "withdrawn", "withdrawn, too")
	stays := fileAdds(t.Context(), s, "stays")
	cancel()
	for _, w := range wait {
		if err := <-w; !errors.Is(err, context.Canceled) {
			t.Errorf("the change that waits: %v, want context.Canceled", err)
		}
	}
	gate.pass <- struct{}{}
	gate.pass <- struct{}{}
	fileNoError(t, <-first) // which was taken, and waits for the end
	fileNoError(t, <-stays[0])
	fileWant(t, s, "taken stays")
}

func fileStartAdd(ctx context.Context, s *housework.FileStore, description string) chan error {
	result := make(chan error, 1)
	go func() {
		_, err := s.Add(ctx, "", fileChores(description))
		result <- err
	}()
	return result
}

// Close waits for the commit that runs; changes that no commit has taken are not made.
func TestFileCloseDuringCommit(t *testing.T) {
	path := filePath(t)
	s, gate := fileOpenGated(t, path)
	first := fileStartAdd(t.Context(), s, "taken")
	<-gate.entered
	wait := fileAdds(t.Context(), s, "waits")
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if err := <-wait[0]; !errors.Is(err, housework.ErrClosed) {
		t.Errorf("the change that waits: %v, want ErrClosed", err)
	}
	select {
	case err := <-closed:
		t.Errorf("Close did not wait: %v", err)
	default:
	}
	gate.pass <- struct{}{}
	fileNoError(t, <-first)
	fileNoError(t, <-closed)
	fileWant(t, fileOpen(t, path, nil), "taken")
}

// A list that the codec cannot write leaves the file and the list as they were, and does not keep
// others from theirs.
func TestFileFailedEncode(t *testing.T) {
	path := filePath(t)
	errBad := errors.New("not this one")
	var entered, pass chan struct{}
	s := fileOpen(t, path, &housework.FileOptions{Codec: fileHook{housework.JSON, func(chores []housework.Chore) error {
		if entered != nil {
			entered <- struct{}{}
			<-pass
		}
		for _, c := range chores {
			if strings.HasPrefix(c.Description, "bad") {
				return errBad
			}
		}
		return nil
	}}})
	fileAdd(t, s, "one")
	before := fileRead(t, path)
	_, err := s.Add(t.Context(), "id", fileChores("bad"))
	fileWantError(t, err, "changing "+path, errBad.Error())
	if after := fileRead(t, path); after != before {
		t.Errorf("the file holds %q, want %q", after, before)
	}
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
	first, err := s.Add(t.Context(), "id", fileChores("two"))
	if first != 2 || err != nil {
		t.Errorf("Add with the id of what failed = %d, %v, want 2", first, err)
	}

	entered, pass = make(chan struct{}, 100), make(chan struct{}, 100)
	leader := fileStartAdd(t.Context(), s, "three")
	<-entered
	wait := fileAdds(t.Context(), s, "four", "bad four", "five")
	for range 10 {
		pass <- struct{}{}
	}
	fileNoError(t, <-leader)
	fileNoError(t, <-wait[0])
	if err := <-wait[1]; !errors.Is(err, errBad) {
		t.Errorf("the chore that cannot be written: %v, want %v", err, errBad)
	}
	fileNoError(t, <-wait[2])
	fileWant(t, s, "one two three four five")
}

// What is done in the list that could not be written is not done in that which stays.
func TestFileFailedComplete(t *testing.T) {
	errBad := errors.New("not this one")
	s := fileOpen(t, filePath(t), &housework.FileOptions{Codec: fileHook{housework.JSON, func(chores []housework.Chore) error {
		if chores[0].Complete {
			return errBad
		}
		return nil
	}}})
	fileAdd(t, s, "one", "two")
	if err := s.Complete(t.Context(), 2, 1); !errors.Is(err, errBad) {
		t.Errorf("Complete = %v, want %v", err, errBad)
	}
	fileWant(t, s, "one two")
}

// A codec that panics takes its caller down, and not those who wait for it.
func TestFileCodecPanics(t *testing.T) {
	entered, pass := make(chan struct{}, 100), make(chan struct{}, 100)
	s := fileOpen(t, filePath(t), &housework.FileOptions{Codec: fileHook{housework.JSON, func(chores []housework.Chore) error {
		entered <- struct{}{}
		<-pass
		if chores[len(chores)-1].Description == "bad" {
			panic("no")
		}
		return nil
	}}})
	leader := fileStartAdd(t.Context(), s, "one")
	<-entered
	panicked := make(chan any, 1)
	before := s.Queued()
	go func() {
		defer func() { panicked <- recover() }()
		_, err := s.Add(context.Background(), "", fileChores("two"))
		t.Errorf("Add has returned %v", err)
	}()
	for s.Queued() == before {
		runtime.Gosched()
	}
	wait := fileAdds(t.Context(), s, "bad")
	for range 10 {
		pass <- struct{}{}
	}
	fileNoError(t, <-leader)
	if p := <-panicked; p != "no" {
		t.Errorf("the panic is %v", p)
	}
	fileWantError(t, <-wait[0], "did not come to its end")
	fileAdd(t, s, "three")
	fileWant(t, s, "one three")
}

// A program without the lock that changes the file during a change is not overwritten.
func TestFileChangedWithoutLock(t *testing.T) {
	path := filePath(t)
	other := `[{"Complete":false,"Description":"another's"}]`
	meddle := false
	s := fileOpen(t, path, &housework.FileOptions{Codec: fileHook{housework.JSON, func([]housework.Chore) error {
		if meddle {
			fileWrite(t, path, other)
		}
		meddle = false
		return nil
	}}})
	fileAdd(t, s, "one")
	meddle = true
	_, err := s.Add(t.Context(), "", fileChores("two"))
	if !errors.Is(err, housework.ErrConflict) {
		t.Errorf("Add = %v, want ErrConflict", err)
	}
	fileWantError(t, err, path)
	if got := fileRead(t, path); got != other {
		t.Errorf("the file holds %q, want %q", got, other)
	}
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
	fileAdd(t, s, "two")
	fileWant(t, s, "another's two")
}

// filePatience is a context that ends in real time. A bubble of synctest whose goroutines
// wait for such a one would stand still, so that it tells when it is asked alone.
type filePatience struct {
	context.Context
	over *atomic.Bool
}

func (p filePatience) Err() error {
	if p.over.Load() {
		return context.Canceled
	}
	return nil
}

// A leader who waits for the others that the last commit had lets time pass, also where it
// is faked.
func TestFileLeaderSleeps(t *testing.T) {
	patience := filePatience{Context: context.Background(), over: new(atomic.Bool)}
	defer time.AfterFunc(serverPatience, func() { patience.over.Store(true) }).Stop()
	path := filePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := fileOpen(t, path, &housework.FileOptions{Codec: fileHook{housework.JSON, func([]housework.Chore) error {
			time.Sleep(time.Second)
			return nil
		}}})
		var adds sync.WaitGroup
		for i := range 3 {
			adds.Go(func() {
				if _, err := s.Add(patience, "", fileChores(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
		}
		adds.Wait()
		if _, err := s.Add(patience, "", fileChores("alone")); err != nil {
			t.Error(err)
		}
	})
}

// Readers see each list whole, and none that is shorter than one before, while two
// stores write.
func TestFileReadersOfGrowing(t *testing.T) {
	path := filePath(t)
	stores := []*housework.FileStore{fileOpen(t, path, nil), fileOpen(t, path, nil)}
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for i, s := range stores {
		writers.Go(func() {
			for j := range 20 {
				d := fmt.Sprintf("%d.%d", i, j)
				if _, err := s.Add(context.Background(), d, fileChores(d, d)); err != nil {
					t.Error(err)
				}
			}
		})
		readers.Go(func() { fileWatchGrowing(t, s, done) })
	}
	writers.Wait()
	close(done)
	readers.Wait()
	page, err := stores[0].List(t.Context(), 1, 1000)
	if len(page) != 80 || err != nil {
		t.Errorf("the list has %d chores, %v, want 80", len(page), err)
	}
}

func fileWatchGrowing(t *testing.T, s housework.Store, done chan struct{}) {
	for last := 0; ; {
		page, err := s.List(context.Background(), 1, 1000)
		if err != nil || len(page) < last || len(page)%2 != 0 {
			t.Errorf("a list of %d chores after one of %d, %v", len(page), last, err)
			return
		}
		for i := 0; i < len(page); i += 2 {
			if page[i].Description != page[i+1].Description {
				t.Errorf("chores %d and %d are %v", i+1, i+2, page[i:i+2])
			}
		}
		last = len(page)
		select {
		case <-done:
			return
		default:
		}
	}
}
