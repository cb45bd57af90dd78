package housework_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/internal/memnet"
)

// A rosieStore is a Store of functions. What is nil is an error.
type rosieStore struct {
	add      func(ctx context.Context, requestID string, chores []housework.Chore) (int, error)
	complete func(ctx context.Context, numbers ...int) error
	list     func(ctx context.Context, first, limit int) ([]housework.Chore, error)
}

var errRosieUnexpected = errors.New("unexpected call of the store")

func (s *rosieStore) Add(ctx context.Context, requestID string, chores []housework.Chore) (int, error) {
	if s.add == nil {
		return 0, errRosieUnexpected
	}
	return s.add(ctx, requestID, chores)
}

func (s *rosieStore) Complete(ctx context.Context, numbers ...int) error {
	if s.complete == nil {
		return errRosieUnexpected
	}
	return s.complete(ctx, numbers...)
}

func (s *rosieStore) List(ctx context.Context, first, limit int) ([]housework.Chore, error) {
	if s.list == nil {
		return nil, errRosieUnexpected
	}
	return s.list(ctx, first, limit)
}

func (*rosieStore) Close() error { return nil }

// rosieFilled returns a Store with chores of these descriptions.
func rosieFilled(t testing.TB, descriptions ...string) *housework.MemoryStore {
	t.Helper()
	s := new(housework.MemoryStore)
	chores := make([]housework.Chore, len(descriptions))
	for i, d := range descriptions {
		chores[i].Description = d
	}
	if _, err := s.Add(t.Context(), "", chores); err != nil {
		t.Fatal(err)
	}
	return s
}

// rosieRequest returns a request to add chores of these descriptions.
func rosieRequest(requestID string, descriptions ...string) *houseworkv1.Chores {
	in := houseworkv1.Chores_builder{RequestId: requestID}
	for _, d := range descriptions {
		in.Chores = append(in.Chores, houseworkv1.Chore_builder{Description: d}.Build())
	}
	return in.Build()
}

// rosieServe serves what register registers in a network in memory, and returns a
// connection to it.
func rosieServe(t testing.TB, register func(*grpc.Server), o ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	var network memnet.Network
	l, err := network.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(o...)
	register(s)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return network.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return conn
}
