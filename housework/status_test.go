package housework_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// Each error of a Store keeps its meaning on the way to a client, and nothing else of
// it is told but what is wrong with a request.
func TestStatusThereAndBack(t *testing.T) {
	other := errors.New("open /secret: too bad")
	tests := []struct {
		err     error
		code    codes.Code
		reason  houseworkv1.Fault_Reason
		number  int32
		message string // also the text of the error of the client, after "housework: "
	}{
		{&housework.ChoreError{Number: 7, Err: housework.ErrNotFound}, codes.NotFound, houseworkv1.Fault_NOT_FOUND, 7, "chore 7 not found"},
		{fmt.Errorf("%w: %w", other, &housework.ChoreError{Number: -3, Err: housework.ErrNotFound}), codes.NotFound, houseworkv1.Fault_NOT_FOUND, -3, "chore -3 not found"},
		{housework.ErrNotFound, codes.NotFound, houseworkv1.Fault_NOT_FOUND, 0, "not found"},
		{fmt.Errorf("%w: no description", housework.ErrInvalid), codes.InvalidArgument, houseworkv1.Fault_INVALID, 0, "invalid: no description"},
		{&housework.ChoreError{Number: 2, Err: housework.ErrInvalid}, codes.InvalidArgument, houseworkv1.Fault_INVALID, 2, "chore 2: invalid"},
		{fmt.Errorf("%w: %w", housework.ErrTooMany, other), codes.ResourceExhausted, houseworkv1.Fault_TOO_MANY, 0, "too many chores at once"},
		{fmt.Errorf("%w: %w", housework.ErrFull, other), codes.ResourceExhausted, houseworkv1.Fault_FULL, 0, "list is full"},
		{fmt.Errorf("%w: %w", housework.ErrRequestIDUsed, other), codes.AlreadyExists, houseworkv1.Fault_REQUEST_ID_USED, 0, "request id was used for other chores"},
		{fmt.Errorf("%w: %w", housework.ErrConflict, other), codes.Aborted, houseworkv1.Fault_CONFLICT, 0, "list was changed at the same time"},
		{fmt.Errorf("%w: %w", housework.ErrClosed, other), codes.Unavailable, houseworkv1.Fault_CLOSED, 0, "store is closed: file already closed"},
		{fmt.Errorf("%w: %w", other, context.DeadlineExceeded), codes.DeadlineExceeded, 0, 0, "context deadline exceeded"},
		{fmt.Errorf("%w: %w", other, context.Canceled), codes.Canceled, 0, 0, "context canceled"},
		{other, codes.Internal, 0, 0, "internal error"},
	}
	sentinels := []error{
		housework.ErrNotFound, housework.ErrInvalid, housework.ErrTooMany, housework.ErrFull, housework.ErrRequestIDUsed,
		housework.ErrConflict, housework.ErrClosed, fs.ErrClosed, context.DeadlineExceeded, context.Canceled,
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			sent := housework.ToStatus(tt.err)
			if st := status.Convert(sent); st.Code() != tt.code || st.Message() != tt.message {
				t.Errorf("status %v: %q, want %v: %q", st.Code(), st.Message(), tt.code, tt.message)
			}
			if tt.reason != 0 {
				if f := guardFault(t, sent); f.GetReason() != tt.reason || f.GetChoreNumber() != tt.number {
					t.Errorf("fault %v, want %v with number %d", f, tt.reason, tt.number)
				}
			}
			got := housework.FromStatus(sent)
			for _, s := range sentinels {
				if errors.Is(got, s) != errors.Is(tt.err, s) {
					t.Errorf("%v matches %v: %v", got, s, errors.Is(got, s))
				}
			}
			if status.Code(got) != tt.code || !errors.Is(got, sent) {
				t.Errorf("%v has the code %v and hides the status, want %v", got, status.Code(got), tt.code)
			}
			if e, ok := errors.AsType[*housework.ChoreError](got); tt.number != 0 && (!ok || e.Number != int(tt.number)) {
				t.Errorf("%v is about chore %v, want %d", got, e, tt.number)
			}
			if want := "housework: " + tt.message; tt.code != codes.Internal && got.Error() != want {
				t.Errorf("text %q, want %q", got, want)
			}
		})
	}
	if housework.ToStatus(nil) != nil || housework.FromStatus(nil) != nil {
		t.Error("no error becomes one")
	}
}

