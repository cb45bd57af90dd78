package housework_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// A guardRegistrar calls what is registered with it, without a connection.
type guardRegistrar struct {
	desc        *grpc.ServiceDesc
	rosie       any
	interceptor grpc.UnaryServerInterceptor
}

func (r *guardRegistrar) RegisterService(desc *grpc.ServiceDesc, rosie any) {
	r.desc, r.rosie = desc, rosie
}

func (r *guardRegistrar) call(ctx context.Context, method string, data []byte) (any, error) {
	i := slices.IndexFunc(r.desc.Methods, func(m grpc.MethodDesc) bool { return m.MethodName == method })
	receive := func(m any) error { return proto.Unmarshal(data, m.(proto.Message)) }
	return r.desc.Methods[i].Handler(r.rosie, ctx, receive, r.interceptor)
}

// guardSeeds are encoded requests, each with what it is.
var guardSeeds = map[string]string{
	"empty message":                  "",
	"two chores":                     "\x0a\x03\x12\x01a\x0a\x05\x08\x01\x12\x01b",
	"empty chore":                    "\x0a\x00",
	"chores at the limit":            strings.Repeat("\x0a\x03\x12\x01a", 10),
	"chores over the limit":          strings.Repeat("\x0a\x03\x12\x01a", 11),
	"empty chores over the limit":    strings.Repeat("\x0a\x00", 11),
	"request id":                     "\x0a\x03\x12\x01a\x1a\x01x",
	"two request ids":                "\x1a\x01x\x0a\x03\x12\x01a\x1a\x00",
	"request id with a line end":     "\x0a\x03\x12\x01a\x1a\x02x\n",
	"description twice":              "\x0a\x06\x12\x01a\x12\x01b",
	"description not UTF-8":          "\x0a\x03\x12\x01\xff",
	"unknown fields":                 "\x48\x07\x0a\x05\x12\x01a\x48\x07",
	"known fields of another type":   "\x08\x01\x1d\x00\x00\x00\x00\x0a\x06\x10\x05\x12\x01a",
	"group":                          "\x4b\x08\x01\x4c\x0a\x03\x12\x01a",
	"end of no group":                "\x4c",
	"field number 0":                 "\x02\x00",
	"truncated chore":                "\x0a\x05\x12",
	"truncated tag":                  "\x0a\x03\x12\x01a\x80",
	"length of 2^63":                 "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
	"varint of 11 bytes":             "\x20\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
	"completed by a number over int": "\x0a\x0a\x08\x80\x80\x80\x80\x10\x12\x02ab",
	"numbers, packed":                "\x08\x01\x1a\x03\x01\x02\x03",
	"numbers, not packed":            "\x18\x01\x18\x02",
	"numbers, both":                  "\x1a\x02\x01\x02\x18\x03\x1a\x00\x1a\x01\x7f",
	"numbers over the limit":         "\x1a\x0b" + strings.Repeat("\x01", 11),
	"truncated number":               "\x1a\x01\x80",
	"negative number":                "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
}

// guardSame runs data through the guard of a method and through the generated code, and
// compares the outcome. Plain decodes by generated code and calls.
func guardSame(t *testing.T, method string, data []byte, plain func(*housework.Rosie) (decoded bool, err error)) {
	t.Helper()
	open := func() *housework.Rosie {
		return &housework.Rosie{Store: rosieFilled(t, "Mop floors", "Clean dishes"), MaxAdd: 10}
	}
	guarded, twin := open(), open()
	var r guardRegistrar
	guarded.Register(&r)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, got := r.call(t.Context(), method, data)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > uint64(64<<10+8*len(data)) {
		t.Errorf("%s of %d bytes allocates %d", method, len(data), n)
	}
	decoded, want := plain(twin)
	if !decoded {
		// What is wrong with a message may come behind too many chores.
		if c := status.Code(got); c != codes.InvalidArgument && c != codes.ResourceExhausted {
			t.Errorf("%s(%q) = %v, want InvalidArgument for a malformed message", method, data, got)
		}
	} else if !proto.Equal(status.Convert(got).Proto(), status.Convert(want).Proto()) {
		t.Errorf("%s(%q) = %v, want %v as without the guard", method, data, got, want)
	}
	a, err := guarded.Store.List(t.Context(), 1, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := twin.Store.List(t.Context(), 1, 1000); err != nil || decoded && !slices.Equal(a, b) {
		t.Errorf("after %s(%q) the list is %v, want %v, %v", method, data, a, b, err)
	}
	if got != nil && slices.ContainsFunc(a[1:], func(c housework.Chore) bool { return c.Complete }) || got != nil && len(a) != 2 {
		t.Errorf("after a failed %s(%q) the list is %v", method, data, a)
	}
}

// What the guard lets pass and what it refuses is as if the generated code had decoded
// the message, but for messages that are malformed.
func FuzzAddRequest(f *testing.F) {
	for _, seed := range guardSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		guardSame(t, "Add", data, func(r *housework.Rosie) (bool, error) {
			in := new(houseworkv1.Chores)
			if proto.Unmarshal(data, in) != nil {
				return false, nil
			}
			_, err := r.Add(t.Context(), in)
			return true, err
		})
	})
}

