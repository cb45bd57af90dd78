//go:build linux

package tftpbench

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// serveBare answers a request, which says the block size, with the blocks of file,
// each after an ACK. Both sides write to and read from connected sockets.
func serveBare(conn *net.UDPConn, file []byte) error {
	request := make([]byte, 100)
	for {
		n, peer, err := conn.ReadFromUDPAddrPort(request)
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(string(request[:n]))
		if err != nil {
			return err
		}
		out, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(peer))
		if err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort([]byte(out.LocalAddr().String()), peer); err != nil {
			return err
		}
		if err := errors.Join(sendBare(out, file, size), out.Close()); err != nil {
			return err
		}
	}
}

func sendBare(conn *net.UDPConn, file []byte, size int) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	packet, ack := make([]byte, 4+size), make([]byte, 10)
	for rest := file; ; {
		if _, err := conn.Read(ack); err != nil || len(rest) == 0 {
			return err
		}
		n := copy(packet[4:], rest)
		rest = rest[n:]
		if _, err := conn.Write(packet[:4+n]); err != nil {
			return err
		}
	}
}

func getBare(addr string, block int, w *check) error {
	conn, err := listen()
	if err != nil {
		return err
	}
	b := make([]byte, 4+max(block, 100))
	n, err := requestBare(conn, addr, block, b)
	if err = errors.Join(err, conn.Close()); err != nil {
		return err
	}
	server := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(string(b[:n])))
	conn, err = net.DialUDP("udp4", conn.LocalAddr().(*net.UDPAddr), server)
	if err != nil {
		return err
	}
	return errors.Join(takeBare(conn, b, w), conn.Close())
}

// takeBare acknowledges blocks until all have come.
func takeBare(conn *net.UDPConn, b []byte, w *check) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for ack := []byte{0, 4, 0, 0}; ; {
		if _, err := conn.Write(ack); err != nil || len(w.rest) == 0 {
			return err
		}
		n, err := conn.Read(b)
		if err != nil {
			return err
		}
		if _, err := w.Write(b[4:n]); err != nil {
			return err
		}
	}
}

// requestBare asks for the address that the blocks come from.
func requestBare(conn *net.UDPConn, addr string, block int, b []byte) (int, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := conn.WriteToUDPAddrPort(fmt.Append(nil, block), netip.MustParseAddrPort(addr)); err != nil {
		return 0, err
	}
	return conn.Read(b)
}
