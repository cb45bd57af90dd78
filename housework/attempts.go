package housework

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// errSilent says that a server did not go on after it was connected to.
var errSilent = fmt.Errorf("housework: no answer of the server: %w", os.ErrDeadlineExceeded)

// attempts are what a Client does to connect. They keep the errors, of which gRPC
// passes on the text alone.
type attempts struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu      sync.Mutex
	refused error // of a handshake, by one of the ends
	failed  error // another, of the last attempt
}

// dialAddress is the dialer of gRPC.
func (a *attempts) dialAddress(ctx context.Context, address string) (net.Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		network, address = "unix", path
	}
	conn, err := a.dial(ctx, network, address)
	if err != nil {
		a.ended(err)
	}
	return conn, err
}

// ended keeps the outcome of an attempt. A refusal is kept until one succeeds: another
// address of the same server may fail otherwise.
func (a *attempts) ended(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.refused, a.failed = nil, nil
	case isRefusal(err):
		a.refused = err
	case errors.Is(err, net.ErrClosed): // by gRPC, which has waited long enough
		a.failed = errSilent
	default:
		a.failed = err
	}
}

// refusal returns why no further attempt makes sense, or nil.
func (a *attempts) refusal() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// err returns why there is no connection, or nil if that is not known.
func (a *attempts) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused != nil {
		return a.refused
	}
	return a.failed
}

// isRefusal reports whether err is about what one end thinks of the other, and not about
// a connection that is broken.
func isRefusal(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return true // an alert (RFC 8446 section 6)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	return !isBroken(err)
}

// isBroken reports whether err is one of a connection, or of the time that it took.
func isBroken(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// clientCreds are credentials that tell how attempts end. With TLS 1.3 the client's
// handshake is over before the server has looked at its certificate, so that an attempt
// has succeeded once the server has sent something of HTTP/2.
type clientCreds struct {
	credentials.TransportCredentials
	attempts *attempts
}

// ClientHandshake implements credentials.TransportCredentials.
func (c *clientCreds) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		c.attempts.ended(err)
		return nil, nil, err
	}
	return &heardConn{Conn: conn, first: c.attempts.ended, lastWords: true}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (c *clientCreds) Clone() credentials.TransportCredentials {
	return &clientCreds{c.TransportCredentials.Clone(), c.attempts}
}

// A connError says why there is no connection, or why a call has ended without one.
type connError struct {
	code codes.Code
	errs []error
}

// newConnError returns an error for a call that could not be made because of err.
func newConnError(err error) error {
	return &connError{codes.Unavailable, []error{err}}
}

// endedError returns an error for a call whose context has ended, after err if that is
// not nil.
func endedError(ctx context.Context, err error) error {
	e := &connError{codes.DeadlineExceeded, []error{context.Cause(ctx)}}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.code = codes.Canceled
	}
	if !errors.Is(e.errs[0], ctx.Err()) {
		e.errs = append(e.errs, ctx.Err())
	}
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return e
}

// Error implements error.
func (e *connError) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = strings.TrimPrefix(err.Error(), "housework: ")
	}
	return "housework: " + strings.Join(texts, ": ")
}

// GRPCStatus lets package status find the code.
func (e *connError) GRPCStatus() *status.Status { return status.New(e.code, e.Error()) }

// Unwrap returns the causes.
func (e *connError) Unwrap() []error { return e.errs }
