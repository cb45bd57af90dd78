//go:build linux

package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/echo"
)

// The kinds of echo servers, besides kindOurs.
const (
	kindWildcard = "ours-wildcard" // on the wildcard address
	kindPlain    = "plain"         // a goroutine for each connection, or one for the packets
	kindCopy     = "copy"          // io.Copy from a connection to itself
	kindBatch    = "batch"         // ReadBatch and WriteBatch of golang.org/x/net
	kindGnet     = "gnet"          // two event loops
)

// anywhere is a listening address of all of this machine's.
const anywhere = ":0"

// A handler serves a connection.
type handler func(net.Conn) error

// serveEcho starts a server on the address of the order, and tells its port.
func serveEcho(o *order, a *answer) error {
	if o.Kind == kindGnet {
		return serveGnet(o, a)
	}
	var run func() error
	var at net.Addr
	if o.Network == "udp" {
		conn, err := net.ListenPacket(o.Network, o.Addrs[0])
		if err != nil {
			return err
		}
		udp := conn.(*net.UDPConn)
		if err := growBuffer(udp); err != nil {
			return err
		}
		at, run = conn.LocalAddr(), func() error { return echoPackets(o.Kind, udp) }
	} else {
		l, err := net.Listen(o.Network, o.Addrs[0])
		if err != nil {
			return err
		}
		at, run = l.Addr(), func() error { return echoStreams(o.Kind, l) }
	}
	a.Addr = at.String()
	if udp, ok := at.(*net.UDPAddr); ok { // whose address may be a wildcard
		a.Addr = fmt.Sprintf("127.0.0.1:%d", udp.Port)
	}
	go serveOn(o.Kind, run)
	return nil
}

// serveOn serves for as long as the process lives.
func serveOn(kind string, run func() error) {
	err := run() // returns only when it fails
	fmt.Fprintln(os.Stderr, "server", kind, err)
	os.Exit(1)
}

func echoStreams(kind string, l net.Listener) error {
	var handle handler
	switch kind {
	case kindOurs:
		var s echo.Server
		return s.Serve(l)
	case kindPlain:
		handle = readAndWrite
	case kindCopy:
		handle = copyBack
	default:
		return fmt.Errorf("no server of streams is called %q", kind)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := handle(conn); err != nil && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
				fmt.Fprintln(os.Stderr, "server", kind, err)
			}
		}()
	}
}

func readAndWrite(conn net.Conn) error {
	b := make([]byte, 4<<10)
	for {
		n, err := conn.Read(b)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			_, err = conn.Write(b[:n])
		}
		if err != nil {
			return err
		}
	}
}

func copyBack(conn net.Conn) error {
	_, err := io.Copy(conn, conn)
	return err
}

func echoPackets(kind string, conn *net.UDPConn) error {
	switch kind {
	case kindOurs, kindWildcard:
		var s echo.Server
		return s.ServePacket(conn)
	case kindPlain:
		return answerEach(conn)
	case kindBatch:
		return answerBatches(ipv4.NewPacketConn(conn))
	}
	return fmt.Errorf("no server of packets is called %q", kind)
}

func answerEach(conn net.PacketConn) error {
	b := make([]byte, 64<<10)
	for {
		n, peer, err := conn.ReadFrom(b)
		if err == nil {
			_, err = conn.WriteTo(b[:n], peer)
		}
		if err != nil {
			return err
		}
	}
}

func answerBatches(conn *ipv4.PacketConn) error {
	in, out := make([]ipv4.Message, 64), make([]ipv4.Message, 64)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 64<<10)}
		out[i].Buffers = make([][]byte, 1)
	}
	for {
		n, err := conn.ReadBatch(in, 0)
		if err != nil {
			return err
		}
		for i, m := range in[:n] {
			out[i].Addr, out[i].Buffers[0] = m.Addr, m.Buffers[0][:m.N]
		}
		for rest := out[:n]; len(rest) > 0; {
			sent, err := conn.WriteBatch(rest, 0)
			if err != nil {
				return err
			}
			rest = rest[sent:]
		}
	}
}

// bufferSize is what each UDP socket has room for, so that nothing is lost where
// the window is all that is under way.
const bufferSize = 4 << 20

func growBuffer(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(fd uintptr) { err = growSocket(int(fd)) }), err)
}

func growSocket(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferSize)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize)
	}
	return err
}

// A gnetEcho is the handler of gnet.
type gnetEcho struct {
	gnet.BuiltinEventEngine
	booted chan<- struct{}
}

// OnBoot tells that the sockets are bound.
func (g *gnetEcho) OnBoot(gnet.Engine) gnet.Action {
	close(g.booted)
	return gnet.None
}

// OnTraffic echoes what has arrived.
func (g *gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	b, err := c.Next(-1)
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}

// serveGnet starts gnet on a port that was free a moment ago, since it does not
// say which one it got.
func serveGnet(o *order, a *answer) error {
	a.Addr = o.Addrs[0]
	if strings.HasSuffix(a.Addr, ":0") {
		port, err := freePort(o.Network)
		if err != nil {
			return err
		}
		a.Addr = port
	}
	booted := make(chan struct{})
	go serveOn(o.Kind, func() error {
		return gnet.Run(&gnetEcho{booted: booted}, o.Network+"://"+a.Addr, gnet.WithMulticore(true),
			gnet.WithNumEventLoop(2), gnet.WithSocketRecvBuffer(gnetBuffer(o.Network)), gnet.WithLogger(quietLogger{}))
	})
	<-booted
	return nil
}

// gnetBuffer is 0, which leaves the buffers of connections to the kernel.
func gnetBuffer(network string) int {
	if network == "udp" {
		return bufferSize
	}
	return 0
}

func freePort(network string) (string, error) {
	if network == "udp" {
		conn, err := net.ListenPacket(network, "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		return conn.LocalAddr().String(), conn.Close()
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// A quietLogger keeps gnet from the standard output, where answers go, and from
// telling of each connection that a client has reset.
type quietLogger struct{}

func (quietLogger) Debugf(string, ...any) {}
func (quietLogger) Infof(string, ...any)  {}
func (quietLogger) Warnf(string, ...any)  {}
func (quietLogger) Errorf(string, ...any) {}
func (quietLogger) Fatalf(f string, v ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", v...)
	os.Exit(1)
}
