package housework_test

import (
	"context"
	"errors"
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

func TestRosieAdd(t *testing.T) {
	store := rosieFilled(t, "Mop floors")
	r := &housework.Rosie{Store: store}
	in := houseworkv1.Chores_builder{
		RequestId: "abc",
		Chores: []*houseworkv1.Chore{
			houseworkv1.Chore_builder{Description: "Clean dishes", Complete: true}.Build(),
			houseworkv1.Chore_builder{Description: "Mow the lawn", RequestId: "xyz"}.Build(),
		},
	}.Build()
	for range 2 { // the second time it is known
		out, err := r.Add(t.Context(), in)
		if err != nil || out.GetMessage() != "ok" || out.GetFirstNumber() != 2 {
			t.Fatalf("Add = %v, %v, want ok and number 2", out, err)
		}
	}
	chores, err := store.List(t.Context(), 1, 10)
	want := []housework.Chore{
		{Description: "Mop floors"},
		{Description: "Clean dishes", Complete: true, RequestID: "abc"},
		{Description: "Mow the lawn", RequestID: "abc"},
	}
	if err != nil || !slices.Equal(chores, want) {
		t.Errorf("the store has %v, %v, want %v", chores, err, want)
	}
	page, err := r.List(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page.GetChores() {
		if c.GetRequestId() != "" {
			t.Errorf("List sends the request id of %v", c)
		}
	}
}

func TestRosieAddNothing(t *testing.T) {
	r := &housework.Rosie{Store: rosieFilled(t, "Mop floors")}
	for _, in := range []*houseworkv1.Chores{nil, {}} {
		if out, err := r.Add(t.Context(), in); err != nil || out.GetFirstNumber() != 2 {
			t.Errorf("Add(%v) = %v, %v, want number 2", in, out, err)
		}
	}
}

// The limits hold for a Store that looks at nothing.
func TestRosieAddRefuses(t *testing.T) {
	tests := []struct {
		name  string
		in    *houseworkv1.Chores
		code  codes.Code
		fault *houseworkv1.Fault
	}{
		{
			"too many", rosieRequest("", "a", "b", "c", "d"), codes.ResourceExhausted,
			houseworkv1.Fault_builder{Reason: houseworkv1.Fault_TOO_MANY, Limit: 3}.Build(),
		},
		{
			"empty description", rosieRequest("", "a", ""), codes.InvalidArgument,
			houseworkv1.Fault_builder{Reason: houseworkv1.Fault_INVALID, ChoreNumber: 2}.Build(),
		},
		{
			"long description", rosieRequest("", strings.Repeat("a", 1025)), codes.InvalidArgument,
			houseworkv1.Fault_builder{Reason: houseworkv1.Fault_INVALID, ChoreNumber: 1}.Build(),
		},
		{
			"not UTF-8", rosieRequest("", "a", "b", "\xff"), codes.InvalidArgument,
			houseworkv1.Fault_builder{Reason: houseworkv1.Fault_INVALID, ChoreNumber: 3}.Build(),
		},
		{
			"long request id", rosieRequest(strings.Repeat("a", 65), "a"), codes.InvalidArgument,
			houseworkv1.Fault_builder{Reason: houseworkv1.Fault_INVALID}.Build(),
		},
		{
			"request id with a line end", rosieRequest("a\n", "a"), codes.InvalidArgument,
			houseworkv1.Fault_builder{Reason: houseworkv1.Fault_INVALID}.Build(),
		},
		{
			"nil", houseworkv1.Chores_builder{Chores: []*houseworkv1.Chore{nil}}.Build(), codes.InvalidArgument,
			houseworkv1.Fault_builder{Reason: houseworkv1.Fault_INVALID, ChoreNumber: 1}.Build(),
		},
	}
	r := &housework.Rosie{Store: &rosieStore{}, MaxAdd: 3}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := r.Add(t.Context(), tt.in)
			if out != nil || status.Code(err) != tt.code {
				t.Fatalf("Add = %v, %v, want %v", out, err, tt.code)
			}
			if f := guardFault(t, err); !proto.Equal(f, tt.fault) {
				t.Errorf("fault %v, want %v", f, tt.fault)
			}
		})
	}
}

