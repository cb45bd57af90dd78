//go:build linux || darwin || freebsd

package unixauth_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/unixauth"
)

// A wrapped connection is found by NetConn.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

// An endless connection wraps itself.
type endless struct{ net.Conn }

func (e endless) NetConn() net.Conn { return e }

// An embedded connection has all the methods, and is of another type.
type embedded struct{ *net.UnixConn }

// A hidden connection is a socket that might be of any kind.
type hidden struct {
	net.Conn
	socket syscall.Conn
}

func (h hidden) SyscallConn() (syscall.RawConn, error) { return h.socket.SyscallConn() }

// connect returns both ends of a connection by a network.
func connect(tb testing.TB, network string) (server, client net.Conn) {
	tb.Helper()
	address := "127.0.0.1:0"
	if strings.HasPrefix(network, "unix") {
		dir, err := os.MkdirTemp("", "unixauth") // a short path
		must(tb, err)
		tb.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, address)
	must(tb, err)
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	must(tb, err)
	server, err = l.Accept()
	must(tb, err)
	tb.Cleanup(func() { server.Close(); client.Close() })
	for _, conn := range []net.Conn{server, client} {
		must(tb, conn.SetDeadline(time.Now().Add(10*time.Second)))
	}
	return server, client
}

func TestPeerCred(t *testing.T) {
	server, client := connect(t, "unix")
	for name, conn := range map[string]net.Conn{
		"server":                server,
		"client":                client,
		"wrapped twice":         wrapped{wrapped{server}},
		"TLS":                   tls.Server(server, nil),
		"embedded":              embedded{server.(*net.UnixConn)},
		"Conn of this package":  &unixauth.Conn{UnixConn: server.(*net.UnixConn)},
		"wrapped Conn of this":  wrapped{&unixauth.Conn{UnixConn: server.(*net.UnixConn)}},
		"of a type not its own": hidden{nil, server.(syscall.Conn)},
	} {
		c, err := unixauth.PeerCred(conn)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.UID != uint32(os.Geteuid()) || c.GID != uint32(os.Getegid()) || !c.HasGroup(uint32(os.Getegid())) {
			t.Errorf("%s: %v", name, c)
		}
	}
}

func TestPeerCredOfSomethingElse(t *testing.T) {
	tcp, _ := connect(t, "tcp")
	server, _ := connect(t, "unix")
	pipe, _ := net.Pipe()
	defer pipe.Close()
	dir := t.TempDir()
	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "d")})
	must(t, err)
	defer datagram.Close()
	deep := server
	for range 20 {
		deep = wrapped{deep}
	}
	for name, conn := range map[string]net.Conn{
		"nil":              nil,
		"nil *UnixConn":    (*net.UnixConn)(nil),
		"nil *TCPConn":     (*net.TCPConn)(nil),
		"nil *Conn":        (*unixauth.Conn)(nil),
		"Conn of nil":      new(unixauth.Conn),
		"zero UnixConn":    new(net.UnixConn),
		"nil *tls.Conn":    (*tls.Conn)(nil),
		"wrapped nil":      wrapped{},
		"TCP":              tcp,
		"TLS over TCP":     tls.Server(tcp, nil),
		"net.Pipe":         pipe,
		"wrapped pipe":     wrapped{pipe},
		"datagrams":        datagram,
		"embedded datgram": embedded{datagram},
		"endless":          endless{},
		"wrapped too deep": deep,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := unixauth.PeerCred(conn)
			if !errors.Is(err, unixauth.ErrNoCred) || errors.Is(err, net.ErrClosed) {
				t.Errorf("PeerCred = %v, %v, want ErrNoCred", c, err)
			}
			if c.String() != "unknown" {
				t.Errorf("the peer is %s", c)
			}
			if _, err := unixauth.PeerProcess(conn); !errors.Is(err, unixauth.ErrNoCred) && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("PeerProcess: %v", err)
			}
		})
	}
}

func TestPeerCredOfClosed(t *testing.T) {
	server, _ := connect(t, "unix")
	server.Close()
	for name, conn := range map[string]net.Conn{"itself": server, "embedded": embedded{server.(*net.UnixConn)}} {
		if _, err := unixauth.PeerCred(conn); !errors.Is(err, unixauth.ErrNoCred) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: PeerCred = %v, want ErrNoCred and net.ErrClosed", name, err)
		}
	}
}

func TestZeroCredIsNobody(t *testing.T) {
	var c unixauth.Cred
	if c.HasGroup(0) {
		t.Error("it is in the group of root")
	}
	if pid, ok := c.PID(); ok {
		t.Errorf("PID = %d", pid)
	}
	if groups, ok := c.Groups(); ok || groups != nil {
		t.Errorf("Groups = %v", groups)
	}
	if got, want := c.String(), "unknown"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

func TestNewCred(t *testing.T) {
	given := []uint32{4, 24}
	c := unixauth.NewCred(1000, 100, given...)
	given[0] = 0
	if groups, ok := c.Groups(); !ok || !slices.Equal(groups, []uint32{4, 24}) {
		t.Errorf("Groups = %v, %t", groups, ok)
	}
	for gid, want := range map[uint32]bool{100: true, 4: true, 24: true, 0: false, 1000: false} {
		if got := c.HasGroup(gid); got != want {
			t.Errorf("HasGroup(%d) = %t", gid, got)
		}
	}
	if pid, ok := c.PID(); ok {
		t.Errorf("PID = %d", pid)
	}
}

func TestCredString(t *testing.T) {
	many := make([]uint32, 1000)
	for i := range many {
		many[i] = uint32(i)
	}
	for _, tt := range []struct {
		c    unixauth.Cred
		want string
	}{
		{unixauth.NewCred(1000, 100, 4, 24), "uid=1000 gid=100 groups=4,24"},
		{unixauth.NewCred(0, 0), "uid=0 gid=0"},
		{
			unixauth.NewCred(1<<32-2, 1<<32-2, many...),
			"uid=4294967294 gid=4294967294 groups=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16," +
				"17,18,19,20,21,22,23,24,25,26,27,28,29,30,31 +968",
		},
	} {
		if got := tt.c.String(); got != tt.want {
			t.Errorf("String = %q, want %q", got, tt.want)
		}
	}
}
