package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
	"github.com/netparts/netparts/housework"
)

// A call is one to etcd that an interceptor may have made, or not.
type call func() error

// onWrites returns an interceptor that has f make those calls that change something.
// They are counted from 1.
func onWrites(f func(ctx context.Context, n int, make call) error) grpc.UnaryClientInterceptor {
	var count atomic.Int64
	return func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		make := func() error { return invoke(ctx, method, in, out, conn, options...) }
		if txn, ok := in.(*etcdserverpb.TxnRequest); ok && len(txn.Success) > 0 && txn.Success[0].GetRequestPut() != nil {
			return f(ctx, int(count.Add(1)), make)
		}
		return make()
	}
}

var (
	errLost = status.Error(codes.Unavailable, "the connection is lost")
	errDown = status.Error(codes.Internal, "the member is broken")
)

// The Store tries again when there is no answer, and does not add twice, whether what
// was asked was done or not.
func TestAnswerLost(t *testing.T) {
	tests := []struct {
		name string
		lose func(ctx context.Context, n int, make call) error
	}{
		{"before it was done", func(_ context.Context, n int, make call) error {
			if n%3 != 0 {
				return errLost
			}
			return make()
		}},
		{"after it was done", func(_ context.Context, n int, make call) error {
			if err := make(); err != nil || n%3 == 0 {
				return err
			}
			return errLost
		}},
		{"by a member that hangs", func(ctx context.Context, n int, make call) error {
			if n%3 == 0 {
				return make()
			}
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		}},
		{"by a member that hangs after it", func(ctx context.Context, n int, make call) error {
			if err := make(); err != nil || n%3 == 0 {
				return err
			}
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, onWrites(tt.lose))
			s.AttemptTimeout = 50 * time.Millisecond
			ctx := soon(t)
			for i := range 4 {
				id := ""
				if i%2 == 1 {
					id = fmt.Sprint("request ", i)
				}
				if first, err := s.Add(ctx, id, chores(7, 0)); first != 7*i+1 || err != nil {
					t.Fatalf("Add = %d, %v, want %d", first, err, 7*i+1)
				}
				if err := s.Complete(ctx, 7*i+1); err != nil {
					t.Fatal(err)
				}
			}
			list := all(t, s)
			if len(list) != 28 {
				t.Errorf("%d chores, want 28", len(list))
			}
			for i, c := range list {
				if c.Complete != (i%7 == 0) {
					t.Errorf("chore %d: Complete is %v", i+1, c.Complete)
				}
			}
		})
	}
}

// The attempt before has changed the list, so that the error of the next is not told.
func TestErrorAfterAnswerLost(t *testing.T) {
	s := open(t, onWrites(func(_ context.Context, n int, make call) error {
		switch n {
		case 1:
			if err := make(); err != nil {
				return err
			}
			return errLost
		case 2:
			return errDown
		}
		return make()
	}))
	for want := 1; want <= 2; want++ {
		if first, err := s.Add(soon(t), "", chores(1, 0)); first != want || err != nil {
			t.Errorf("Add = %d, %v, want %d", first, err, want)
		}
	}
}

// etcd makes the change that uses up its space, and says that it did not.
func TestNoSpaceButMade(t *testing.T) {
	s := open(t, onWrites(func(_ context.Context, _ int, make call) error {
		if err := make(); err != nil {
			return err
		}
		return rpctypes.ErrGRPCNoSpace
	}))
	if first, err := s.Add(soon(t), "", chores(1, 0)); first != 1 || err != nil {
		t.Errorf("Add = %d, %v", first, err)
	}
	if err := s.Complete(soon(t), 1); err != nil {
		t.Error(err)
	}
}

// An error that does not pass is told at once, and the next call begins anew.
func TestErrorOfEtcd(t *testing.T) {
	s := open(t, onWrites(func(_ context.Context, n int, make call) error {
		if n == 1 {
			return errDown
		}
		return make()
	}))
	if _, err := s.Add(soon(t), "", chores(1, 0)); status.Code(err) != codes.Internal {
		t.Errorf("Add: %v, want %v", err, errDown)
	}
	if first, err := s.Add(soon(t), "", chores(1, 0)); first != 1 || err != nil {
		t.Errorf("Add = %d, %v", first, err)
	}
}