func TestRosieComplete(t *testing.T) {
	thousand := make([]int32, 1001)
	tests := []struct {
		name string
		in   *houseworkv1.CompleteRequest
		want []int // nil: the store is not asked
		code codes.Code
	}{
		{"one", houseworkv1.CompleteRequest_builder{ChoreNumber: 2}.Build(), []int{2}, codes.OK},
		{"nothing", nil, []int{0}, codes.OK}, // as far as this store knows
		{"more", houseworkv1.CompleteRequest_builder{MoreNumbers: []int32{3, 1}}.Build(), []int{3, 1}, codes.OK},
		{"one and more", houseworkv1.CompleteRequest_builder{ChoreNumber: -1, MoreNumbers: []int32{0, math.MinInt32}}.Build(), []int{-1, 0, math.MinInt32}, codes.OK},
		{"most", houseworkv1.CompleteRequest_builder{MoreNumbers: thousand[1:]}.Build(), make([]int, 1000), codes.OK},
		{"too many", houseworkv1.CompleteRequest_builder{MoreNumbers: thousand}.Build(), nil, codes.ResourceExhausted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			r := &housework.Rosie{Store: &rosieStore{complete: func(_ context.Context, numbers ...int) error {
				got = numbers
				return nil
			}}}
			out, err := r.Complete(t.Context(), tt.in)
			if status.Code(err) != tt.code || (err == nil) != (out.GetMessage() == "ok") {
				t.Errorf("Complete = %v, %v, want %v", out, err, tt.code)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the store completes %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRosieCompletesAllOrNone(t *testing.T) {
	store := rosieFilled(t, "Mop floors", "Clean dishes")
	r := &housework.Rosie{Store: store}
	_, err := r.Complete(t.Context(), houseworkv1.CompleteRequest_builder{ChoreNumber: 1, MoreNumbers: []int32{7}}.Build())
	if st := status.Convert(err); st.Code() != codes.NotFound || st.Message() != "chore 7 not found" {
		t.Errorf("Complete = %v, want NotFound and chore 7 not found", err)
	}
	if f := guardFault(t, err); f.GetReason() != houseworkv1.Fault_NOT_FOUND || f.GetChoreNumber() != 7 {
		t.Errorf("fault %v, want NOT_FOUND with number 7", f)
	}
	if chores, err := store.List(t.Context(), 1, 1); err != nil || chores[0].Complete {
		t.Errorf("the store has %v, %v after a failed Complete", chores, err)
	}
}

// A call whose time is over is not begun, and the store sees the context of the call.
func TestRosieContexts(t *testing.T) {
	type key struct{}
	ended, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "here"))
	calls := 0
	note := func(ctx context.Context) error {
		calls++
		if ctx.Value(key{}) != "here" {
			return errors.New("another context")
		}
		cancel()
		return ctx.Err()
	}
	r := &housework.Rosie{
		Store: &rosieStore{
			add:      func(ctx context.Context, _ string, _ []housework.Chore) (int, error) { return 1, note(ctx) },
			complete: func(ctx context.Context, _ ...int) error { return note(ctx) },
			list:     func(ctx context.Context, _, _ int) ([]housework.Chore, error) { return nil, note(ctx) },
		},
		OnError: func(_ context.Context, err error) { t.Errorf("OnError(%v)", err) },
	}
	for i, want := range []int{1, 1} {
		if _, err := r.Add(ended, rosieRequest("", "a")); status.Code(err) != codes.Canceled || calls != want {
			t.Errorf("Add %d = %v after %d calls of the store, want Canceled after %d", i, err, calls, want)
		}
	}
	if _, err := r.Complete(ended, nil); status.Code(err) != codes.Canceled || calls != 1 {
		t.Errorf("Complete = %v after %d calls of the store, want Canceled after 1", err, calls)
	}
	if _, err := r.List(ended, nil); status.Code(err) != codes.Canceled || calls != 1 {
		t.Errorf("List = %v after %d calls of the store, want Canceled after 1", err, calls)
	}
	late, cancelLate := context.WithTimeout(t.Context(), 0)
	defer cancelLate()
	if _, err := r.List(late, nil); status.Code(err) != codes.DeadlineExceeded || calls != 1 {
		t.Errorf("List = %v after %d calls of the store, want DeadlineExceeded after 1", err, calls)
	}
}

// What goes wrong in a Store is no business of clients, and does not end the server.
func TestRosieTellsOnErrorAlone(t *testing.T) {
	tests := []struct {
		name string
		list func() ([]housework.Chore, error)
		want string
	}{
		{"error", func() ([]housework.Chore, error) { return nil, errors.New("disk /secret is broken") }, "disk /secret is broken"},
		{"panic", func() ([]housework.Chore, error) { panic("secret") }, "rosie_test.go:"}, // in the stack
		{"not UTF-8", func() ([]housework.Chore, error) {
			return []housework.Chore{{Description: "secret"}, {Description: "\xff"}}, nil
		}, "chore 2 in the store is not UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told []error
			r := &housework.Rosie{
				Store: &rosieStore{list: func(_ context.Context, first, _ int) ([]housework.Chore, error) {
					if first > 1 {
						return nil, nil
					}
					return tt.list()
				}},
				OnError: func(_ context.Context, err error) { told = append(told, err) },
			}
			out, err := r.List(t.Context(), nil)
			if st := status.Convert(err); out != nil || st.Code() != codes.Internal || strings.Contains(st.String(), "secret") {
				t.Errorf("List = %v, %v, want Internal and no more", out, err)
			}
			if len(told) != 1 || !strings.Contains(told[0].Error(), tt.want) {
				t.Errorf("OnError is told %v, want %q", told, tt.want)
			}
			r.OnError = nil
			if _, err := r.List(t.Context(), nil); status.Code(err) != codes.Internal {
				t.Errorf("List without OnError = %v, want Internal", err)
			}
		})
	}
}

// Chores that were added must not be added again because their number does not fit.
func TestRosieNumberDoesNotFit(t *testing.T) {
	for _, n := range []int64{math.MaxInt32 + 1, 1 << 32, 0, -1} {
		told := 0
		r := &housework.Rosie{
			Store: &rosieStore{add: func(context.Context, string, []housework.Chore) (int, error) {
				return int(n), nil // on 32 bits another number that is wrong
			}},
			OnError: func(context.Context, error) { told++ },
		}
		out, err := r.Add(t.Context(), rosieRequest("", "a"))
		if err != nil || out.GetMessage() != "ok" || out.GetFirstNumber() != 0 || told != 1 {
			t.Errorf("Add = %v, %v with %d errors told for number %d, want ok, no number, and 1", out, err, told, n)
		}
	}
}

func TestRosieRegisterWithoutStore(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Register of a Rosie without a Store does not panic")
		}
	}()
	new(housework.Rosie).Register(new(guardRegistrar))
}
