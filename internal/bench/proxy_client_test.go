//go:build linux

package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A proxyChild is what a child keeps for its orders: a backend, or a client.
type proxyChild struct {
	backend backend
	held    []net.Conn
}

// obeyProxy does what is for proxies.
func (c *child) obeyProxy(o *order, a *answer) error {
	p := &c.proxy
	switch o.Do {
	case "proxy-serve":
		return serveProxy(o, a)
	case "proxy-backend":
		return p.backend.listen(o, a)
	case "proxy-settle":
		return p.backend.settle(o.Count)
	case "proxy-fetch":
		return fetch(o, a)
	case "proxy-hold":
		return p.hold(o)
	case "proxy-release":
		return p.release()
	case "proxy-churn":
		return churn(o, a)
	case "proxy-latency":
		return latency(o, a)
	}
	return fmt.Errorf("nobody knows how to %q", o.Do)
}

// A backend takes transfers, one after another on each connection: a header of two
// numbers, how many bytes follow, and how many are to come back. Both ways they are
// the content of a chunk again and again, which the receiver compares.
type backend struct {
	mu      sync.Mutex
	active  int           // connections
	changed chan struct{} // closed when active changes; nil if nobody waits
}

// add changes how many connections are open.
func (s *backend) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active += n
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

const transferHeader = 16

func (s *backend) listen(o *order, a *answer) error {
	l, err := net.Listen(o.Network, o.Addrs[0])
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	content(chunk)
	go serveOn("backend", func() error {
		for {
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			s.add(1)
			go func() {
				defer s.add(-1)
				defer conn.Close()
				if err := s.serve(conn); err != nil && !errors.Is(err, unix.ECONNRESET) {
					fmt.Fprintln(os.Stderr, "backend", err)
				}
			}()
		}
	})
	return nil
}

func (s *backend) serve(conn net.Conn) error {
	var header [transferHeader]byte
	for {
		if _, err := io.ReadFull(conn, header[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		err := receive(conn, int(binary.BigEndian.Uint64(header[:])))
		if err == nil {
			err = send(conn, 0, int(binary.BigEndian.Uint64(header[8:])))
		}
		if err != nil {
			return err
		}
	}
}

// settle waits until so many connections are open.
func (s *backend) settle(count int) error {
	late := time.NewTimer(patience * time.Millisecond)
	defer late.Stop()
	for {
		active, changed := s.watch()
		if active == count {
			return nil
		}
		select {
		case <-changed:
		case <-late.C:
			return fmt.Errorf("%d connections are open, want %d", active, count)
		}
	}
}

// watch returns how many connections are open, and what is closed when that changes.
func (s *backend) watch() (active int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.active, s.changed
}

// send sends so many bytes, but for those that were sent before.
func send(conn net.Conn, sent, size int) error {
	file := content(chunk)
	for sent < size {
		at := sent % chunk
		n, err := conn.Write(file[at:min(chunk, at+size-sent)])
		if err != nil {
			return err
		}
		sent += n
	}
	return nil
}

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// receive receives so many bytes and compares them.
func receive(conn net.Conn, size int) error {
	if size == 0 {
		return nil
	}
	file, b := content(chunk), chunks.Get().(*[chunk]byte)
	defer chunks.Put(b)
	for got := 0; got < size; {
		at := got % chunk
		n, err := conn.Read(b[:min(size-got, chunk-at)])
		if !bytes.Equal(b[:n], file[at:at+n]) {
			return errors.New("what arrived differs")
		}
		if got += n; err != nil && got < size {
			return fmt.Errorf("%d bytes of %d arrived: %w", got, size, err)
		}
	}
	return nil
}

// transfer sends and receives so many bytes.
func transfer(conn net.Conn, up, down int) error {
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	header := binary.BigEndian.AppendUint64(nil, uint64(up))
	header = binary.BigEndian.AppendUint64(header, uint64(down))
	first := min(up, 1024) // which goes with the header
	if _, err := conn.Write(append(header, content(chunk)[:first]...)); err != nil {
		return err
	}
	if err := send(conn, first, up); err != nil {
		return err
	}
	return receive(conn, down)
}

// fetch receives some streams at once, of o.Bytes together.
func fetch(o *order, a *answer) error {
	begin := time.Now()
	errs := make([]error, o.Count)
	var streams sync.WaitGroup
	for i := range errs {
		streams.Go(func() {
			conn, err := net.Dial(o.Network, o.Addrs[0])
			if err == nil {
				err = errors.Join(transfer(conn, 0, o.Bytes/o.Count), conn.Close())
			}
			errs[i] = err
		})
	}
	streams.Wait()
	a.All, a.Done = time.Since(begin), o.Bytes
	return errors.Join(errs...)
}

// hold opens connections that carry o.Size bytes each way, and keeps them.
func (p *proxyChild) hold(o *order) error {
	for range o.Count {
		conn, err := net.Dial(o.Network, o.Addrs[0])
		if err != nil {
			return err
		}
		p.held = append(p.held, conn)
		if err := transfer(conn, o.Size, o.Size); err != nil {
			return err
		}
	}
	return nil
}

func (p *proxyChild) release() error {
	var errs []error
	for _, conn := range p.held {
		errs = append(errs, conn.Close())
	}
	p.held = nil
	return errors.Join(errs...)
}

// churn opens connections one after another, each for one request, in some places at
// once.
func churn(o *order, a *answer) error {
	begin := time.Now()
	var left atomic.Int64
	left.Store(int64(o.Count))
	errs := make([]error, o.Workers)
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			for errs[i] == nil && left.Add(-1) >= 0 {
				conn, err := net.Dial(o.Network, o.Addrs[0])
				if err == nil {
					err = errors.Join(transfer(conn, o.Size, o.Size), conn.Close())
				}
				errs[i] = err
			}
		})
	}
	workers.Wait()
	a.All, a.Done = time.Since(begin), o.Count
	return errors.Join(errs...)
}

// latency makes requests to an echo server one after another, and tells how long the
// median took, and the slowest but a hundredth.
func latency(o *order, a *answer) error {
	fd, err := connect(netip.MustParseAddrPort(o.Addrs[0]), unix.SOCK_STREAM)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: patience / 1000}); err != nil {
		return err
	}
	c, b := streamConn{fd: fd}, make([]byte, o.Size)
	took := make([]time.Duration, o.Count)
	for i := range took {
		begin := time.Now()
		err := c.request(content(varied+o.Size), o.Size)
		for done := false; err == nil && !done; {
			if done, err = c.receive(b); err == unix.EINTR {
				err = nil // a limit of time keeps the kernel from going on by itself
			}
		}
		if err != nil {
			return err
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	a.Took = []time.Duration{took[len(took)/2], took[len(took)*99/100]}
	a.Done = o.Count
	return nil
}