// The same for the numbers of Complete.
func FuzzCompleteRequest(f *testing.F) {
	for _, seed := range guardSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		guardSame(t, "Complete", data, func(r *housework.Rosie) (bool, error) {
			in := new(houseworkv1.CompleteRequest)
			if proto.Unmarshal(data, in) != nil {
				return false, nil
			}
			_, err := r.Complete(t.Context(), in)
			return true, err
		})
	})
}

// Interceptors see every call, those that the guard refuses too, and can end it before
// clients learn why.
func TestGuardAndInterceptors(t *testing.T) {
	denied := status.Error(codes.PermissionDenied, "denied")
	rosie := &housework.Rosie{Store: rosieFilled(t, "Mop floors"), MaxAdd: 1}
	var seen []string
	r := &guardRegistrar{interceptor: func(ctx context.Context, in any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if info.Server != rosie {
			t.Errorf("the server of the call is %v", info.Server)
		}
		var text strings.Builder
		text.WriteString(info.FullMethod)
		if m, ok := in.(*houseworkv1.Chores); ok {
			for _, c := range m.GetChores() {
				text.WriteString(" " + c.GetDescription())
			}
		}
		seen = append(seen, text.String())
		if ctx.Value(t) != nil {
			return nil, denied
		}
		return next(ctx, in)
	}}
	rosie.Register(r)
	const one, two = "\x0a\x03\x12\x01a", "\x0a\x03\x12\x01a\x0a\x03\x12\x01b"
	for _, tt := range []struct {
		method, data string
		denied       bool
		want         codes.Code
		seen         string
	}{
		{"Add", one, false, codes.OK, "/housework.RobotMaid/Add a"},
		{"Add", two, false, codes.ResourceExhausted, "/housework.RobotMaid/Add"},
		{"Add", two, true, codes.PermissionDenied, "/housework.RobotMaid/Add"},
		{"Complete", "\x08\x07", false, codes.NotFound, "/housework.RobotMaid/Complete"},
		{"List", "", false, codes.OK, "/housework.RobotMaid/List"},
		{"List", "\x80", false, codes.InvalidArgument, "/housework.RobotMaid/List"},
	} {
		ctx := t.Context()
		if tt.denied {
			ctx = context.WithValue(ctx, t, "yes")
		}
		_, err := r.call(ctx, tt.method, []byte(tt.data))
		if status.Code(err) != tt.want || seen[len(seen)-1] != tt.seen {
			t.Errorf("%s(%q) = %v, seen as %q, want %v, %q", tt.method, tt.data, err, seen[len(seen)-1], tt.want, tt.seen)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d calls seen, want 6", len(seen))
	}
}

// What gRPC itself refuses to decode stays its own error.
func TestGuardKeepsErrorsOfGRPC(t *testing.T) {
	var r guardRegistrar
	(&housework.Rosie{Store: new(housework.MemoryStore)}).Register(&r)
	want := status.Error(codes.Unimplemented, "no such compression")
	_, err := r.desc.Methods[0].Handler(r.rosie, t.Context(), func(any) error { return want }, nil)
	if err != want {
		t.Errorf("Add = %v, want %v", err, want)
	}
}
