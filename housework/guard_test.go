package housework_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// A guardCodec sends and receives bytes as they are.
type guardCodec struct{}

func (guardCodec) Name() string { return "proto" }

func (guardCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (guardCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// guardCall calls a method with an encoded request, and returns the encoded answer.
func guardCall(ctx context.Context, conn *grpc.ClientConn, method string, request []byte) ([]byte, error) {
	var answer []byte
	err := conn.Invoke(ctx, "/housework.RobotMaid/"+method, &request, &answer, grpc.ForceCodecV2(guardCodec{}))
	return answer, err
}

// guardFault returns the Fault in the details of a status.
func guardFault(t *testing.T, err error) *houseworkv1.Fault {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if f, ok := d.(*houseworkv1.Fault); ok {
			return f
		}
	}
	t.Fatalf("the status of %v has no Fault", err)
	return nil
}

// guardMessages are requests of 4 MiB, less than the limit of gRPC, that would take
// many times their size if they were decoded.
func guardMessages() map[string]struct {
	method string
	data   []byte
	code   codes.Code
} {
	const size = 4<<20 - 64
	fill := func(unit string) []byte { return bytes.Repeat([]byte(unit), size/len(unit)) }
	packed := protowire.AppendVarint([]byte{3<<3 | 2}, size-8)
	type message = struct {
		method string
		data   []byte
		code   codes.Code
	}
	inner := fill("\x12\x02ab")
	return map[string]message{
		"empty chores":         {"Add", fill("\x0a\x00"), codes.ResourceExhausted},
		"chores of a byte":     {"Add", fill("\x0a\x03\x12\x01a"), codes.ResourceExhausted},
		"unknown fields":       {"Add", fill("\x48\x00"), codes.OK},
		"unknown in List":      {"List", fill("\x48\x00"), codes.OK},
		"unknown in Complete":  {"Complete", fill("\x48\x00"), codes.NotFound},
		"many request ids":     {"Add", fill("\x1a\x02ab"), codes.OK},
		"many descriptions":    {"Add", append(protowire.AppendVarint([]byte{0x0a}, uint64(len(inner))), inner...), codes.OK},
		"long description":     {"Add", guardLong(size), codes.InvalidArgument},
		"packed numbers":       {"Complete", append(packed, bytes.Repeat([]byte{1}, size-8)...), codes.ResourceExhausted},
		"unpacked numbers":     {"Complete", fill("\x18\x01"), codes.ResourceExhausted},
		"many packed fields":   {"Complete", fill("\x1a\x01\x01"), codes.ResourceExhausted},
		"empty packed fields":  {"Complete", fill("\x1a\x00"), codes.NotFound},
		"groups in one chore":  {"Add", guardGroups(size), codes.InvalidArgument},
		"nothing that is text": {"Add", fill("\xff"), codes.InvalidArgument},
	}
}

func guardLong(size int) []byte {
	b := protowire.AppendVarint([]byte{0x0a}, uint64(size-8))
	b = protowire.AppendVarint(append(b, 0x12), uint64(size-8-len(b)))
	return append(b, bytes.Repeat([]byte("a"), size-8-len(b)+5)...)
}

// guardGroups opens groups in each other, which are skipped by recursion.
func guardGroups(size int) []byte {
	return append(protowire.AppendVarint([]byte{0x0a}, uint64(size-8)), bytes.Repeat([]byte{0x4b}, size-8)...)
}

const guardChild = "HOUSEWORK_GUARD_CHILD"

// TestGuardServer is the server of the test below, and otherwise nothing. It tells its
// address, and then, for each byte that it gets, how many bytes it has allocated. It
// ends with its input.
func TestGuardServer(t *testing.T) {
	if os.Getenv(guardChild) == "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	(&housework.Rosie{Store: new(housework.MemoryStore)}).Register(s)
	lines := json.NewEncoder(os.Stderr)
	go func() {
		defer s.Stop()
		one := make([]byte, 1)
		for err := lines.Encode(l.Addr().String()); err == nil; {
			if _, err = os.Stdin.Read(one); err == nil {
				err = lines.Encode(guardAllocated())
			}
		}
	}()
	if err := s.Serve(l); err != nil {
		t.Fatal(err)
	}
}

// guardAllocated returns how many bytes the process has allocated. Pools are emptied,
// so that what comes next allocates what it takes from them.
func guardAllocated() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// Two million empty chores are 4 MiB, and made 357 MB of messages before there was a
// limit. The server is a process of its own, so that it is only the server that is
// measured, buffers of gRPC included.
func TestHostileMessagesCostLittle(t *testing.T) {
	figures, conn := guardStart(t)
	for name, m := range guardMessages() {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if _, err := guardCall(ctx, conn, "List", nil); err != nil { // connects
				t.Fatal(err)
			}
			before := figures(t)
			_, err := guardCall(ctx, conn, m.method, m.data)
			cost := float64(figures(t)-before) / float64(len(m.data))
			t.Logf("%.1f times its size: %v", cost, err)
			if status.Code(err) != m.code {
				t.Errorf("%s = %v, want %v", m.method, err, m.code)
			}
			if m.code == codes.ResourceExhausted {
				f := guardFault(t, err)
				if f.GetReason() != houseworkv1.Fault_TOO_MANY || f.GetLimit() != 1000 {
					t.Errorf("fault %v, want TOO_MANY with the limit 1000", f)
				}
			}
			if cost > 8 {
				t.Errorf("it cost %.1f times its size, want 8 at most", cost)
			}
		})
	}
}

// guardStart starts a server as a child, which says what it has allocated.
func guardStart(t *testing.T) (figures func(*testing.T) uint64, conn *grpc.ClientConn) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestGuardServer$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), guardChild+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	lines := json.NewDecoder(out)
	var address string
	if err := lines.Decode(&address); err != nil {
		t.Fatal(err)
	}
	conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(t *testing.T) (total uint64) {
		t.Helper()
		if _, err := in.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		if err := lines.Decode(&total); err != nil {
			t.Fatal(err)
		}
		return total
	}, conn
}
