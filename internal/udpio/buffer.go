package udpio

import "net"

// SetReadBuffer asks for a receive buffer of n bytes and returns how many bytes
// of memory the system grants to datagrams that wait, which on Linux counts
// what each of them takes besides its data. It returns 0 if that is not known,
// as for what is not a [*net.UDPConn].
//
// On Linux, a process that may do so gets what it asks for, beyond the limit of
// the system.
func SetReadBuffer(c net.PacketConn, n int) int {
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return 0
	}
	return setReadBuffer(udp, n)
}
