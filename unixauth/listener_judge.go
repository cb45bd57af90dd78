package unixauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"
)

var errCrowd = errors.New("too many wait for the user database")

func (l *Listener) timeout() time.Duration {
	if l.Timeout <= 0 {
		return 5 * time.Second
	}
	return l.Timeout
}

// judge decides about a peer, here if that takes no time.
func (l *Listener) judge(p *peer) {
	conn, ok := p.Conn.(*net.UnixConn)
	if !ok {
		l.deny(p, &DeniedError{Err: fmt.Errorf("%w: it is a %T", ErrNoCred, p.Conn)})
		return
	}
	cred, err := PeerCred(conn)
	if errors.Is(err, net.ErrClosed) { // by Close: it is no fault of the peer
		l.state.release(p)
		return
	}
	if err != nil {
		l.deny(p, &DeniedError{Err: err})
		return
	}
	c := &Conn{UnixConn: conn, cred: cred}
	err = l.state.quick.Check(cred)
	switch {
	case err == nil:
		l.hand(p, c)
	case l.state.blocks:
		l.ask(p, c)
	default:
		l.deny(p, denied(cred, err))
	}
}

// quick returns the rules of p that take no time.
func (p *Policy) quick() *Policy {
	if !p.blocks() {
		return p
	}
	return &Policy{rule: p.rule.quick(), overflow: p.overflow}
}

// quick returns what r allows without asking the database.
func (r Rule) quick() Rule {
	switch {
	case !r.blocks():
		return r
	case r.kind != kindAny:
		return Rule{} // nobody
	}
	var q Rule
	for _, part := range r.rules {
		if part = part.quick(); part.kind != kindNobody {
			q.kind, q.rules = kindAny, append(q.rules, part)
		}
	}
	return q
}

// denied returns err as what it should be already.
func denied(cred Cred, err error) *DeniedError {
	if d, ok := errors.AsType[*DeniedError](err); ok {
		return d
	}
	return &DeniedError{Cred: cred, Err: err}
}

// ask decides about a peer by a question that takes its time, in a goroutine.
func (l *Listener) ask(p *peer, c *Conn) {
	s := l.state
	if err := s.place(); err != nil {
		if err != net.ErrClosed { // when Close closes the connection
			l.deny(p, &DeniedError{Cred: c.cred, Err: err})
		}
		return
	}
	s.running.Go(func() {
		defer func() { <-s.asking }()
		answered, err := l.answer(c.cred)
		switch {
		case !answered: // Close closes the connection
		case err == nil:
			s.handing.Add(1)
			l.hand(p, c)
			s.handing.Add(-1)
		default:
			l.deny(p, denied(c.cred, err)) // who is slow to read keeps no place of those who ask
		}
	})
}

// place takes a place among those who ask. If there is none it waits for one, as nobody has
// to ask who is still with the kernel; but if the policy lets some in without a question,
// those wait too, and that is to end. Where nobody accepts those who have their answer,
// there is no hurry. The error is net.ErrClosed after Close. It is called by one goroutine.
func (s *listenerState) place() error {
	select {
	case s.asking <- struct{}{}:
		if len(s.asking) <= maxAsking/2 {
			s.full = time.Time{}
		}
		return nil
	default:
	}
	if s.full.IsZero() {
		s.full = time.Now()
	}
	var late <-chan time.Time
	if s.others && s.handing.Load() == 0 {
		timer := time.NewTimer(crowdPatience - time.Since(s.full))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case s.asking <- struct{}{}:
		return nil
	case <-s.stop:
		return net.ErrClosed
	case <-late:
		return errCrowd
	}
}

// answer returns the answer of the whole policy, or that there is none in time. It
// reports false if Close comes first.
func (l *Listener) answer(cred Cred) (answered bool, err error) {
	s := l.state
	timeout := time.NewTimer(l.timeout())
	defer timeout.Stop()
	answer := make(chan error, 1)
	questions := s.questions
	for {
		select {
		case questions <- struct{}{}:
			questions = nil
			go func() { // Close does not wait for it
				defer func() { <-s.questions }()
				answer <- s.check(cred)
			}()
		case err := <-answer:
			return true, err
		case <-timeout.C:
			return true, fmt.Errorf("no decision within %v: %w", l.timeout(), os.ErrDeadlineExceeded)
		case <-s.stop:
			return false, nil
		}
	}
}

// hand waits for somebody who accepts c.
func (l *Listener) hand(p *peer, c *Conn) {
	// From here on Close does not close it: it may have been handed out.
	l.state.release(p)
	select {
	case l.state.accepted <- accepted{c, nil}:
	case <-l.state.stop:
		c.Close() // nobody waits for it
	}
}

// deny refuses a peer in a goroutine of its own, or if there are many of them, here and
// without waiting.
func (l *Listener) deny(p *peer, err *DeniedError) {
	select {
	case l.state.messages <- struct{}{}:
		l.state.running.Go(func() {
			defer func() { <-l.state.messages }()
			l.refuse(p, err, writeAll)
		})
	default:
		l.refuse(p, err, writeNow)
	}
}

// refuse reports a peer, writes it the message and closes it.
func (l *Listener) refuse(p *peer, err *DeniedError, write func(net.Conn, string)) {
	defer func() {
		l.state.release(p)
		p.Close() // it is done with
	}()
	if l.OnDeny != nil {
		l.OnDeny(err)
	}
	l.log(err)
	_ = p.SetDeadline(time.Now().Add(l.timeout())) // it fails if Close was first
	if l.Message != "" {
		write(p.Conn, l.Message)
	}
	if c, ok := p.Conn.(*net.UnixConn); ok {
		// To close it with data unread is an error for the peer (ECONNRESET), which some
		// take for the end before they read the message. After CloseRead
		// nothing is added to what there is. The errors are those of a peer that is gone.
		_ = c.CloseRead()
		_, _ = io.Copy(io.Discard, c)
	}
}

// writeAll waits for a peer that is slow to read.
func writeAll(conn net.Conn, message string) {
	_, _ = io.WriteString(conn, message) // the peer may be gone, or late
}

// log tells only what the kernel said, and nothing that the peer chose.
func (l *Listener) log(err *DeniedError) {
	if l.Logger == nil {
		return
	}
	var attrs []slog.Attr
	if err.Cred.known {
		attrs = append(attrs, slog.Uint64("uid", uint64(err.Cred.UID)), slog.Uint64("gid", uint64(err.Cred.GID)))
	}
	if pid, ok := err.Cred.PID(); ok {
		attrs = append(attrs, slog.Int("pid", pid))
	}
	if err.Err != nil {
		attrs = append(attrs, slog.String("error", err.Err.Error()))
	}
	l.Logger.LogAttrs(context.Background(), slog.LevelWarn, "peer denied", attrs...)
}
