package chores

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
)

// do carries out the arguments with a store.
func do(t *testing.T, store housework.Store, args ...string) (stdout string, err error) {
	t.Helper()
	command, err := Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = command.Do(t.Context(), store, "Nothing!", &b)
	return b.String(), err
}

// wantList carries out the arguments, and checks the list that is shown.
func wantList(t *testing.T, store housework.Store, want string, args ...string) {
	t.Helper()
	if got, err := do(t, store, args...); got != want || err != nil {
		t.Errorf("%q: %v, printed\n%swant\n%s", args, err, got, want)
	}
}

func TestDo(t *testing.T) {
	store := new(housework.MemoryStore)
	wantList(t, store, "Nothing!\n")
	wantList(t, store, "Nothing!\n", "add", " , ")
	const head = "#\t[X]\tDescription\n"
	wantList(t, store, head+"1\t[ ]\tMop floors\n2\t[ ]\tDust, all rooms\n", "ADD", "Mop", "floors,", `"Dust,`, "all", `rooms"`)
	wantList(t, store, head+"1\t[ ]\tMop floors\n2\t[X]\tDust, all rooms\n", "complete", "2")
	wantList(t, store, head+"1\t[X]\tMop floors\n2\t[X]\tDust, all rooms\n", "complete", "2", "1", "1")
	wantList(t, store, head+"1\t[X]\tMop floors\n2\t[X]\tDust, all rooms\n3\t[ ]\tSleep\n", "Add", "Sleep")
}

// A number that no chore has changes nothing, and no list is shown.
func TestNotFound(t *testing.T) {
	store := new(housework.MemoryStore)
	if _, err := do(t, store, "add", "a, b"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"0", "3", "-1", "4294967297", "99999999999999999999", "-99999999999999999999"} {
		stdout, err := do(t, store, "complete", "1", n)
		if want := "chore " + n + " not found"; err == nil || err.Error() != want || stdout != "" {
			t.Errorf("complete 1 %s: %v, printed %q, want %q and nothing", n, err, stdout, want)
		}
	}
	wantList(t, store, "#\t[X]\tDescription\n1\t[ ]\ta\n2\t[ ]\tb\n")
}

