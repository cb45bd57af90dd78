//go:build linux

package proxybench

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// transfer sends to a backend, and receives from it, so many bytes.
func transfer(conn net.Conn, up, down int) error {
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	header := binary.BigEndian.AppendUint64(nil, uint64(up))
	header = binary.BigEndian.AppendUint64(header, uint64(down))
	first := min(up, 1024) // which goes with the header
	if _, err := conn.Write(append(header, lab.Content(chunk)[:first]...)); err != nil {
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
			conn, err := net.Dial(o.Network, o.Addr)
			if err == nil {
				err = errors.Join(transfer(conn, 0, o.Bytes/o.Count), conn.Close())
			}
			errs[i] = err
		})
	}
	streams.Wait()
	a.Done.Took, a.Done.Count = time.Since(begin), o.Bytes
	return errors.Join(errs...)
}

// hold opens connections that carry o.Size bytes each way, and keeps them.
func (c *child) hold(o *order, a *answer) error {
	for range o.Count {
		conn, err := net.Dial(o.Network, o.Addr)
		if err != nil {
			return err
		}
		c.held = append(c.held, conn)
		if err := transfer(conn, o.Size, o.Size); err != nil {
			return err
		}
		a.Done.Count++
	}
	return nil
}

func (c *child) release() error {
	var errs []error
	for _, conn := range c.held {
		errs = append(errs, conn.Close())
	}
	c.held = nil
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
				conn, err := net.Dial(o.Network, o.Addr)
				if err == nil {
					err = errors.Join(transfer(conn, o.Size, o.Size), conn.Close())
				}
				errs[i] = err
			}
		})
	}
	workers.Wait()
	a.Done.Took, a.Done.Count = time.Since(begin), o.Count
	return errors.Join(errs...)
}
