//go:build linux

package tlvbench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

// An order is for one end of connections.
type order struct {
	Do    string
	Side  string
	Size  int    // of values
	Ahead int    // of the bufio.Reader
	Conns int    // how many there are
	Addr  string // where they go
	Count int    // of records
}

type answer struct{ Addr string }

// An end is a process that sends records, or one that receives them.
type end struct {
	// Of the one that receives.
	value    []byte
	received atomic.Int64
	expected atomic.Int64
	complete chan struct{}
	failed   chan error

	// Of the one that sends.
	conns   []net.Conn
	encoder encoder // if there is one connection
	burst   []byte  // that goes to each connection in turn, if there are several
}

func child() error {
	e := end{complete: make(chan struct{}, 1), failed: make(chan error, 1)}
	return lab.Obey(e.obey)
}

func (e *end) obey(o *order, a *answer) (err error) {
	switch o.Do {
	case "listen":
		a.Addr, err = e.listen(o)
	case "dial":
		err = e.dial(o)
	case "expect":
		e.expected.Store(e.received.Load() + int64(o.Count))
	case "send":
		err = e.send(o.Count)
	case "send bursts":
		err = e.sendBursts(o.Count)
	case "received":
		err = e.wait()
	default:
		err = fmt.Errorf("unknown order %q", o.Do)
	}
	return err
}

// listen receives on so many connections, each of which has a goroutine until its end.
func (e *end) listen(o *order) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	e.value = lab.Content(o.Size)
	go func() {
		defer l.Close() // as all are there, or there was an error that is told
		for range o.Conns {
			conn, err := l.Accept()
			if err == nil {
				var decode func() ([]byte, error)
				if decode, err = newDecoder(o.Side, conn, o.Ahead); err == nil {
					go e.receive(decode)
				}
			}
			if err != nil {
				e.fail(err)
				return
			}
		}
	}()
	return l.Addr().String(), nil
}

// receive looks at the length of each record, and at the bytes of each 16th. It ends with
// the connection, which is an error to nobody who does not wait.
func (e *end) receive(decode func() ([]byte, error)) {
	for i := 1; ; i++ {
		value, err := decode()
		if err == nil && (len(value) != len(e.value) || i%batch == 0 && !bytes.Equal(value, e.value)) {
			err = fmt.Errorf("a value of %d bytes differs from that of %d bytes which was sent", len(value), len(e.value))
		}
		if err != nil {
			e.fail(err)
			return
		}
		if i%batch == 0 && e.received.Add(batch) == e.expected.Load() {
			e.complete <- struct{}{}
		}
	}
}

// fail keeps the first error.
func (e *end) fail(err error) {
	select {
	case e.failed <- err:
	default:
	}
}

// wait waits until what is expected has come.
func (e *end) wait() error {
	select {
	case <-e.complete:
		return nil
	case err := <-e.failed:
		return err
	case <-time.After(load.Patience):
		return fmt.Errorf("%d records are missing: %w", e.expected.Load()-e.received.Load(), load.ErrSilent)
	}
}

// dial opens connections, which end with this process and leave nothing behind.
func (e *end) dial(o *order) error {
	for i := range o.Conns {
		conn, err := net.Dial("tcp", o.Addr)
		if err == nil {
			e.conns = append(e.conns, conn)
			// A reset at the end spares the system a minute of TIME_WAIT for each.
			err = conn.(*net.TCPConn).SetLinger(0)
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	value := lab.Content(o.Size)
	var b bytes.Buffer
	gather, err := newEncoder(o.Side, &b, value)
	if err != nil {
		return err
	}
	for range batch {
		err = errors.Join(err, gather.write())
	}
	err = errors.Join(err, gather.flush())
	e.burst = b.Bytes()
	if err == nil {
		e.encoder, err = newEncoder(o.Side, e.conns[0], value)
	}
	return err
}

// send writes records to the first connection, and what was gathered at the end.
func (e *end) send(count int) error {
	if err := e.conns[0].SetWriteDeadline(time.Now().Add(3 * load.Patience)); err != nil {
		return err
	}
	for range count {
		if err := e.encoder.write(); err != nil {
			return err
		}
	}
	return e.encoder.flush()
}

// sendBursts writes 16 records at once to each connection in turn.
func (e *end) sendBursts(count int) error {
	deadline := time.Now().Add(3 * load.Patience)
	for i := range count / batch {
		conn := e.conns[i%len(e.conns)]
		if err := conn.SetWriteDeadline(deadline); err != nil {
			return err
		}
		if _, err := conn.Write(e.burst); err != nil {
			return err
		}
	}
	return nil
}
