//go:build linux

package echobench

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/bench/lab"
)

// The sides, besides [lab.Ours].
const (
	wildcard = "ours, wildcard" // on the wildcard address
	plain    = "plain"          // a goroutine for each connection, or one for the packets
	copying  = "io.Copy"        // from a connection to itself
	batches  = "x/net batches"  // ReadBatch and WriteBatch of golang.org/x/net
	events   = "gnet"           // two event loops
)

// anywhere is a listening address of all of this machine's.
const anywhere = ":0"

// newServer returns ours with all that it can do: limits of idle time, which it has by
// itself, and of connections, and a log.
func newServer() *echo.Server {
	return &echo.Server{MaxConns: 1 << 20, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// A handler serves a connection.
type handler func(net.Conn) error

// serve starts a server on the address of the order, and tells its port.
func serve(o *order, a *answer) error {
	if o.Side == events {
		return serveEvents(o, a)
	}
	var run func() error
	var at net.Addr
	if o.Network == "udp" {
		conn, err := net.ListenPacket(o.Network, o.Addr)
		if err != nil {
			return err
		}
		udp := conn.(*net.UDPConn)
		if err := growBuffer(udp); err != nil {
			return errors.Join(err, conn.Close())
		}
		at, run = conn.LocalAddr(), func() error { return echoPackets(o.Side, udp) }
	} else {
		l, err := net.Listen(o.Network, o.Addr)
		if err != nil {
			return err
		}
		at, run = l.Addr(), func() error { return echoStreams(o.Side, l) }
	}
	a.Addr = at.String()
	if udp, ok := at.(*net.UDPAddr); ok { // whose address may be a wildcard
		a.Addr = fmt.Sprintf("127.0.0.1:%d", udp.Port)
	}
	go serveOn(o.Side, run)
	return nil
}

// serveOn serves for as long as the process lives.
func serveOn(side string, run func() error) {
	err := run() // returns only when it fails
	fmt.Fprintln(os.Stderr, "server", side, err)
	os.Exit(1)
}

func echoStreams(side string, l net.Listener) error {
	var handle handler
	switch side {
	case lab.Ours:
		return newServer().Serve(l)
	case plain:
		handle = readAndWrite
	case copying:
		handle = copyBack
	default:
		return fmt.Errorf("no server of streams is called %q", side)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			err := handle(conn)
			if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) { // by which clients leave
				err = errors.Join(err, conn.Close())
				if err != nil {
					fmt.Fprintln(os.Stderr, "server", side, err)
				}
				return
			}
			_ = conn.Close() // of which nothing more is to come
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

func echoPackets(side string, conn *net.UDPConn) error {
	switch side {
	case lab.Ours, wildcard:
		return newServer().ServePacket(conn)
	case plain:
		return answerEach(conn)
	case batches:
		return answerBatches(ipv4.NewPacketConn(conn))
	}
	return fmt.Errorf("no server of packets is called %q", side)
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

// growSocket goes beyond the limit of the system as root, and up to it as others.
func growSocket(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferSize)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize)
	}
	return err
}
