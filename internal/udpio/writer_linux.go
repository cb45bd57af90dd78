package udpio

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSegments is how many datagrams every kernel that splits makes of one
	// message.
	maxSegments = 64

	// What fits into an IP packet besides the headers of IPv4 and UDP, or of UDP
	// in an IPv6 payload.
	maxPayload4 = 65535 - 20 - 8
	maxPayload6 = 65535 - 8

	// maxMessages is how many messages one system call sends.
	maxMessages = 64
)

// A sender is what a Writer has besides, for a socket: what it knows of it and
// of the paths that it uses.
type sender struct {
	raw   syscall.RawConn // nil if datagrams are sent one at a time
	known bool            // whether inet6 is
	inet6 bool
	loop  bool // sendmmsg is not there
	whole int  // datagrams of at least this size are not made by the kernel, unless 0
	zone  zone // of the last address that had one
}

func newSender(c net.PacketConn) sender { return sender{raw: rawConn(c)} }

func (s *sender) batches() bool { return s.raw != nil }

// canSegment tells whether the kernel of this process knows UDP_SEGMENT: 0 not
// asked yet, 1 yes, -1 no. Before Linux 4.18 it is ignored without an error,
// and many datagrams would go as one.
var canSegment atomic.Int32

// A sending is a Write that is under way. It is apart from the Writer because
// few of many Writers write at a time.
type sending struct {
	*Writer
	rest  []byte
	size  int
	to    netip.AddrPort
	from  netip.Addr
	begun bool // whether the fields below name and control are set
	done  bool

	name    sockaddr
	nameLen int // 0 for the peer of a connected socket
	control control
	source  int // how much of control is for every message
	limit   int // bytes that one message may have

	single  bool       // each datagram is a message
	chunk   int        // bytes in a message, but the last
	refused unix.Errno // why the kernel would not split, until it is clear that it was that

	used int // how many of what follows point into rest
	msgs [maxMessages]unix.Mmsghdr
	iovs [maxMessages]unix.Iovec
	try  func(fd uintptr) bool
	call string // the system call that failed
	err  error
}

var sendings = sync.Pool{New: func() any {
	o := new(sending)
	for i := range o.msgs {
		m := &o.msgs[i].Hdr
		m.Name = &o.name[0]
		m.Iov = &o.iovs[i]
		m.SetIovlen(1)
		m.Control = (*byte)(unsafe.Pointer(&o.control.b))
	}
	o.try = o.run
	return o
}}

// transmit stands for sending.transmit, so that a test can be the kernel.
var transmit = (*sending).transmit

// writeBatch sends b by as few system calls as the kernel allows.
func (w *Writer) writeBatch(b []byte, size int, to netip.AddrPort, from netip.Addr) error {
	o := sendings.Get().(*sending)
	defer sendings.Put(o)
	o.Writer, o.rest, o.size, o.to, o.from = w, b, size, unmap(to), from
	o.begun, o.done, o.refused, o.used, o.err = false, false, 0, 0, nil
	err := w.sock.raw.Write(o.try)
	o.Writer, o.rest = nil, nil
	for i := range o.used {
		o.iovs[i].Base = nil // it is b's
	}
	switch {
	case err != nil:
		if e, ok := errors.AsType[*net.OpError](err); ok {
			e.Op, e.Addr = "write", net.UDPAddrFromAddrPort(to)
		}
		return err
	case o.err != nil:
		return w.opError(to, o.err)
	}
	return nil
}

// run sends what is left, and reports false if the socket has no room.
func (o *sending) run(fd uintptr) bool {
	if !o.begun {
		if o.err = o.begin(int(fd)); o.err != nil {
			return true
		}
		o.begun = true
	}
	for !o.done {
		n := o.fill()
		sent, errno := transmit(o, fd, n)
		if sent > 0 {
			o.learn()
			o.skip(sent)
			continue
		}
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return false
		case errno == unix.ENOBUFS:
			o.skip(1) // lost in a queue of this host rather than in the network
		case errno == unix.ENOSYS && n > 1:
			o.sock.loop = true
		case !o.single && refusal(errno):
			o.single, o.refused = true, errno
		default:
			o.err = os.NewSyscallError(o.call, errno)
			return true
		}
	}
	return true
}

// refusal reports whether an error can mean that the kernel does not split what
// it is to send, though it would send the datagrams.
func refusal(errno unix.Errno) bool {
	switch errno {
	case unix.EINVAL, unix.EMSGSIZE: // a datagram and its headers exceed the path's MTU
		return true
	case unix.EIO, unix.EOPNOTSUPP, unix.ENOPROTOOPT: // it cannot, whatever the size
		return true
	}
	return false
}

