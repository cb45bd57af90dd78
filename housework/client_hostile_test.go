package housework_test

import (
	"bytes"
	"context"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// hostileCodec sends bytes as they are.
type hostileCodec struct{}

func (hostileCodec) Name() string { return "proto" }

func (hostileCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (hostileCodec) Unmarshal(data mem.BufferSlice, v any) error {
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}

// hostileServer dials a server that answers all calls with what answer returns for a
// request to List.
func hostileServer(t testing.TB, answer func(*houseworkv1.ListRequest) []byte) *housework.Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	serverMust(t, err)
	s := grpc.NewServer(grpc.ForceServerCodecV2(hostileCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		in := &houseworkv1.ListRequest{}
		if err := stream.RecvMsg(in); err != nil {
			return err
		}
		return stream.SendMsg(answer(in))
	}))
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return serverDial(t, l.Addr().String(), &housework.ClientOptions{Insecure: true})
}

// What a server may send of nonsense is an error, and All ends.
func TestHostilePages(t *testing.T) {
	chore := "\x0a\x06\x12\x04Dust"
	for _, tt := range []struct{ name, answer, want string }{
		{"next before", chore + "\x20\x01", "number 1 is next after 1 chores from number 1"},
		{"next beyond", chore + "\x20\x07", "number 7 is next after 1 chores from number 1"},
		{"next negative", chore + "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "number -1 is next"},
		{"next after nothing", "\x20\x02", "number 2 is next after 0 chores"},
		{"too many", strings.Repeat(chore, 1001), "more than the 1000 chores"},
		{"two million", strings.Repeat("\x0a\x00", 2_000_000), "more than the 1000 chores"},
		{"above the limit of gRPC", strings.Repeat("\x0a\x00", 3_000_000), "ResourceExhausted"},
		{"cut off", "\x0a\x06\x12\x04Du", "unexpected EOF"},
		{"no UTF-8", "\x0a\x03\x12\x01\xff", "not UTF-8"},
		{"the same for ever", chore, "no pages"}, // and what the server of the book does
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := hostileServer(t, func(*houseworkv1.ListRequest) []byte { return []byte(tt.answer) })
			n := 0
			for _, err := range housework.All(t.Context(), c) {
				if err == nil {
					if n++; n > 1 {
						t.Fatal("it goes on")
					}
					continue
				}
				if text := err.Error(); !strings.Contains(text, tt.want) || !strings.HasPrefix(text, "housework: ") {
					t.Errorf("error %q, want %q", text, tt.want)
				}
				return
			}
			t.Error("no error")
		})
	}
}

// First numbers that cannot be are errors; none is 0.
func TestHostileFirstNumber(t *testing.T) {
	answer := []byte("\x0a\x02ok")
	c := hostileServer(t, func(*houseworkv1.ListRequest) []byte { return answer })
	if n, err := c.Add(t.Context(), "", nil); n != 0 || err != nil {
		t.Errorf("Add: %d, %v", n, err)
	}
	answer = []byte("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	if n, err := c.Add(t.Context(), "", nil); n != 0 || err == nil {
		t.Errorf("Add: %d, %v", n, err)
	}
}

// The first List of a client may begin anywhere: that there are pages is found out once.
func TestListFromTheMiddle(t *testing.T) {
	store := new(housework.MemoryStore)
	serverAdd(t, store, "Dust", "Mop", "Wash")
	calls := 0
	s := &housework.Server{Rosie: &housework.Rosie{Store: store}, Options: []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			calls++ // one after the other
			return handle(ctx, in)
		}),
	}}
	c := serverPair(t, s, &housework.ClientOptions{})
	for range 3 {
		list, err := c.List(t.Context(), 2, math.MaxInt)
		if err != nil || len(list) != 2 || list[0].Description != "Mop" {
			t.Errorf("List: %v, %v", list, err)
		}
	}
	serverMust(t, s.Shutdown(t.Context()))
	if calls != 4 {
		t.Errorf("%d calls for 3 pages, want 4", calls)
	}
}

// Two million empty chores take no more than a few times their size.
func TestHostilePageMemory(t *testing.T) {
	page := bytes.Repeat([]byte("\x0a\x00"), 2_000_000)
	c := hostileServer(t, func(*houseworkv1.ListRequest) []byte { return page })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.List(t.Context(), 1, math.MaxInt32); err == nil {
		t.Error("no error")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 8*uint64(len(page)) {
		t.Errorf("%d bytes of allocations for %d", took, len(page))
	}
}

// A text of a server cannot reach a terminal as it is.
func TestHostileMessage(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie(), Options: []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			return nil, status.Error(codes.Internal, "\x1b[2J")
		}),
	}}
	c := serverPair(t, s, &housework.ClientOptions{Timeout: time.Minute})
	if _, err := c.List(t.Context(), 1, 1); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("List: %q", err)
	}
}
