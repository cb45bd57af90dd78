package udpio

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runSlot is the room for a run of datagrams, which is never longer.
const runSlot = 1 << maxSlotBits

// A receiver is what a Reader has besides, for a socket.
type receiver struct {
	raw  syscall.RawConn // nil if datagrams are read one at a time
	zone zone            // of the last address that had one
}

func newReceiver(c net.PacketConn) receiver { return receiver{raw: rawConn(c)} }

func (r *receiver) batches() bool { return r.raw != nil }

// rawConn returns the access to a socket that the system calls need, or nil.
func rawConn(c net.PacketConn) syscall.RawConn {
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return nil
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		return nil // it is not open, and its methods say so
	}
	return raw
}

// A scratch is what the system calls take and return for each slot of a set.
// Its structures point at each other and into the set once and for all.
type scratch struct {
	msgs  []unix.Mmsghdr
	slots []slot
}

type slot struct {
	iov     unix.Iovec
	control [controlSpace]byte
	name    sockaddr
}

// link makes the structures for n slots.
func (s *set) link(n int) {
	s.msgs, s.slots = make([]unix.Mmsghdr, n), make([]slot, n)
	for i := range s.msgs {
		m, slot := &s.msgs[i].Hdr, &s.slots[i]
		slot.iov.Base = &s.data[i*s.slot]
		m.Name = &slot.name[0]
		m.Iov = &slot.iov
		m.SetIovlen(1)
		m.Control = &slot.control[0]
	}
}

// prepare makes n slots ready for datagrams of length bytes, with room for
// space bytes of control messages.
func (s *set) prepare(n, length, space int) {
	for i := range n {
		m, slot := &s.msgs[i].Hdr, &s.slots[i]
		slot.iov.SetLen(length)
		m.Namelen = uint32(len(slot.name))
		m.SetControllen(space)
		m.Flags = 0
	}
}

// A reading is a Read or an enable that is under way. It is apart from the
// Reader so that not each of them needs functions of its own.
type reading struct {
	*Reader
	call string // the system call that failed
	err  unix.Errno
	try  func(fd uintptr) bool
	ask  func(fd uintptr)
}

var readings = sync.Pool{New: func() any {
	o := new(reading)
	o.try, o.ask = o.receive, o.setOptions
	return o
}}

func newReading(r *Reader) *reading {
	o := readings.Get().(*reading)
	o.Reader = r
	return o
}

func (o *reading) put() {
	o.Reader, o.err = nil, 0
	readings.Put(o)
}

// enable asks the kernel for what the Config wants.
func (r *Reader) enable() {
	o := newReading(r)
	defer o.put()
	if err := r.sock.raw.Control(o.ask); err != nil {
		r.cfg.Coalesce, r.cfg.Hold = false, 0 // it is closed, as Read will say
	}
}

// setOptions does without what the kernel refuses: Coalesce saves work, and
// what Local asks for may not be known anyway.
func (o *reading) setOptions(fd uintptr) {
	s := int(fd)
	if o.cfg.Coalesce {
		o.cfg.Coalesce = unix.SetsockoptInt(s, unix.SOL_UDP, unix.UDP_GRO, 1) == nil
	}
	if o.cfg.Hold > 0 {
		// Other calls ask not to wait, each for itself.
		limit := unix.NsecToTimeval(o.cfg.Hold.Nanoseconds())
		if unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit) != nil || unix.SetNonblock(s, false) != nil {
			o.cfg.Hold = 0
		}
	}
	if !o.cfg.Local {
		return
	}
	// A dual-stack socket gets datagrams of IPv4 too, of which the option of
	// IPv6 tells less. That option fails on a socket of IPv4.
	err4 := unix.SetsockoptInt(s, unix.SOL_IP, unix.IP_PKTINFO, 1)
	err6 := unix.SetsockoptInt(s, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
	o.cfg.Local = err4 == nil || err6 == nil
}