// learn remembers a refusal once a datagram went another way: what is wrong
// with the address or with all datagrams is no refusal.
func (o *sending) learn() {
	if o.refused != 0 {
		o.sock.refuses(o.size, o.refused)
		o.refused = 0
	}
}

// refuses remembers that the kernel does not make datagrams of a size.
func (s *sender) refuses(size int, why unix.Errno) {
	switch why {
	case unix.EINVAL, unix.EMSGSIZE:
		if s.whole == 0 || size < s.whole {
			s.whole = size
		}
	default:
		s.whole = 1
	}
}

// begin sets what all messages share.
func (o *sending) begin(fd int) error {
	if !o.sock.known {
		if err := o.sock.learnDomain(fd); err != nil {
			return err
		}
	}
	if err := o.address(); err != nil {
		return err
	}
	o.source = o.control.n
	o.limit = segmentLimit(o.to.Addr(), o.size)
	o.single = o.limit <= o.size || len(o.rest) <= o.size || !o.sock.splits(fd, o.size)
	if !o.single {
		o.control.addSegment(o.size)
	}
	return nil
}

// learnDomain asks the socket whether it is one of IPv6.
func (s *sender) learnDomain(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	s.known, s.inet6 = true, domain == unix.AF_INET6
	return nil
}

// splits reports whether the kernel makes datagrams of size bytes of a message.
func (s *sender) splits(fd, size int) bool {
	return (s.whole == 0 || size < s.whole) && segments(fd)
}

// segmentLimit is how many bytes a message to addr may have, for the kernel to make
// datagrams of size bytes of it.
func segmentLimit(addr netip.Addr, size int) int {
	most := maxPayload6
	if addr.Unmap().Is4() {
		most = maxPayload4
	}
	return min(most/size, maxSegments) * size
}

// address sets where the messages go to and come from.
func (o *sending) address() error {
	o.nameLen, o.control.n = 0, 0
	if o.to != o.remote {
		index, err := o.sock.zone.parse(o.to.Addr().Zone())
		if err != nil {
			return err
		}
		if o.nameLen, err = o.name.encode(o.to, o.sock.inet6, index); err != nil {
			return err
		}
	}
	if !o.from.IsValid() {
		return nil
	}
	index, err := o.sock.zone.parse(o.from.Zone())
	if err != nil {
		return err
	}
	return o.control.addSource(o.from, o.sock.inet6, index)
}

// segments reports whether the kernel can split what it sends.
func segments(fd int) bool {
	switch canSegment.Load() {
	case 1:
		return true
	case -1:
		return false
	}
	if _, err := unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT); err != nil {
		canSegment.Store(-1)
		return false
	}
	canSegment.Store(1)
	return true
}

// fill makes messages of what is left and returns how many.
func (o *sending) fill() int {
	o.chunk = o.limit
	space := o.control.n
	if o.single {
		o.chunk, space = o.size, o.source
	}
	most := maxMessages
	if o.sock.loop {
		most = 1
	}
	b, n := o.rest, 0
	for {
		part := b[:min(len(b), o.chunk)]
		b = b[len(part):]
		o.iovs[n].Base = unsafe.SliceData(part)
		o.iovs[n].SetLen(len(part))
		m := &o.msgs[n].Hdr
		m.Namelen = uint32(o.nameLen)
		m.SetControllen(space)
		if n++; len(b) == 0 || n == most {
			o.used = max(o.used, n)
			return n
		}
	}
}

// skip leaves n messages behind.
func (o *sending) skip(n int) {
	o.rest = o.rest[min(n*o.chunk, len(o.rest)):]
	o.done = len(o.rest) == 0
}

// transmit sends n messages, or some of them, by one system call and returns
// how many went.
func (o *sending) transmit(fd uintptr, n int) (int, unix.Errno) {
	var errno unix.Errno
	switch m := &o.msgs[0].Hdr; {
	case n > 1:
		o.call = "sendmmsg"
		var sent uintptr
		sent, _, errno = unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.msgs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		n = int(sent)
	case m.Controllen == 0:
		o.call = "sendto"
		name := &o.name[0]
		if o.nameLen == 0 {
			name = nil // which is not the same as an empty one
		}
		_, _, errno = unix.Syscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(o.iovs[0].Base)), uintptr(o.iovs[0].Len),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(name)), uintptr(o.nameLen))
	default:
		o.call = "sendmsg"
		_, _, errno = unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(m)), unix.MSG_DONTWAIT)
	}
	if errno != 0 {
		return 0, errno
	}
	return n, 0
}
