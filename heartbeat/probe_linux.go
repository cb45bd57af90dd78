package heartbeat

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// kernelRTT returns the round trip time that the kernel has measured on a
// connection over which nothing was sent, which is that of its handshake. It
// reports false for what is not a TCP connection, and where there is no
// measurement.
func kernelRTT(conn net.Conn) (rtt time.Duration, ok bool) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	var infoErr error
	err = raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || infoErr != nil || info.Rtt == 0 {
		return 0, false
	}
	return time.Duration(info.Rtt) * time.Microsecond, true
}
