package housework_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// A client is told at once how many calls it may have open, and how long headers may be
// (RFC 9113 section 6.5.2).
func TestServerTellsLimits(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie(), Insecure: true}
	conn, err := net.Dial("tcp", serverListen(t, s))
	serverMust(t, err)
	defer conn.Close()
	serverMust(t, conn.SetDeadline(time.Now().Add(serverPatience)))
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	serverMust(t, err)

	var head [9]byte // length, type, flags and stream of a frame
	_, err = io.ReadFull(conn, head[:])
	serverMust(t, err)
	if head[3] != 4 {
		t.Fatalf("the first frame has type %d, want SETTINGS", head[3])
	}
	body := make([]byte, int(head[0])<<16|int(binary.BigEndian.Uint16(head[1:])))
	_, err = io.ReadFull(conn, body)
	serverMust(t, err)
	settings := make(map[uint16]uint32)
	for ; len(body) >= 6; body = body[6:] {
		settings[binary.BigEndian.Uint16(body)] = binary.BigEndian.Uint32(body[2:])
	}
	const maxStreams, maxHeaderList = 3, 6
	if settings[maxStreams] != 128 || settings[maxHeaderList] != 16<<10 {
		t.Errorf("settings %v, want 128 streams and 16 KiB of headers", settings)
	}
}

// A message above the limit is refused, and the connection goes on.
func TestServerLimitsMessages(t *testing.T) {
	s := &housework.Server{Rosie: serverRosie()}
	c := serverPair(t, s, &housework.ClientOptions{})
	in := &houseworkv1.Chores{}
	in.SetRequestId(strings.Repeat("x", 4<<20-5)) // with its tag and its length 4 MiB
	for _, tt := range []struct {
		more string
		want codes.Code
	}{
		{"", codes.InvalidArgument},
		{"x", codes.ResourceExhausted},
	} {
		in.SetRequestId(in.GetRequestId() + tt.more)
		_, err := houseworkv1.NewRobotMaidClient(c.Conn()).Add(t.Context(), in, grpc.MaxCallSendMsgSize(8<<20))
		if status.Code(err) != tt.want {
			t.Errorf("a request id of %d bytes: %v, want %v", len(in.GetRequestId()), err, tt.want)
		}
	}
	serverWantList(t, c, "")
}