// A Complete that has failed is not taken for done.
func TestCompleteAgain(t *testing.T) {
	s := open(t, onWrites(func(_ context.Context, n int, make call) error {
		if n == 5 {
			return errDown
		}
		return make()
	}))
	ctx := soon(t)
	for range 3 {
		if _, err := s.Add(ctx, "", chores(6000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Complete(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(ctx, 1); status.Code(err) != codes.Internal {
		t.Errorf("Complete: %v, want %v", err, errDown)
	}
	for _, n := range []int{18_000, 1} { // which stand in two keys
		if err := s.Complete(ctx, n); err != nil {
			t.Fatal(err)
		}
		if page, err := s.List(ctx, n, 1); err != nil || !page[0].Complete {
			t.Errorf("chore %d: %+v, %v", n, page, err)
		}
	}
}

// Another is always before: that ends, and nothing was changed.
func TestConflict(t *testing.T) {
	t.Parallel() // for some seconds, most of which it waits
	other := connect(t)
	var s *etcdstore.Store
	tries := 0
	s = open(t, onWrites(func(ctx context.Context, n int, make call) error {
		tries = n
		for _, key := range []string{"count", "done/00000000"} {
			value := map[string]string{"count": "0"}[key]
			if _, err := other.Put(ctx, s.Prefix+key, value); err != nil {
				return err
			}
		}
		return make()
	}))
	if _, err := s.Add(soon(t), "id", chores(1, 0)); !errors.Is(err, housework.ErrConflict) {
		t.Errorf("Add: %v, want %v", err, housework.ErrConflict)
	}
	if tries < 2 || tries > 100 {
		t.Errorf("%d tries", tries)
	}
	if list := all(t, s); len(list) != 0 {
		t.Errorf("%d chores", len(list))
	}
}

// Without a deadline of the caller, that of the Store counts.
func TestTimeout(t *testing.T) {
	s := open(t, onWrites(func(context.Context, int, call) error { return errLost }))
	s.Timeout = 50 * time.Millisecond
	if _, err := s.Add(context.Background(), "", chores(1, 0)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add: %v, want %v", err, context.DeadlineExceeded)
	}
}

// hanging returns a store whose first change waits for release, and a channel that is
// closed when it does.
func hanging(t *testing.T) (s *etcdstore.Store, waits <-chan struct{}, release func()) {
	began, released := make(chan struct{}), make(chan struct{})
	s = open(t, onWrites(func(ctx context.Context, n int, make call) error {
		if n == 1 {
			close(began)
			select {
			case <-released:
			case <-ctx.Done():
				return status.FromContextError(ctx.Err()).Err()
			}
		}
		return make()
	}))
	s.AttemptTimeout = limit
	return s, began, sync.OnceFunc(func() { close(released) })
}

// What waits for another change, and is given up, is not made.
func TestGivenUpWhileWaiting(t *testing.T) {
	s, waits, release := hanging(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer release()
	wg.Go(func() {
		if _, err := s.Add(soon(t), "", chores(1, 0)); err != nil {
			t.Error(err)
		}
	})
	<-waits
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Add(ctx, "", chores(5, 0)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add: %v", err)
	}
	release()
	if first, err := s.Add(soon(t), "", chores(1, 0)); first != 2 || err != nil {
		t.Errorf("Add = %d, %v, want 2", first, err)
	}
}

// When nobody waits any more for what hangs, the next call does not either, nor Close.
func TestGivenUpMeanwhile(t *testing.T) {
	s, waits, release := hanging(t)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := s.Add(ctx, "", chores(1, 0))
		failed <- err
	}()
	<-waits
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Add: %v", err)
	}
	begin := time.Now()
	if first, err := s.Add(soon(t), "", chores(1, 0)); first != 1 || err != nil {
		t.Errorf("Add = %d, %v", first, err)
	}
	if d := time.Since(begin); d > limit/2 {
		t.Errorf("the next Add took %v", d)
	}
}

// Close waits for what is being done.
func TestCloseWaits(t *testing.T) {
	s, waits, release := hanging(t)
	defer release()
	added := make(chan error, 1)
	go func() {
		_, err := s.Add(soon(t), "", chores(1, 0))
		added <- err
	}()
	<-waits
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		t.Errorf("Close = %v before the Add has ended", err)
	case <-time.After(20 * time.Millisecond):
		release()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	if err := <-added; err != nil {
		t.Error(err)
	}
}

// The connection belongs to the caller, who may close it first.
func TestClientIsClosed(t *testing.T) {
	s := open(t)
	if err := s.Client.Close(); err != nil {
		t.Fatal(err)
	}
	s.AttemptTimeout = limit
	begin := time.Now()
	_, err := s.Add(soon(t), "", chores(1, 0))
	if !errors.Is(err, housework.ErrClosed) {
		t.Errorf("Add: %v, want %v", err, housework.ErrClosed)
	}
	if d := time.Since(begin); d > limit/20 {
		t.Errorf("Add took %v", d)
	}
	if _, err := s.List(soon(t), 1, 1); !errors.Is(err, housework.ErrClosed) {
		t.Errorf("List: %v, want %v", err, housework.ErrClosed)
	}
}

// What others have put where the list is leads to an error that names the key, and
// nothing is added to it.
func TestDamage(t *testing.T) {
	tests := []struct {
		key, value string
		lists      bool // whether the list can be read nevertheless
	}{
		{"count", "many", true},
		{"count", "-1", true},
		{"count", "1000", true},
		{"block/00000000", "\xff", false},
		{"block/00000001", "", false},
		{"block/00000003", "\xff", false},
		{"block/00000003", "", true}, // as if it ended there
		{"request/id", "x", true},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.key, "/", " ")+" is "+tt.value, func(t *testing.T) {
			s := open(t)
			ctx := soon(t)
			if _, err := s.Add(ctx, "id", chores(200, 0)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Client.Put(ctx, s.Prefix+tt.key, tt.value); err != nil {
				t.Fatal(err)
			}
			if _, err := s.List(ctx, 1, 1000); (err == nil) != tt.lists || err != nil && !strings.Contains(err.Error(), s.Prefix+"block/") {
				t.Errorf("List: %v", err)
			}
			other := &etcdstore.Store{Client: s.Client, Prefix: s.Prefix}
			defer other.Close()
			_, err := other.Add(ctx, "id", chores(200, 0))
			switch tail := tt.key == "block/00000003" || tt.key == "count" || tt.key == "request/id"; {
			case !tail && err != nil:
				t.Errorf("Add: %v", err)
			case tail && (err == nil || !strings.Contains(err.Error(), "housework: key \""+s.Prefix)):
				t.Errorf("Add: %v", err)
			}
		})
	}
}
