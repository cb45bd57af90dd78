package sockets_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kernelInfo returns what Linux knows of a connection, as ss -ti prints it.
func kernelInfo(conn *net.TCPConn) *unix.TCPInfo {
	var info *unix.TCPInfo
	kernelControl(conn, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	return info
}

// kernelQueued returns how many bytes wait in a buffer of the kernel: with SIOCOUTQ those that
// the peer has not acknowledged, sent or not, and with SIOCINQ those that have not been read.
func kernelQueued(conn *net.TCPConn, request uint) int {
	var n int
	kernelControl(conn, func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, request)
		return err
	})
	return n
}

func kernelControl(conn *net.TCPConn, f func(fd int) error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		log.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		log.Fatal(err)
	}
	if failed != nil {
		log.Fatal(failed)
	}
}

// kernelFill writes until the peer takes no more, and returns how many bytes it wrote. That is
// so when all that was sent is acknowledged, and there is more that may not be sent: the window
// of the peer, which is how many bytes it is ready for, is zero. Short deadlines pace the loop.
func kernelFill(conn *net.TCPConn) (written int) {
	data := make([]byte, 1<<20)
	for begin := time.Now(); time.Since(begin) < kernelSoon; {
		if err := conn.SetWriteDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
			log.Fatal(err)
		}
		n, err := conn.Write(data)
		written += n
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			log.Fatal(err)
		}
		if info := kernelInfo(conn); n == 0 && info.Unacked == 0 && info.Notsent_bytes > 0 && info.Snd_wnd == 0 {
			return written
		}
	}
	log.Fatal("the window does not close")
	return 0
}

// When a service stalls, the numbers of its sockets tell who does not read. The receiver has
// bytes that nobody reads. The sender has bytes that it may not send, although all that it
// sent is acknowledged: the network is in order, and it is the peer's window that is closed. In a
// terminal, ss -tin shows the same.
func Example_zeroWindow() {
	client, server := kernelConnect()
	defer client.Close()
	defer server.Close()
	written := kernelFill(client)
	unread := kernelQueued(server, unix.SIOCINQ)
	waiting := kernelQueued(client, unix.SIOCOUTQ)
	fmt.Println("the receiver has unread bytes:", unread > 0)
	fmt.Println("the sender has unsent bytes:", waiting > 0)
	fmt.Println("together they are all that was written:", unread+waiting == written)

	// What opens the window is reading.
	if _, err := io.CopyN(io.Discard, server, int64(written)); err != nil {
		log.Fatal(err)
	}
	fmt.Println("left unread:", kernelQueued(server, unix.SIOCINQ))
	// Output:
	// the receiver has unread bytes: true
	// the sender has unsent bytes: true
	// together they are all that was written: true
	// left unread: 0
}

// A small receive buffer closes the window sooner, and nothing in the settings of the system
// shows that it is small. A buffer is to be set before a connection exists, since the scale of the
// window is agreed upon in the handshake; those of a listener are inherited.
func TestSmallReadBuffer(t *testing.T) {
	const small = 8 << 10
	setBuffer := func(_, _ string, conn syscall.RawConn) error {
		var err error
		controlErr := conn.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, small)
		})
		return errors.Join(controlErr, err)
	}
	unread := func(config net.ListenConfig) int {
		client, server := kernelConnectWith(config)
		defer client.Close()
		defer server.Close()
		kernelFill(client)
		return kernelQueued(server, unix.SIOCINQ)
	}
	// Linux doubles the size, for what it needs besides the data.
	if n := unread(net.ListenConfig{Control: setBuffer}); n > 2*small {
		t.Errorf("with a small buffer the peer stalls after %d bytes, want %d at most", n, 2*small)
	}
	if n := unread(net.ListenConfig{}); n <= 2*small {
		t.Errorf("with the buffer of the system the peer stalls after %d bytes, want more than %d", n, 2*small)
	}
}
