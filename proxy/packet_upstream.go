package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/netparts/netparts/internal/udpio"
)

// newPacketUpstream returns how to use the upstream socket of a session.
func newPacketUpstream(conn net.Conn) (packetUpstream, error) {
	switch remote := conn.RemoteAddr(); {
	case remote == nil:
		return nil, errors.New("not connected")
	case slices.Contains([]string{"tcp", "unix", "unixpacket"}, remote.Network()):
		return nil, fmt.Errorf("%s is no network of datagrams", remote.Network())
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		return newUDPUpstream(udp), nil
	}
	if u := newUnixgramUpstream(conn); u != nil {
		return u, nil
	}
	return &otherUpstream{conn}, nil
}

// A udpUpstream is a connected UDP socket.
type udpUpstream struct {
	reader  *udpio.Reader
	writer  *udpio.Writer
	remote  netip.AddrPort
	answers [answerBatch]udpio.Message
}

func newUDPUpstream(conn *net.UDPConn) *udpUpstream {
	return &udpUpstream{
		reader: udpio.NewReader(conn, udpio.Config{Size: maxDatagram, Batch: answerBatch, Coalesce: true}),
		writer: udpio.NewWriter(conn),
		remote: conn.RemoteAddr().(*net.UDPAddr).AddrPort(),
	}
}

// waits reports false: what a network does not take is lost.
func (u *udpUpstream) waits() bool { return false }

// send tries again what an earlier datagram's error has kept from being sent.
func (u *udpUpstream) send(ms []udpio.Message) error {
	for i := range ms {
		ms[i].To = u.remote
	}
	err := u.writer.WriteAll(ms)
	if err == nil {
		return nil
	}
	for i := range ms {
		m := &ms[i]
		if passesPacket(m.Err) {
			m.Err = u.writer.Write(m.Data, m.Size, m.To, m.From)
		}
	}
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (u *udpUpstream) receive(s *packetSession) error {
	defer u.reader.Release()
	for {
		err := u.reader.Read()
		if passesPacket(err) {
			continue
		}
		if err != nil {
			return err
		}
		answers := u.answers[:0]
		for len(answers) < answerBatch {
			p, size, ok := u.reader.NextRun()
			if !ok {
				break
			}
			answers = append(answers, udpio.Message{Data: p.Data, Size: size})
		}
		s.answer(answers)
		clear(answers)
	}
}

// packetErrors are what a UDP socket is told of datagrams that it has sent, by ICMP. The
// next ones may arrive.
var packetErrors = []syscall.Errno{
	syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH,
	syscall.EMSGSIZE, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.EPROTO, syscall.EACCES,
}

// passesPacket reports whether an error is one of them.
func passesPacket(err error) bool {
	if err == nil {
		return false
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains(packetErrors, errno)
}

// An otherUpstream is a connection that is no socket, whose every Read returns a
// datagram and every Write sends one.
type otherUpstream struct{ conn net.Conn }

// waits reports true: nobody knows how long Write takes.
func (u *otherUpstream) waits() bool { return true }

func (u *otherUpstream) send(ms []udpio.Message) error { return writePackets(u.conn, ms) }

func (u *otherUpstream) receive(s *packetSession) error {
	b := make([]byte, maxDatagram+1)
	for {
		n, err := u.conn.Read(b)
		if err != nil {
			return err
		}
		m := [1]udpio.Message{{Data: b[:n], Size: n}}
		if n > maxDatagram {
			s.counters.dropped.Add(1) // perhaps cut
			continue
		}
		s.answer(m[:])
	}
}

// writePackets writes each datagram of ms. It returns an error after which there is no
// use in writing others.
func writePackets(w io.Writer, ms []udpio.Message) error {
	for i := range ms {
		m := &ms[i]
		for rest := m.Data; ; {
			n := len(rest)
			if m.Size > 0 {
				n = min(n, m.Size)
			}
			if _, err := w.Write(rest[:n]); err != nil {
				m.Err = err
				if !tooMuch(err) {
					fail(ms[i:], err)
					return err
				}
			}
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	return nil
}

// fail sets Err of messages that are not sent.
func fail(ms []udpio.Message, err error) {
	for i := range ms {
		ms[i].Err = err
	}
}

// tooMuch reports whether an error is about one datagram and not about the connection.
func tooMuch(err error) bool {
	return errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS)
}
