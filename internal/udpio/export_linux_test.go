package udpio

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Kernel stands between a Writer and the kernel: it is told how many messages
// are to be sent, and of how many bytes each but the last, and returns how many
// it lets through or the error instead.
type Kernel func(messages, chunk int) (int, unix.Errno)

// WithKernel puts k in place until the returned function is called.
func WithKernel(k Kernel) (restore func()) {
	transmit = func(o *sending, fd uintptr, n int) (int, unix.Errno) {
		n, errno := k(n, o.chunk)
		if errno != 0 {
			return 0, errno
		}
		return o.transmit(fd, n)
	}
	return func() { transmit = (*sending).transmit }
}

// KernelSegments sets whether the kernel is known to split what it sends: 1 for
// yes, -1 for no and 0 for not asked yet.
func KernelSegments(known int32) { canSegment.Store(known) }

// Whole returns from which size on w does not let the kernel split, or 0.
func (w *Writer) Whole() int { return w.sock.whole }

// ParseControl is what a Reader makes of control messages.
func ParseControl(b []byte) (p Packet, segment int) {
	segment = p.parseControl(b, new(zone))
	return p, segment
}

// DecodeSockaddr is what a Reader makes of an address.
func DecodeSockaddr(b []byte) netip.AddrPort {
	var s sockaddr
	return s.decode(uint32(copy(s[:], b)), new(zone))
}

// EncodeSockaddr is what a Writer makes of an address without a zone.
func EncodeSockaddr(ap netip.AddrPort, inet6 bool) ([]byte, error) {
	var s sockaddr
	n, err := s.encode(ap, inet6, 0)
	return s[:n], err
}

// StopSplitting makes w send each datagram as a message.
func (w *Writer) StopSplitting() { w.sock.whole = 1 }

// TryRead reads what is there without waiting, and returns whether something
// was and whether r holds buffers then.
func (r *Reader) TryRead() (ready, holds bool, err error) {
	o := newReading(r)
	defer o.put()
	err = r.sock.raw.Read(func(fd uintptr) bool {
		ready = o.try(fd)
		holds = r.held != nil
		return true
	})
	return ready, holds, err
}

// OneAtATime makes r and w work as on other systems.
func OneAtATime(r *Reader, w *Writer) { r.sock.raw, w.sock.raw = nil, nil }
