package housework_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/internal/leak"
	"github.com/netparts/netparts/internal/memnet"
)

// A server that commits an Add and dies before it answers has it once, when the client
// has come back to its successor.
func TestAddAcrossARestart(t *testing.T) {
	for _, id := range []string{"", "of the caller"} {
		store := new(housework.MemoryStore)
		var first, second *housework.Server
		first = &housework.Server{Rosie: &housework.Rosie{Store: store}, Options: []grpc.ServerOption{
			grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				out, err := handle(ctx, in)
				_ = first.Close()
				return out, err
			}),
		}}
		second = &housework.Server{Rosie: &housework.Rosie{Store: store}}
		var clientOptions housework.ClientOptions
		first.TLSConfig, clientOptions.TLSConfig = serverTLS(t)
		second.TLSConfig = first.TLSConfig
		cutter := newCutter(t, serverListen(t, first))
		clientOptions.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if list, err := store.List(ctx, 1, 1); err != nil || len(list) > 0 {
				cutter.move(serverListenOnce(t, second))
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		c := serverDial(t, cutter.address, &clientOptions)
		n, err := c.Add(t.Context(), id, []housework.Chore{{Description: "Dust"}, {Description: "Mop"}})
		if n != 1 || err != nil {
			t.Errorf("Add: %d, %v", n, err)
		}
		serverWantList(t, store, "Dust,Mop")
	}
}

// serverListenOnce lets a server serve if it does not, and returns its address.
func serverListenOnce(t testing.TB, s *housework.Server) string {
	if s.Addr() == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Error(err)
			return ""
		}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		return l.Addr().String()
	}
	return s.Addr().String()
}

// What is unavailable is tried three times, with pauses that grow, and other errors
// once.
func TestTries(t *testing.T) {
	for _, tt := range []struct {
		code codes.Code
		want int
	}{
		{codes.Unavailable, 3},
		{codes.Internal, 1},
		{codes.Unknown, 1},
		{codes.Aborted, 1},
		{codes.ResourceExhausted, 1},
		{codes.DeadlineExceeded, 1},
		{codes.Canceled, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var times []time.Time
			var ids []string
			var mu sync.Mutex // for the race detector: there is one call at a time
			s, c := clientPair(t, func(_ context.Context, in any) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				times = append(times, time.Now())
				ids = append(ids, in.(*houseworkv1.Chores).GetRequestId())
				return nil, status.Error(tt.code, "no")
			})
			if _, err := c.Add(t.Context(), "", []housework.Chore{{Description: "Dust"}}); status.Code(err) != tt.code {
				t.Errorf("Add: %v, want %v", err, tt.code)
			}
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(times) != tt.want {
				t.Errorf("%v is tried %d times, want %d", tt.code, len(times), tt.want)
			}
			for i := 1; i < len(times); i++ {
				most := 50 * time.Millisecond << (i - 1)
				if d := times[i].Sub(times[i-1]); d < most/2 || d > most {
					t.Errorf("pause %d is %v, want at most %v", i, d, most)
				}
				if ids[i] != ids[0] || len(ids[i]) < 20 {
					t.Errorf("request ids %q", ids)
				}
			}
			keepaliveEnd(t, s, c)
		})
	}
}

// clientPair starts a server in memory whose calls answer does, and dials it.
func clientPair(t *testing.T, answer func(context.Context, any) (any, error)) (*housework.Server, *housework.Client) {
	t.Helper()
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:34443")
	serverMust(t, err)
	s := &housework.Server{Rosie: serverRosie(), Insecure: true, Options: []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			return answer(ctx, in)
		}),
	}}
	go s.Serve(l)
	c, err := housework.Dial(t.Context(), "192.0.2.1:34443", &housework.ClientOptions{Insecure: true, DialContext: n.DialContext})
	serverMust(t, err)
	return s, c
}

// Tries end with the deadline: that of the caller, or the Timeout.
func TestTriesWithinTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		s, c := clientPair(t, func(ctx context.Context, _ any) (any, error) {
			if tries.Add(1)%2 == 1 {
				return nil, status.Error(codes.Unavailable, "no")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		begin := time.Now()
		_, err := c.List(t.Context(), 1, 1)
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second || tries.Load() != 2 {
			t.Errorf("List: %v after %v and %d tries", err, took, tries.Load())
		}
		// There is no time for another try.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		begin = time.Now()
		if _, err = c.List(ctx, 1, 1); status.Code(err) != codes.Unavailable || time.Since(begin) != 0 {
			t.Errorf("List: %v after %v", err, time.Since(begin))
		}
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		if _, err = c.List(ctx, 1, 1); !errors.Is(err, context.Canceled) || status.Code(err) != codes.Canceled {
			t.Errorf("List: %v", err)
		}
		keepaliveEnd(t, s, c)
	})
}

