//go:build linux

package unixauthbench

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
	"github.com/netparts/netparts/unixauth"
)

// patience is how long anything may take.
const patience = 10 * time.Second

// An order is what a child is told to do.
type order struct {
	Do    string
	Kind  string // of server
	Addr  string
	Group uint32 // that is allowed
	Count int    // of connections
	As    identity
}

// What children do.
const (
	doServe  = "serve"  // at a name of the server's own, which is the answer
	doBecome = "become" // somebody
	doDial   = "dial"   // once, and send nothing
	doHold   = "hold"   // connections that were served once, and are then idle
	doKnock  = "knock"  // connect, be served once, and go, again and again
	doFail   = "fail"   // to be let in, again and again
)

// An answer is what a child says.
type answer struct {
	Addr string
	Done lab.Done
}

// A child is a server or a client.
type child struct {
	held []*load.Streams
}

func obeyOrders() error {
	var c child
	return errors.Join(lab.Obey(c.obey), c.close())
}

func (c *child) obey(o *order, a *answer) (err error) {
	switch o.Do {
	case doServe:
		a.Addr, err = serve(o.Kind, o.Group)
	case doBecome:
		err = o.As.become()
	case doDial:
		_, err = c.hold(o.Addr, 1)
	case doHold:
		var s *load.Streams
		if s, err = c.hold(o.Addr, o.Count); err == nil {
			a.Done, err = s.Run(o.Count, 1)
		}
	case doKnock:
		a.Done, err = knock(o.Addr, o.Count)
	case doFail:
		a.Done, err = fail(o.Addr, o.Count)
	default:
		err = fmt.Errorf("unknown order %q", o.Do)
	}
	return err
}

// hold opens connections that stay until the child ends.
func (c *child) hold(addr string, count int) (*load.Streams, error) {
	s, err := load.Open(addr, count)
	if err == nil {
		c.held = append(c.held, s)
	}
	return s, err
}

func (c *child) close() error {
	var errs []error
	for _, s := range c.held {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// atOnce is how many connections a client has at most: a server that is never idle shows
// what it can do.
const atOnce = 32

// knock makes connections, has one byte come back on each, and closes them.
func knock(addr string, count int) (done lab.Done, err error) {
	begin := time.Now()
	for done.Count < count {
		n := min(atOnce, count-done.Count)
		s, err := load.Open(addr, n)
		if err != nil {
			return done, err
		}
		d, err := s.Run(n, 1)
		if err := errors.Join(err, s.Close()); err != nil {
			return done, err
		}
		done.Count += d.Count
	}
	done.Took = time.Since(begin)
	return done, nil
}

// fail makes connections that the server must close without a word.
func fail(addr string, count int) (done lab.Done, err error) {
	begin := time.Now()
	for done.Count < count {
		if err := refused(addr); err != nil {
			return done, err
		}
		done.Count++
	}
	done.Took = time.Since(begin)
	return done, nil
}

func refused(addr string) error {
	conn, err := net.Dial("unix", addr)
	if err != nil {
		return err
	}
	defer conn.Close() // the server has closed it too
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return fmt.Errorf("%d bytes came, want none and the end (error: %w)", n, err)
	}
	return nil
}

// freshName is an abstract address, which needs no file, and which any user may connect to.
func freshName() string { return fmt.Sprintf("@netparts-bench-%016x", rand.Uint64()) }

// serve serves peers who have the group, or whoever comes if the kind of server does not
// look.
func serve(kind string, group uint32) (string, error) {
	l, err := net.Listen("unix", freshName())
	if err != nil {
		return "", err
	}
	allowed := func(net.Conn) bool { return true }
	switch kind {
	case lab.Ours:
		policy, err := unixauth.NewPolicy(unixauth.GIDs(group))
		if err != nil {
			return "", errors.Join(err, l.Close())
		}
		l = &unixauth.Listener{Listener: l, Policy: policy}
		allowed = func(conn net.Conn) bool {
			cred, ok := unixauth.CredFrom(conn)
			return ok && cred.HasGroup(group)
		}
	case sideDatabase:
		allowed = func(conn net.Conn) bool {
			_, ok, err := databaseAllows(conn.(*net.UnixConn), group)
			return err == nil && ok
		}
	}
	go accept(l, allowed)
	return l.Addr().String(), nil
}

// accept serves each connection in a goroutine, until the process ends.
func accept(l net.Listener, allowed func(net.Conn) bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // clients will notice
		}
		go func() {
			defer conn.Close() // the client has gone, or is refused
			if allowed(conn) {
				echo(conn)
			}
		}()
	}
}

func echo(conn net.Conn) {
	buffer := make([]byte, 64)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}
