package housework

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// maxStatusText is how many bytes of an error's text clients are sent: it travels in
// a header.
const maxStatusText = 1024

// faults says which error has which reason and code, in both directions.
var faults = []struct {
	err    error
	reason houseworkv1.Fault_Reason
	code   codes.Code
}{
	{ErrNotFound, houseworkv1.Fault_NOT_FOUND, codes.NotFound},
	{ErrInvalid, houseworkv1.Fault_INVALID, codes.InvalidArgument},
	{ErrTooMany, houseworkv1.Fault_TOO_MANY, codes.ResourceExhausted},
	{ErrFull, houseworkv1.Fault_FULL, codes.ResourceExhausted},
	{ErrRequestIDUsed, houseworkv1.Fault_REQUEST_ID_USED, codes.AlreadyExists},
	{ErrConflict, houseworkv1.Fault_CONFLICT, codes.Aborted},
	{ErrClosed, houseworkv1.Fault_CLOSED, codes.Unavailable},
}

// A tooManyError says that a request is about more chores than a call may be.
type tooManyError struct{ limit int }

func (e *tooManyError) Error() string {
	return fmt.Sprintf("housework: more than %d chores at once", e.limit)
}

func (e *tooManyError) Unwrap() error { return ErrTooMany }

// toStatus returns the status that clients get for an error of a store. Its code is
// Internal if they are not to learn what went wrong.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	for _, f := range faults {
		if errors.Is(err, f.err) {
			fault := &houseworkv1.Fault{}
			fault.SetReason(f.reason)
			st := status.New(f.code, describeFault(err, f.err, fault))
			if detailed, err := st.WithDetails(fault); err == nil {
				st = detailed
			} // else the code has to do; a Fault has no strings that could be at fault
			return st.Err()
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, context.DeadlineExceeded.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, context.Canceled.Error())
	}
	return status.Error(codes.Internal, "internal error")
}

// describeFault returns the message for err, which matches kind, and fills in the
// rest of the fault. What is wrong with a request, clients are told as it is; of the
// others they learn the kind alone, as what a store wraps may be a path.
func describeFault(err, kind error, fault *houseworkv1.Fault) string {
	text := kind.Error()
	if e, ok := errors.AsType[*ChoreError](err); ok {
		if n := int32(e.Number); int(n) == e.Number { // others clients cannot have sent
			fault.SetChoreNumber(n)
		}
		if kind == ErrNotFound {
			return fmt.Sprintf("chore %d not found", e.Number) // the words of the book
		}
	}
	if e, ok := errors.AsType[*tooManyError](err); ok {
		fault.SetLimit(int64(e.limit))
		text = e.Error()
	}
	if kind == ErrInvalid {
		text = err.Error()
	}
	text = strings.TrimPrefix(text, "housework: ")
	return strings.ToValidUTF8(text[:min(len(text), maxStatusText)], "\uFFFD")
}

// A statusError is a status that a server sent. It matches the error that the store
// of the server returned, as far as that can be told.
type statusError struct {
	error  // the status
	status *status.Status
	cause  error
}

// fromStatus is the way back of toStatus: an error of a call that matches what the
// server's store returned, while status.Code still gives the code. Other errors stay
// as they are.
func fromStatus(err error) error {
	st, ok := status.FromError(err)
	if !ok || err == nil {
		return err
	}
	return &statusError{error: err, status: st, cause: causeOf(st)}
}

// causeOf returns the error that a status stands for, or nil.
func causeOf(st *status.Status) error {
	for _, detail := range st.Proto().GetDetails() {
		// One at a time and no other message than this one, as a server may send any.
		var fault houseworkv1.Fault
		if !detail.MessageIs(&fault) || detail.UnmarshalTo(&fault) != nil {
			continue
		}
		for _, f := range faults {
			if f.reason == fault.GetReason() {
				return aboutChore(int(fault.GetChoreNumber()), f.err)
			}
		}
	}
	switch st.Code() {
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	case codes.Unknown:
		// The server of the book has no codes.
		text, found := strings.CutSuffix(st.Message(), " not found")
		text, chore := strings.CutPrefix(text, "chore ")
		if n, err := strconv.Atoi(text); found && chore && err == nil {
			return &ChoreError{Number: n, Err: ErrNotFound}
		}
	}
	return nil
}

// aboutChore returns err as one about a chore, if it is about one.
func aboutChore(number int, err error) error {
	if number != 0 || err == ErrNotFound {
		return &ChoreError{Number: number, Err: err}
	}
	return err
}

// Error implements error. The message is the text of somebody else, so that it is
// quoted where it is not printable.
func (e *statusError) Error() string {
	text := cmp.Or(e.status.Message(), "no message")
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		text = strconv.Quote(text)
	}
	if e.cause != nil {
		return "housework: " + text
	}
	return fmt.Sprintf("housework: %v: %s", e.status.Code(), text)
}

// GRPCStatus lets package status find the status.
func (e *statusError) GRPCStatus() *status.Status { return e.status }

// Unwrap returns the cause and what gRPC returned.
func (e *statusError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.error}
	}
	return []error{e.cause, e.error}
}