// A server that is away for a moment is found again; one that stays away is an error.
func TestServerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		serve := func() *housework.Server {
			l, err := n.Listen("tcp", "192.0.2.1:34443")
			serverMust(t, err)
			s := &housework.Server{Rosie: serverRosie(), Insecure: true}
			go s.Serve(l)
			return s
		}
		stop := func(s *housework.Server) {
			serverMust(t, s.Close())
			serverMust(t, s.Shutdown(t.Context()))
		}
		s := serve()
		c, err := housework.Dial(t.Context(), "192.0.2.1:34443", &housework.ClientOptions{Insecure: true, DialContext: n.DialContext})
		serverMust(t, err)
		stop(s)
		begin := time.Now()
		_, err = c.List(t.Context(), 1, 1)
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || status.Code(err) != codes.Unavailable || time.Since(begin) > time.Second {
			t.Errorf("List: %v after %v", err, time.Since(begin))
		}
		time.Sleep(20 * time.Minute) // the pauses of gRPC are long by now, and it still tries
		back := make(chan *housework.Server, 1)
		time.AfterFunc(200*time.Millisecond, func() { back <- serve() })
		if _, err := c.List(t.Context(), 1, 1); err != nil {
			t.Errorf("List after 200ms: %v", err)
		}
		s = <-back
		serverMust(t, c.Close())
		stop(s)
	})
}

// A server that shuts down is left for its successor, without an error.
func TestCallsDuringShutdown(t *testing.T) {
	config, clientConfig := serverTLS(t)
	store := new(housework.MemoryStore)
	newServer := func() *housework.Server {
		return &housework.Server{Rosie: &housework.Rosie{Store: store}, TLSConfig: config}
	}
	s := newServer()
	address := serverListen(t, s)
	var to atomic.Value
	to.Store(address)
	c := serverDial(t, address, &housework.ClientOptions{
		TLSConfig: clientConfig,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, to.Load().(string))
		},
	})
	done := make(chan error, 1)
	stop := make(chan struct{})
	added := 0
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := c.Add(t.Context(), "", []housework.Chore{{Description: "Dust"}}); err != nil {
				done <- err
				return
			}
			added++
		}
	}()
	for range 5 {
		next := newServer()
		to.Store(serverListen(t, next))
		serverMust(t, s.Shutdown(t.Context()))
		s = next
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("Add: %v", err)
	}
	if list, err := store.List(t.Context(), 1, math.MaxInt32); err != nil || len(list) != added {
		t.Errorf("%d chores, want %d (%v)", len(list), added, err)
	}
}

// Numbers that do not fit on the wire are not found, and not sent.
func TestNumbersBeyondTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := clientPair(t, func(_ context.Context, in any) (any, error) {
			t.Errorf("sent %v", in)
			return nil, errors.New("no")
		})
		for _, n := range []int{0, -1, math.MinInt32, math.MaxInt} {
			if n == math.MaxInt32 {
				continue // on a 32-bit system
			}
			err := c.Complete(t.Context(), 1, n)
			if e, ok := errors.AsType[*housework.ChoreError](err); !ok || e.Number != n || !errors.Is(err, housework.ErrNotFound) {
				t.Errorf("Complete of %d: %v", n, err)
			}
		}
		if first := math.MaxInt; first != math.MaxInt32 {
			if list, err := c.List(t.Context(), first, 1); len(list) > 0 || err != nil {
				t.Errorf("List from %d: %v, %v", first, list, err)
			}
		}
		serverMust(t, c.Complete(t.Context()))
		many := make([]housework.Chore, 5000)
		for i := range many {
			many[i].Description = strings.Repeat("x", housework.MaxDescription)
		}
		if _, err := c.Add(t.Context(), "", many); !errors.Is(err, housework.ErrTooMany) {
			t.Errorf("Add of 5 MB: %v", err)
		}
		keepaliveEnd(t, s, c)
	})
}

// Close ends calls that are under way, and leaves nothing behind.
func TestClientClose(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie()}
	config, clientConfig := serverTLS(t)
	s.TLSConfig = config
	began := make(chan struct{})
	s.Options = []grpc.ServerOption{grpc.ChainUnaryInterceptor(func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})}
	address := serverListen(t, s)
	_, before := leak.InUse()
	c := serverDial(t, address, &housework.ClientOptions{TLSConfig: clientConfig})
	got := make(chan error, 1)
	go func() {
		_, err := c.List(t.Context(), 1, 1)
		got <- err
	}()
	<-began
	serverMust(t, c.Close())
	if err := <-got; !errors.Is(err, housework.ErrClosed) || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("List: %v, want %v", err, housework.ErrClosed)
	}
	serverMust(t, c.Close())
	if _, err := c.Add(t.Context(), "", nil); !errors.Is(err, housework.ErrClosed) {
		t.Errorf("Add: %v", err)
	}
	if _, err := c.List(t.Context(), 0, 1); !errors.Is(err, housework.ErrClosed) {
		t.Errorf("List: %v", err)
	}
	if err := c.Complete(t.Context()); !errors.Is(err, housework.ErrClosed) {
		t.Errorf("Complete: %v", err)
	}
	serverEventually(t, "the end of its goroutines", func() bool {
		_, now := leak.InUse()
		return now <= before
	})
}
