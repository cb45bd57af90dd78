package housework

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

const (
	defaultMaxAdd  = 1000
	defaultMaxPage = 1000
	maxPageBytes   = 1 << 20
)

// Rosie is the gRPC service RobotMaid over a Store. A [Server] has one; for another
// *grpc.Server, use Register.
//
// Errors of the store become statuses: NotFound, InvalidArgument, ResourceExhausted
// for ErrTooMany and ErrFull, AlreadyExists for ErrRequestIDUsed, Aborted for
// ErrConflict, Unavailable for ErrClosed, each with a houseworkv1.Fault among its
// details. Those of a context become DeadlineExceeded and Canceled. Of other errors,
// and of panics, clients learn only that the code is Internal.
//
// The message of a status says which chore was not found and what is invalid, the
// latter in the words of the store, and otherwise no more than the code.
type Rosie struct {
	houseworkv1.UnimplementedRobotMaidServer

	// Store keeps the list. It must not be nil.
	Store Store

	// MaxAdd is how many chores one call may add, or complete. If zero, it is 1,000.
	MaxAdd int

	// MaxPage is how many chores a page of List may have. If zero, it is 1,000. A page is
	// also ended before it has more than a MiB, unless it would be empty.
	MaxPage int

	// OnError is called with the errors that clients learn nothing of; that of a panic
	// has the stack. It may be called by several goroutines. If nil, it is not called.
	OnError func(ctx context.Context, err error)
}

func (r *Rosie) maxAdd() int  { return cmp.Or(r.MaxAdd, defaultMaxAdd) }
func (r *Rosie) maxPage() int { return cmp.Or(r.MaxPage, defaultMaxPage) }

// Register registers the service with a server. It panics if there is no Store.
//
// The generated houseworkv1.RegisterRobotMaidServer works, too, but decodes what
// clients send before the limits are looked at. That allocates 60 times the size of a
// list of empty chores, and thousands of times that of numbers in many parts.
func (r *Rosie) Register(s grpc.ServiceRegistrar) {
	if r.Store == nil {
		panic("housework: Rosie has no Store")
	}
	s.RegisterService(&robotMaid, r)
}

// Add implements the method of the service.
func (r *Rosie) Add(ctx context.Context, in *houseworkv1.Chores) (*houseworkv1.Response, error) {
	out := &houseworkv1.Response{}
	err := r.do(ctx, func() error {
		chores, err := r.received(in)
		if err != nil {
			return err
		}
		first, err := r.Store.Add(ctx, in.GetRequestId(), chores)
		if err != nil {
			return err
		}
		if first < 1 || first > math.MaxInt32 {
			// They were added: an error would have them added once more. Numbers that
			// do not fit are not told.
			r.report(ctx, fmt.Errorf("housework: first number %d does not fit into a response", first))
			first = 0
		}
		out.SetMessage("ok")
		out.SetFirstNumber(int32(first))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// received returns the chores of a request, if the service takes them. It repeats what
// a Store looks at, so that one that does not cannot be given what is invalid. A chore
// that is nil has no description.
func (r *Rosie) received(in *houseworkv1.Chores) ([]Chore, error) {
	messages := in.GetChores()
	if limit := r.maxAdd(); len(messages) > limit {
		return nil, &tooManyError{limit}
	}
	chores := make([]Chore, len(messages))
	for i, m := range messages {
		chores[i] = Chore{Complete: m.GetComplete(), Description: m.GetDescription()}
	}
	return chores, ValidateAdd(in.GetRequestId(), chores)
}

// Complete implements the method of the service.
func (r *Rosie) Complete(ctx context.Context, in *houseworkv1.CompleteRequest) (*houseworkv1.Response, error) {
	out := &houseworkv1.Response{}
	err := r.do(ctx, func() error {
		more := in.GetMoreNumbers()
		if limit := r.maxAdd(); len(more) > limit {
			return &tooManyError{limit}
		}
		var numbers []int
		// A client of the book may well ask for number 0, and is told that there is none.
		if n := in.GetChoreNumber(); n != 0 || len(more) == 0 {
			numbers = append(numbers, int(n))
		}
		for _, n := range more {
			numbers = append(numbers, int(n))
		}
		out.SetMessage("ok")
		return r.Store.Complete(ctx, numbers...)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// List implements the method of the service.
func (r *Rosie) List(ctx context.Context, in *houseworkv1.ListRequest) (*houseworkv1.Chores, error) {
	var out *houseworkv1.Chores
	err := r.do(ctx, func() error {
		first, size := int(cmp.Or(in.GetFirstNumber(), 1)), int(in.GetPageSize())
		if first < 1 || size < 0 {
			return fmt.Errorf("%w: page of %d chores from number %d", ErrInvalid, size, first)
		}
		if limit := r.maxPage(); size == 0 || size > limit {
			size = limit
		}
		// No more than there are numbers in an int32, and one more must fit into an int.
		size = min(size, math.MaxInt32-first+1, math.MaxInt32-1)
		chores, err := r.page(ctx, first, size)
		if err != nil {
			return err
		}
		out, err = encodePage(first, size, chores)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// page asks the store for the chores of a page and one more, which tells whether there
// is a next page. A Store may return fewer chores than it has, so it is asked until
// it has no more.
func (r *Rosie) page(ctx context.Context, first, size int) ([]Chore, error) {
	chores, err := r.Store.List(ctx, first, size+1)
	for n := len(chores); err == nil && n > 0 && len(chores) <= min(size, math.MaxInt32-first); {
		var more []Chore
		more, err = r.Store.List(ctx, first+len(chores), size+1-len(chores))
		chores, n = append(chores, more...), len(more)
	}
	return chores, err
}

// encodePage returns the message for a page of at most size chores. More chores than
// that mean that there is a next page.
func encodePage(first, size int, chores []Chore) (*houseworkv1.Chores, error) {
	n, bytes := 0, 0
	for n < min(size, len(chores)) {
		if !utf8.ValidString(chores[n].Description) {
			return nil, fmt.Errorf("housework: description of chore %d in the store is not UTF-8", first+n)
		}
		bytes += encodedSize(chores[n])
		if n > 0 && bytes > maxPageBytes {
			break
		}
		n++
	}
	list := newChores(n)
	for i, c := range list {
		c.SetComplete(chores[i].Complete)
		c.SetDescription(chores[i].Description)
	}
	out := &houseworkv1.Chores{}
	out.SetChores(list)
	if n < len(chores) && n <= math.MaxInt32-first {
		out.SetNextNumber(int32(first + n))
	}
	return out, nil
}

// encodedSize returns how many bytes a chore takes in a page.
func encodedSize(c Chore) int {
	n := 0
	if c.Complete {
		n += protowire.SizeTag(fieldComplete) + 1
	}
	if c.Description != "" {
		n += protowire.SizeTag(fieldDescription) + protowire.SizeBytes(len(c.Description))
	}
	return protowire.SizeTag(fieldChores) + protowire.SizeBytes(n)
}

// do runs what a call does, unless ctx has ended before, and returns the status for
// its error.
func (r *Rosie) do(ctx context.Context, call func() error) error {
	err := ctx.Err()
	if err == nil {
		err = recovered(call)
	}
	st := toStatus(err)
	if status.Code(st) == codes.Internal {
		r.report(ctx, err)
	}
	return st
}

func (r *Rosie) report(ctx context.Context, err error) {
	if r.OnError != nil {
		r.OnError(ctx, err)
	}
}

// recovered returns the error of call, or what it panicked with.
func recovered(call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("housework: panic: %v\n\n%s", v, debug.Stack())
		}
	}()
	return call()
}
