//go:build linux

package proxybench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

// A backend takes transfers, one after another on each connection: a header of two
// numbers, how many bytes follow, and how many are to come back. Both ways they are
// the content of a chunk again and again, which the receiver compares.
type backend struct {
	mu      sync.Mutex
	active  int           // connections
	changed chan struct{} // closed when active changes; nil if nobody waits
}

const (
	transferHeader = 16
	chunk          = 256 << 10
)

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

// listen takes transfers at one address more.
func (s *backend) listen(o *order, a *answer) error {
	l, err := net.Listen(o.Network, o.Addr)
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	go serveOn("backend", func() error {
		for {
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			s.add(1)
			go func() {
				defer s.add(-1)
				defer conn.Close() // what was sent has been received, or nobody waits for it
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
	late := time.NewTimer(load.Patience)
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
	content := lab.Content(chunk)
	for sent < size {
		at := sent % chunk
		n, err := conn.Write(content[at:min(chunk, at+size-sent)])
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
	content, b := lab.Content(chunk), chunks.Get().(*[chunk]byte)
	defer chunks.Put(b)
	for got := 0; got < size; {
		at := got % chunk
		n, err := conn.Read(b[:min(size-got, chunk-at)])
		if !bytes.Equal(b[:n], content[at:at+n]) {
			return errors.New("what arrived differs")
		}
		if got += n; err != nil && got < size {
			return fmt.Errorf("%d bytes of %d arrived: %w", got, size, err)
		}
	}
	return nil
}
