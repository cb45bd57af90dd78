package housework_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// rosieDescriptions returns "1" to n.
func rosieDescriptions(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(i + 1)
	}
	return list
}

func TestRosieList(t *testing.T) {
	tests := []struct {
		name        string
		chores      int
		maxPage     int
		first, size int32
		from, to    int // the numbers listed, or 0
		next        int32
		code        codes.Code
	}{
		{name: "empty list"},
		{name: "all", chores: 3, from: 1, to: 3},
		{name: "default limit", chores: 1001, from: 1, to: 1000, next: 1001},
		{name: "just the default limit", chores: 1000, from: 1, to: 1000},
		{name: "limit", chores: 5, maxPage: 2, from: 1, to: 2, next: 3},
		{name: "more than the limit asked", chores: 5, maxPage: 2, size: 3, from: 1, to: 2, next: 3},
		{name: "most that can be asked", chores: 5, size: math.MaxInt32, from: 1, to: 5},
		{name: "the rest", chores: 5, first: 4, from: 4, to: 5},
		{name: "middle", chores: 5, first: 2, size: 2, from: 2, to: 3, next: 4},
		{name: "full last page", chores: 4, first: 3, size: 2, from: 3, to: 4},
		{name: "behind the end", chores: 3, first: 4},
		{name: "far behind the end", chores: 3, first: math.MaxInt32, size: math.MaxInt32},
		{name: "limit of everything", chores: 3, maxPage: math.MaxInt, from: 1, to: 3},
		{name: "negative number", chores: 3, first: -1, code: codes.InvalidArgument},
		{name: "negative size", chores: 3, size: -1, code: codes.InvalidArgument},
	}
	for _, tt := range tests {
		for _, portion := range []int{math.MaxInt, 1, 2} {
			t.Run(fmt.Sprintf("%s by %d", tt.name, portion), func(t *testing.T) {
				memory := rosieFilled(t, rosieDescriptions(tt.chores)...)
				store := &rosieStore{list: func(ctx context.Context, first, limit int) ([]housework.Chore, error) {
					return memory.List(ctx, first, min(limit, portion))
				}}
				r := &housework.Rosie{Store: store, MaxPage: tt.maxPage}
				in := houseworkv1.ListRequest_builder{FirstNumber: tt.first, PageSize: tt.size}.Build()
				out, err := r.List(t.Context(), in)
				if status.Code(err) != tt.code {
					t.Fatalf("List = %v, %v, want %v", out, err, tt.code)
				}
				var want, got []string
				if tt.from > 0 {
					want = rosieDescriptions(tt.to)[tt.from-1:]
				}
				for _, c := range out.GetChores() {
					got = append(got, c.GetDescription())
				}
				if !slices.Equal(got, want) || out.GetNextNumber() != tt.next {
					t.Errorf("List = %v, next %d, want %v, next %d", got, out.GetNextNumber(), want, tt.next)
				}
			})
		}
	}
}

// Files may hold descriptions of any length. A page is near a MiB at most, but has one
// chore in any case.
func TestRosieListEndsAtMiB(t *testing.T) {
	list := []housework.Chore{
		{Description: strings.Repeat("a", 1<<19)},
		{Description: strings.Repeat("b", 1<<19-16)}, // with the first one a MiB to the byte
		{Complete: true},
		{Description: strings.Repeat("c", 1<<21)},
		{},
	}
	if n := proto.Size(houseworkv1.Chores_builder{Chores: []*houseworkv1.Chore{
		houseworkv1.Chore_builder{Description: list[0].Description}.Build(),
		houseworkv1.Chore_builder{Description: list[1].Description}.Build(),
	}}.Build()); n != 1<<20 {
		t.Fatalf("the first page has %d bytes, want a MiB", n)
	}
	r := &housework.Rosie{Store: &rosieStore{list: func(_ context.Context, first, limit int) ([]housework.Chore, error) {
		rest := list[min(first-1, len(list)):]
		return rest[:min(limit, len(rest))], nil
	}}}
	var counts []int
	for next := int32(1); next != 0; {
		page, err := r.List(t.Context(), houseworkv1.ListRequest_builder{FirstNumber: next}.Build())
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, len(page.GetChores()))
		next = page.GetNextNumber()
	}
	if want := []int{2, 1, 1, 1}; !slices.Equal(counts, want) {
		t.Errorf("pages of %v chores, want %v", counts, want)
	}
}

// A Store that is at fault is not repeated to clients: more chores than asked, and
// chores behind the last number that fits.
func TestRosieListCutsWhatIsTooMuch(t *testing.T) {
	r := &housework.Rosie{Store: &rosieStore{list: func(context.Context, int, int) ([]housework.Chore, error) {
		return make([]housework.Chore, 5), nil
	}}}
	for _, tt := range []struct {
		first, size int32
		want        int
		next        int32
	}{
		{1, 2, 2, 3},
		{math.MaxInt32, 0, 1, 0},
		{math.MaxInt32 - 1, 5, 2, 0},
		{math.MaxInt32 - 1, 1, 1, math.MaxInt32},
	} {
		in := houseworkv1.ListRequest_builder{FirstNumber: tt.first, PageSize: tt.size}.Build()
		out, err := r.List(t.Context(), in)
		if err != nil || len(out.GetChores()) != tt.want || out.GetNextNumber() != tt.next {
			t.Errorf("List(%v) = %d chores, next %d, %v, want %d, next %d", in, len(out.GetChores()), out.GetNextNumber(), err, tt.want, tt.next)
		}
	}
}
