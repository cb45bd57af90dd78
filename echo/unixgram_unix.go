//go:build unix

package echo

import (
	"net"
	"os"
	"syscall"
)

// A unixgram echoes the datagrams of a Unix socket. Its answers do not wait: the
// methods of a net.UnixConn would wait for the one client that does not read,
// while all others wait for the server.
type unixgram struct {
	*tally
	raw    syscall.RawConn
	own    string // the path of the socket
	record []byte
	err    error
	try    func(fd uintptr) bool
}

// newUnixgram returns nil if the connection is not open.
func newUnixgram(conn *net.UnixConn, t *tally) stepper {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	growWriteBuffer(conn)
	u := &unixgram{tally: t, raw: raw, own: conn.LocalAddr().String(), record: make([]byte, maxRecord+1)}
	u.try = u.answer
	return u
}

func (u *unixgram) close() {}

func (u *unixgram) step() error {
	if err := u.raw.Read(u.try); err != nil {
		return err
	}
	return u.err
}

// answer echoes one datagram, and reports false if there is none.
func (u *unixgram) answer(fd uintptr) bool {
	n, from, err := syscall.Recvfrom(int(fd), u.record, 0)
	switch err {
	case nil:
	case syscall.EAGAIN, syscall.EINTR:
		return err == syscall.EINTR // it is called again then
	default:
		u.err = os.NewSyscallError("recvfrom", err)
		return true
	}
	peer, ok := from.(*syscall.SockaddrUnix)
	switch {
	case !ok || peer.Name == "" || n > maxRecord:
		u.dropped++ // its sender is not bound, or it is cut
	case peer.Name == u.own:
		u.ignored++
	case syscall.Sendto(int(fd), u.record[:n], syscall.MSG_DONTWAIT, peer) != nil:
		u.dropped++
	default:
		u.answered++
		u.bytes += int64(n)
	}
	return true
}