// A service may stand behind another one.
func TestStatusTwice(t *testing.T) {
	first := housework.FromStatus(housework.ToStatus(&housework.ChoreError{Number: 7, Err: housework.ErrNotFound}))
	second := housework.ToStatus(first)
	if s, want := status.Convert(second), "chore 7 not found"; s.Code() != codes.NotFound || s.Message() != want {
		t.Errorf("status %v, want NotFound and %q", second, want)
	}
}

// What comes from a server is somebody else's text.
func TestStatusOfOthers(t *testing.T) {
	detailed := func(code codes.Code, details ...*houseworkv1.Fault) error {
		s := status.New(code, "text")
		for _, d := range details {
			var err error
			if s, err = s.WithDetails(d); err != nil {
				t.Fatal(err)
			}
		}
		return s.Err()
	}
	plain := errors.New("plain")
	tests := []struct {
		name string
		err  error
		want error // that it matches, or nil
		text string
	}{
		{"not a status", plain, plain, "plain"},
		{"gRPC itself", status.Error(codes.Unavailable, "connection refused"), nil, "housework: Unavailable: connection refused"},
		{"control characters", status.Error(codes.Internal, "\x1b[2J\n"), nil, `housework: Internal: "\x1b[2J\n"`},
		{"no message", status.Error(codes.Internal, ""), nil, "housework: Internal: no message"},
		{"size limit of gRPC", status.Error(codes.ResourceExhausted, "too large"), nil, "housework: ResourceExhausted: too large"},
		{"server of the book", status.Error(codes.Unknown, "chore 12 not found"), housework.ErrNotFound, "housework: chore 12 not found"},
		{"something like the book", status.Error(codes.Unknown, "chore x not found"), nil, "housework: Unknown: chore x not found"},
		{"reason to come", detailed(codes.Aborted, houseworkv1.Fault_builder{Reason: 99}.Build()), nil, "housework: Aborted: text"},
		{
			"two details",
			detailed(codes.Aborted, houseworkv1.Fault_builder{Reason: 99}.Build(), houseworkv1.Fault_builder{Reason: houseworkv1.Fault_CONFLICT}.Build()),
			housework.ErrConflict, "housework: text",
		},
		{"deadline", status.Error(codes.DeadlineExceeded, "late"), context.DeadlineExceeded, "housework: late"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := housework.FromStatus(tt.err)
			if err.Error() != tt.text {
				t.Errorf("text %q, want %q", err, tt.text)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%v does not match %v", err, tt.want)
			}
			if tt.want == nil && (errors.Is(err, housework.ErrNotFound) || errors.Is(err, housework.ErrConflict)) {
				t.Errorf("%v matches an error of this package", err)
			}
			if status.Code(err) != status.Code(tt.err) {
				t.Errorf("code %v, want %v", status.Code(err), status.Code(tt.err))
			}
		})
	}
}

// Texts travel in a header, and in a field that must be UTF-8.
func TestStatusTextIsBounded(t *testing.T) {
	err := housework.ToStatus(fmt.Errorf("%w: \xff %s", housework.ErrInvalid, strings.Repeat("é", 10000)))
	text := status.Convert(err).Message()
	if len(text) > 1100 || !utf8.ValidString(text) || !strings.HasPrefix(text, "invalid: \uFFFD éé") {
		t.Errorf("text of %d bytes: %.30q", len(text), text)
	}
	if _, err := proto.Marshal(status.Convert(err).Proto()); err != nil {
		t.Error(err)
	}
}