// Whatever a description holds, its chore is one line, and a terminal only shows it.
func TestOneLineForEachChore(t *testing.T) {
	store := new(housework.MemoryStore)
	text := "a\n2\t[X]\tforged\r\x1b[2J\u202e\u2028\u0085"
	if _, err := store.Add(t.Context(), "", []housework.Chore{{Description: text}}); err != nil {
		t.Fatal(err)
	}
	wantList(t, store, `#	[X]	Description
1	[ ]	a\n2\t[X]\tforged\r\x1b[2J\u202e\u2028\u0085
`)
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"ASCII", `say "hi" 'there' \n`, `say "hi" 'there' \n`},
		{"other scripts", "Böden wischen, 床を拭く, تنظيف", "Böden wischen, 床を拭く, تنظيف"},
		{"spaces", "a\u00a0b\u3000c", "a\u00a0b\u3000c"},
		{"joined letters", "می\u200cخواهم", "می\u200cخواهم"},
		{"joined emoji", "👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"},
		{"C0", "\x00\t\n\r\x1b\x7f", `\x00\t\n\r\x1b\x7f`},
		{"C1", "\u0080\u0085\u009b", `\u0080\u0085\u009b`},
		{"ends of lines", "\u2028\u2029", `\u2028\u2029`},
		{"directions", "\u202a\u202e\u2066\u2069\u200e\u061c", `\u202a\u202e\u2066\u2069\u200e\u061c`},
		{"invisible", "\ufeff\u200b\u00ad\U000e0041", `\ufeff\u200b\u00ad\U000e0041`},
		{"not UTF-8", "a\xff\xc3b", `a\xff\xc3b`},
		{"a replacement character", "\ufffd", "\ufffd"},
	} {
		if got := Printable(tt.in); got != tt.want {
			t.Errorf("%s: Printable(%q) = %s, want %s", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestComplain(t *testing.T) {
	var b bytes.Buffer
	Complain(&b, "program", errors.Join(errors.New("housework: a\x1b"), errors.New("b")))
	if got, want := b.String(), "program: a\\x1b; b\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// A pagingStore counts the pages that are asked for, and fails beyond some.
type pagingStore struct {
	housework.MemoryStore
	pages, limit int
	err          error
}

func (s *pagingStore) List(ctx context.Context, first, limit int) ([]housework.Chore, error) {
	if s.pages++; s.pages > s.limit {
		return nil, s.err
	}
	return s.MemoryStore.List(ctx, first, limit)
}

// longList returns a store of many pages.
func longList(t *testing.T) *pagingStore {
	t.Helper()
	s := &pagingStore{limit: 1 << 30}
	chores := make([]housework.Chore, 10_000)
	for i := range chores {
		chores[i].Description = fmt.Sprint("chore ", i+1)
	}
	if _, err := s.Add(t.Context(), "", chores); err != nil {
		t.Fatal(err)
	}
	return s
}

// failingWriter fails when it has got some bytes.
type failingWriter struct{ left int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

// A page is written before the next is asked for, and nobody asks on for a reader that
// has gone.
func TestListByPages(t *testing.T) {
	store := longList(t)
	stdout, err := do(t, store)
	if lines := strings.Count(stdout, "\n"); lines != 10_001 || err != nil {
		t.Errorf("%d lines, %v, want 10001", lines, err)
	}
	if !strings.HasSuffix(stdout, "\n10000\t[ ]\tchore 10000\n") {
		t.Errorf("the list ends in %q", stdout[len(stdout)-40:])
	}
	whole := store.pages

	store.pages = 0
	err = new(Command).Do(t.Context(), store, "", &failingWriter{left: 10_000})
	if err == nil || err.Error() != "broken pipe" || store.pages >= whole/2 {
		t.Errorf("%v after %d of %d pages", err, store.pages, whole)
	}

	err = new(Command).Do(t.Context(), new(housework.MemoryStore), "Nothing!", &failingWriter{})
	if err == nil || err.Error() != "broken pipe" {
		t.Errorf("nothing to show: %v", err)
	}
}

// A list that ends in an error is a failure, behind what was shown until then.
func TestListThatFails(t *testing.T) {
	store := longList(t)
	store.limit, store.err = 2, errors.New("out of order")
	stdout, err := do(t, store)
	if err == nil || err.Error() != "out of order" || strings.Count(stdout, "\n") != 2001 {
		t.Errorf("%v, printed %d lines", err, strings.Count(stdout, "\n"))
	}
}

// A changingStore answers changes with an error.
type changingStore struct {
	housework.Store
	err error
}

func (s *changingStore) Add(context.Context, string, []housework.Chore) (int, error) {
	return 0, s.err
}
func (s *changingStore) Complete(context.Context, ...int) error { return s.err }

// Whoever interrupts a change is told that it may have been made.
func TestChangesThatAreNotAnswered(t *testing.T) {
	for _, args := range [][]string{{"add", "a"}, {"complete", "1"}} {
		for _, tt := range []struct {
			err  error
			want string
		}{
			{context.Canceled, "interrupted; the list may have been changed"},
			{fmt.Errorf("far away: %w", context.DeadlineExceeded), "no answer in time; the list may have been changed"},
			{status.Error(codes.Unavailable, "lost"), "rpc error: code = Unavailable desc = lost; the list may have been changed"},
			{housework.ErrFull, "housework: list is full"},
			{&housework.ChoreError{Number: 2, Err: housework.ErrInvalid}, "housework: chore 2: invalid"},
		} {
			stdout, err := do(t, &changingStore{err: tt.err}, args...)
			if err == nil || err.Error() != tt.want || stdout != "" {
				t.Errorf("%q: %v, printed %q, want %s and nothing", args, err, stdout, tt.want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := new(Command).Do(ctx, new(housework.MemoryStore), "", new(bytes.Buffer))
	if err == nil || err.Error() != "interrupted" {
		t.Errorf("an interrupted list: %v", err)
	}
}
