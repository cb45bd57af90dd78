//go:build linux

package echobench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

const (
	bursts = 8  // under way, each from a socket of its own
	burst  = 32 // datagrams
)

// A packetLoad sends bursts of datagrams and compares what comes back.
type packetLoad struct {
	epoll    int
	size     int
	coalesce bool

	// patience is when what has not come back counts as lost. If it comes later
	// all the same, it counts as late.
	patience time.Duration

	socks [bursts]*packetSocket

	left, done, lost int
}

// A message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	n      uint32
}

// A packetSocket has a burst under way, or none.
type packetSocket struct {
	*packetLoad
	fd      int
	number  uint32 // of the burst
	first   uint32 // of the bursts of this run
	missing uint32 // a bit for each datagram
	begin   time.Time
	sent    []byte // the burst
	got     [burst][]byte
	out, in [burst]message
	vectors [2 * burst]unix.Iovec
	control []byte
}

// newPacketLoad opens the sockets, which ask one server. What is open when it fails stays
// so: the process ends with such an error.
func newPacketLoad(o *order) (*packetLoad, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	at, err := netip.ParseAddrPort(o.Addr)
	if err != nil {
		return nil, err
	}
	l := &packetLoad{epoll: epoll, size: o.Size, coalesce: o.Coalesce, patience: o.Patience}
	for i := range l.socks {
		fd, err := load.Connect(at, unix.SOCK_DGRAM)
		if err == nil {
			err = growSocket(fd)
		}
		if err == nil && o.Coalesce {
			err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, o.Size),
				unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1))
		}
		if err == nil {
			event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
			err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event)
		}
		if err != nil {
			return nil, err
		}
		l.socks[i] = l.newSocket(fd)
	}
	return l, nil
}

func (l *packetLoad) newSocket(fd int) *packetSocket {
	s := &packetSocket{packetLoad: l, fd: fd, control: make([]byte, unix.CmsgSpace(4))}
	s.sent = bytes.Clone(lab.Content(burst * l.size))
	for i := range burst {
		s.got[i] = make([]byte, l.size+1) // one more, to see what is too long
		binary.BigEndian.PutUint32(s.sent[i*l.size+4:], uint32(i))
		point(&s.out[i], &s.vectors[i], s.sent[i*l.size:(i+1)*l.size])
		point(&s.in[i], &s.vectors[burst+i], s.got[i])
	}
	if l.coalesce {
		s.got[0] = make([]byte, 64<<10)
		point(&s.out[0], &s.vectors[0], s.sent)
		point(&s.in[0], &s.vectors[burst], s.got[0])
		s.in[0].header.Control = &s.control[0]
	}
	return s
}

func point(m *message, v *unix.Iovec, b []byte) {
	v.Base = &b[0]
	v.SetLen(len(b))
	m.header.Iov = v
	m.header.SetIovlen(1)
}

// batch is how many messages a burst is.
func (s *packetSocket) batch() int {
	if s.coalesce {
		return 1
	}
	return burst
}

// run sends count datagrams, a burst more at most.
func (l *packetLoad) run(count int) (lab.Done, error) {
	l.left, l.done, l.lost = (count+burst-1)/burst, 0, 0
	begin := time.Now()
	for _, s := range l.socks {
		s.first = s.number + 1
		if err := s.send(); err != nil {
			return lab.Done{}, err
		}
	}
	var events [bursts]unix.EpollEvent
	for l.busy() {
		n, err := unix.EpollWait(l.epoll, events[:], int(l.patience.Milliseconds())/2)
		if err != nil && err != unix.EINTR {
			return lab.Done{}, err
		}
		for i := range max(n, 0) {
			if err := l.socks[events[i].Fd].receive(); err != nil {
				return lab.Done{}, err
			}
		}
		now := time.Now()
		for _, s := range l.socks {
			if err := s.giveUp(now); err != nil {
				return lab.Done{}, err
			}
		}
	}
	return lab.Done{Count: l.done, Lost: l.lost, Took: time.Since(begin)}, nil
}

func (l *packetLoad) busy() bool {
	for _, s := range l.socks {
		if s.missing != 0 {
			return true
		}
	}
	return false
}

// send sends the next burst, if there is one.
func (s *packetSocket) send() error {
	if s.left == 0 {
		return nil
	}
	s.left--
	s.number++
	s.missing = 1<<burst - 1
	s.begin = time.Now()
	for i := range burst {
		binary.BigEndian.PutUint32(s.sent[i*s.size:], s.number)
	}
	for rest := s.out[:s.batch()]; len(rest) > 0; {
		n, err := batchCall(unix.SYS_SENDMMSG, s.fd, rest)
		if err != nil {
			return fmt.Errorf("sendmmsg: %w", err)
		}
		rest = rest[n:]
	}
	return nil
}

func batchCall(call uintptr, fd int, batch []message) (int, error) {
	n, _, err := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&batch[0])), uintptr(len(batch)),
		unix.MSG_DONTWAIT, 0, 0)
	if err == unix.EINTR || err == unix.EAGAIN && call == unix.SYS_SENDMMSG {
		return 0, nil
	}
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}

// receive takes what has come, and sends the next burst when all has.
func (s *packetSocket) receive() error {
	if s.coalesce {
		s.in[0].header.SetControllen(len(s.control))
	}
	n, err := batchCall(unix.SYS_RECVMMSG, s.fd, s.in[:s.batch()])
	if err != nil {
		return fmt.Errorf("recvmmsg: %w", err)
	}
	for i := range n {
		b := s.got[i][:s.in[i].n]
		size, err := s.segment(&s.in[i], len(b))
		if err != nil {
			return err
		}
		for len(b) > 0 {
			if err := s.take(b[:min(size, len(b))]); err != nil {
				return err
			}
			b = b[min(size, len(b)):]
		}
	}
	if n > 0 && s.missing == 0 {
		return s.send()
	}
	return nil
}

// segment is the size of the datagrams that the kernel joined.
func (s *packetSocket) segment(m *message, n int) (int, error) {
	if !s.coalesce || m.header.Controllen == 0 {
		return n, nil
	}
	list, err := unix.ParseSocketControlMessage(s.control[:m.header.Controllen])
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		if c.Header.Level == unix.IPPROTO_UDP && c.Header.Type == unix.UDP_GRO {
			return int(binary.NativeEndian.Uint32(c.Data)), nil
		}
	}
	return n, nil
}

// take compares a datagram with what was sent.
func (s *packetSocket) take(b []byte) error {
	if len(b) != s.size {
		return fmt.Errorf("a datagram of %d bytes came back for one of %d", len(b), s.size)
	}
	number, i := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	switch {
	case i >= burst || !bytes.Equal(b[4:], s.sent[int(i)*s.size+4:][:s.size-4]):
		return errors.New("what came back differs")
	case number < s.first: // so late that it was counted in an earlier run
	case number < s.number: // late
		s.lost--
		s.done++
	case number > s.number || s.missing&(1<<i) == 0:
		return errors.New("a datagram came back twice")
	default:
		s.missing &^= 1 << i
		s.done++
	}
	return nil
}

// giveUp counts what is missing as lost when its time is over.
func (s *packetSocket) giveUp(now time.Time) error {
	if s.missing == 0 || now.Sub(s.begin) < s.patience {
		return nil
	}
	for ; s.missing != 0; s.missing &= s.missing - 1 {
		s.lost++
	}
	s.number++ // so that what still comes is of an earlier one, also if there is none to be sent
	return s.send()
}
