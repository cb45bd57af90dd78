package housework_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/housework/storetest"
	"github.com/netparts/netparts/internal/leak"
)

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) housework.Store { return new(housework.MemoryStore) })
}

func TestMemoryStoreFull(t *testing.T) {
	ctx := t.Context()
	s := &housework.MemoryStore{MaxChores: 3}
	add := func(id string, want int, texts ...string) {
		t.Helper()
		if first, err := s.Add(ctx, id, modelChores(texts...)); first != want || err != nil {
			t.Errorf("Add(%q) = %d, %v; want %d", texts, first, err, want)
		}
	}
	refused := func(id string, texts ...string) {
		t.Helper()
		_, err := s.Add(ctx, id, modelChores(texts...))
		if !errors.Is(err, housework.ErrFull) || err.Error() != "housework: list is full: the limit is 3" {
			t.Errorf("Add(%q) = %v, want ErrFull", texts, err)
		}
	}
	refused("many", "a", "b", "c", "d")
	add("two", 1, "a", "b")
	refused("more", "c", "d") // all or none
	add("more", 3, "c")
	refused("", "d")
	add("two", 1, "a", "b") // again, although it is full
	add("", 4)
	if list, err := s.List(ctx, 1, 10); err != nil || !slices.EqualFunc(list, modelChores("a", "b", "c"), modelSame) {
		t.Errorf("List = %+v, %v; want a, b and c", list, err)
	}
}

func TestMemoryStoreTakesAMillion(t *testing.T) {
	s := new(housework.MemoryStore)
	chores := make([]housework.Chore, 500_001)
	for i := range chores {
		chores[i].Description = "x"
	}
	if _, err := s.Add(t.Context(), "", chores); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), "", chores); !errors.Is(err, housework.ErrFull) {
		t.Errorf("Add to 1,000,002 chores = %v, want ErrFull", err)
	}
	if first, err := s.Add(t.Context(), "", chores[:499_999]); first != 500_002 || err != nil {
		t.Errorf("Add to 1,000,000 chores = %d, %v; want 500002", first, err)
	}
	if _, err := s.Add(t.Context(), "", chores[:1]); !errors.Is(err, housework.ErrFull) {
		t.Errorf("Add to 1,000,001 chores = %v, want ErrFull", err)
	}
}

// The store keeps the id with the chores, and not what the caller has put there.
func TestMemoryStoreTellsIDs(t *testing.T) {
	s := new(housework.MemoryStore)
	for _, id := range []string{"one", ""} {
		if _, err := s.Add(t.Context(), id, []housework.Chore{{Description: "x", RequestID: "mine"}}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List(t.Context(), 1, 10)
	if err != nil || len(list) != 2 || list[0].RequestID != "one" || list[1].RequestID != "" {
		t.Errorf(`List = %+v, %v; want the request ids "one" and ""`, list, err)
	}
}

// A closed store keeps no memory, although somebody still has it.
func TestMemoryStoreReleasesTheList(t *testing.T) {
	const size = 20_000
	before, _ := leak.InUse()
	s := new(housework.MemoryStore)
	for i := range size {
		text := fmt.Sprint("chore ", i, strings.Repeat("x", 1000))
		if _, err := s.Add(t.Context(), fmt.Sprint("id ", i), modelChores(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, _ := leak.InUse()
	// Of the ids alone there would be more than a MiB.
	if left := after - before; left > 256<<10 {
		t.Errorf("after Close %d bytes are left of a list of more than %d", left, size*1000)
	}
	runtime.KeepAlive(s)
}

// Adding costs no memory beyond the list and the index of ids.
func TestMemoryStoreAllocates(t *testing.T) {
	ctx := t.Context()
	s := modelList(t, 10_000)
	chores := modelChores("Mop floors", "Clean dishes", "Mow the lawn")
	if _, err := s.Add(ctx, "id", chores); err != nil {
		t.Fatal(err)
	}
	// On the average over the growth of the list.
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := s.Add(ctx, "", chores); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("Add: %v allocations, want none", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.Add(ctx, "id", chores); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("Add again: %v allocations, want none", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Complete(ctx, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("Complete: %v allocations, want none", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.List(ctx, 5, 1000); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("List: %v allocations, want the page alone", n)
	}
}

func modelSame(a, b housework.Chore) bool {
	return a.Complete == b.Complete && a.Description == b.Description
}

func BenchmarkMemoryStoreAdd(b *testing.B) {
	chores := modelChores("Mop floors")
	for _, withID := range []bool{false, true} {
		b.Run(fmt.Sprintf("id=%t", withID), func(b *testing.B) {
			b.ReportAllocs()
			s := new(housework.MemoryStore)
			id, n := "", 0
			for b.Loop() {
				if withID {
					id = fmt.Sprint(n)
				}
				if n++; n%500_000 == 0 { // before it is full
					s = new(housework.MemoryStore)
				}
				if _, err := s.Add(b.Context(), id, chores); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMemoryStoreList(b *testing.B) {
	const size, page = 100_000, 1000
	s := new(housework.MemoryStore)
	chores := make([]housework.Chore, size)
	for i := range chores {
		chores[i].Description = "Mop floors"
	}
	if _, err := s.Add(b.Context(), "", chores); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for first := 1; first <= size; first += page {
			if _, err := s.List(b.Context(), first, page); err != nil {
				b.Fatal(err)
			}
		}
	}
}
