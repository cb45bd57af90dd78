package udpio

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"os"
)

// A Writer sends datagrams through one connection. It is not safe for
// concurrent use, but a connection can have any number of Writers, each with
// what it has learned of the paths that it uses.
type Writer struct {
	conn   net.PacketConn
	remote netip.AddrPort // what conn is connected to, if it is
	sock   sender
}

// NewWriter returns a Writer to c, which stays the caller's to close. If c is
// connected, as by [net.DialUDP], what goes to its peer needs no search for a
// route.
func NewWriter(c net.PacketConn) *Writer {
	w := &Writer{conn: c, sock: newSender(c)}
	if udp, ok := c.(*net.UDPConn); ok {
		w.remote = unmap(addrPort(udp.RemoteAddr()))
	}
	return w
}

// Write sends b to the address to, as datagrams of size bytes, of which the
// last may be shorter. An empty b is one empty datagram, and a size below one
// is that of b. They leave from the address from, if the system can choose it;
// the zero Addr leaves the choice to the system.
//
// Write waits while the socket has no room, until the write deadline of the
// connection. What a full queue of the system drops is lost as in the network,
// without an error. After an error some of the datagrams may have been sent.
func (w *Writer) Write(b []byte, size int, to netip.AddrPort, from netip.Addr) error {
	if size < 1 {
		size = max(len(b), 1)
	}
	if !to.IsValid() {
		return w.opError(to, &net.AddrError{Err: "no address"})
	}
	if w.sock.batches() {
		return w.writeBatch(b, size, to, from)
	}
	return w.writeEach(b, size, to)
}

// A Message is what one Write sends: Data, as datagrams of Size bytes, to the
// address To from the address From.
type Message struct {
	Data []byte
	Size int
	To   netip.AddrPort
	From netip.Addr
	Err  error // set by WriteAll: nil if it was sent
}

// WriteAll sends each of ms as Write does, many with one system call where that
// can be done. A message that cannot be sent does not keep it from sending
// others, but for the end of the connection or its write deadline. It sets Err of
// each, and returns the first error.
func (w *Writer) WriteAll(ms []Message) error {
	for i := range ms {
		ms[i].Err = nil
	}
	if w.sock.batches() && len(ms) > 1 {
		return w.writeMessages(ms)
	}
	var first error
	for i := range ms {
		m := &ms[i]
		m.Err = w.Write(m.Data, m.Size, m.To, m.From)
		first = cmp.Or(first, m.Err)
		if isOver(m.Err) {
			fail(ms[i+1:], m.Err)
			break
		}
	}
	return first
}

// fail sets Err of what has not been tried.
func fail(ms []Message, err error) {
	for i := range ms {
		ms[i].Err = err
	}
}

// isOver reports whether no other message can be sent after an error either.
func isOver(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded)
}

// opError is the error that package net would return.
func (w *Writer) opError(to netip.AddrPort, err error) error {
	e := &net.OpError{Op: "write", Net: "udp", Source: w.conn.LocalAddr(), Err: err}
	if to.IsValid() {
		e.Addr = net.UDPAddrFromAddrPort(to)
	}
	return e
}
