package unixauth

import (
	"context"
	"net"
	"reflect"
)

// maxWrappers is how many connections may be wrapped around a socket. One that wraps
// itself is found out so.
const maxWrappers = 16

// Conn is a connection whose peer is known. It has all the methods of the Unix connection.
type Conn struct {
	*net.UnixConn
	cred Cred
}

// Cred returns who connected.
func (c *Conn) Cred() Cred { return c.cred }

// CredFrom returns who is at the other end of a connection that a [Listener] accepted, that
// embeds such a [*Conn], or that wraps one and has the method NetConn() net.Conn, as
// a *tls.Conn has. It reports false of others.
func CredFrom(conn net.Conn) (Cred, bool) {
	for range maxWrappers {
		switch c := conn.(type) {
		case interface{ Cred() Cred }:
			if isNil(conn) {
				return Cred{}, false
			}
			return c.Cred(), true
		case interface{ NetConn() net.Conn }:
			if isNil(conn) {
				return Cred{}, false
			}
			conn = c.NetConn()
		default:
			return Cred{}, false
		}
	}
	return Cred{}, false
}

// isNil reports whether conn is nil or a nil pointer, whose methods would panic.
func isNil(conn net.Conn) bool {
	if u, ok := conn.(*net.UnixConn); ok || conn == nil {
		return u == nil
	}
	v := reflect.ValueOf(conn)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// contextKey is the key of a Cred in a context.
type contextKey struct{}

// ConnContext is for the field of that name of an http.Server that serves a [Listener]. It
// adds the peer to the context of its requests, for [CredFromContext].
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	cred, ok := CredFrom(conn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, cred)
}

// CredFromContext returns the peer that [ConnContext] added. It reports false if there is
// none.
func CredFromContext(ctx context.Context) (Cred, bool) {
	cred, ok := ctx.Value(contextKey{}).(Cred)
	return cred, ok
}