// readBatch waits for datagrams and takes them by one system call.
func (r *Reader) readBatch() error {
	o := newReading(r)
	defer o.put()
	err := r.sock.raw.Read(o.try)
	switch {
	case err != nil:
		r.Release()
		if e, ok := errors.AsType[*net.OpError](err); ok {
			e.Op = "read" // rather than raw-read, which no caller asked for
		}
		return err
	case o.err != 0:
		r.Release()
		local := r.conn.LocalAddr()
		return &net.OpError{Op: "read", Net: local.Network(), Source: local, Err: os.NewSyscallError(o.call, o.err)}
	}
	return nil
}

// receive takes what is there, and reports false if nothing is. The set is
// given back before the Reader waits.
func (o *reading) receive(fd uintptr) bool {
	r := o.Reader
	length, space := r.cfg.Size, 0
	if r.cfg.Coalesce {
		length = runSlot
	}
	if r.cfg.Coalesce || r.cfg.Local {
		space = controlSpace
	}
	if r.held == nil {
		r.held = newSet(length, r.cfg.Batch)
	}
	r.held.prepare(r.cfg.Batch, length, space)
	for {
		switch {
		case r.cfg.Batch > 1:
			r.count, o.err = r.held.recvmmsg(fd, r.cfg.Batch)
			o.call = "recvmmsg"
		case space > 0:
			r.count, o.err = r.held.recvmsg(fd)
			o.call = "recvmsg"
		default:
			flags := unix.MSG_DONTWAIT
			if r.cfg.Hold > 0 {
				flags = 0 // it waits as long as SO_RCVTIMEO says
			}
			r.count, o.err = r.held.recvfrom(fd, length, flags)
			o.call = "recvfrom"
		}
		switch o.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			o.err = 0
			r.Release()
			return false
		}
		return true
	}
}

// recvmmsg takes up to n messages and returns how many it took.
func (s *set) recvmmsg(fd uintptr, n int) (int, unix.Errno) {
	got, _, err := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&s.msgs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(got), 0
}

// recvmsg takes one message.
func (s *set) recvmsg(fd uintptr) (int, unix.Errno) {
	n, _, err := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.msgs[0].Hdr)), unix.MSG_DONTWAIT)
	if err != 0 {
		return 0, err
	}
	s.msgs[0].Len = uint32(n)
	return 1, 0
}

// recvfrom takes one message of up to length bytes, with no more than its
// sender.
func (s *set) recvfrom(fd uintptr, length, flags int) (int, unix.Errno) {
	m := &s.msgs[0]
	n, _, err := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&s.data[0])), uintptr(length),
		uintptr(flags|unix.MSG_TRUNC), uintptr(unsafe.Pointer(&s.slots[0].name)), uintptr(unsafe.Pointer(&m.Hdr.Namelen)))
	if err != 0 {
		return 0, err
	}
	if int(n) > length { // the real length, because MSG_TRUNC asks for it
		m.Hdr.Flags = unix.MSG_TRUNC
	}
	m.Len = uint32(min(int(n), length))
	return 1, 0
}

// load makes Next hand out message i.
func (r *Reader) load(i int) {
	m, slot := &r.held.msgs[i], &r.held.slots[i]
	n := min(int(m.Len), r.held.slot)
	r.current = Packet{Peer: slot.name.decode(m.Hdr.Namelen, &r.sock.zone), Cut: m.Hdr.Flags&unix.MSG_TRUNC != 0}
	control := slot.control[:min(uint64(m.Hdr.Controllen), controlSpace)]
	r.segment = r.current.parseControl(control, &r.sock.zone)
	if r.segment == 0 {
		r.segment = n
	}
	r.rest = r.held.bytes(i, n)
}

// setReadBuffer returns what SO_RCVBUF says after it was set.
func setReadBuffer(c *net.UDPConn, n int) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	n = min(max(n, 0), 1<<30-1) // the kernel doubles it
	granted := 0
	err = raw.Control(func(fd uintptr) {
		s := int(fd)
		if unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n) != nil &&
			unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_RCVBUF, n) != nil {
			return
		}
		if v, err := unix.GetsockoptInt(s, unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			granted = v
		}
	})
	if err != nil {
		return 0
	}
	return granted
}
