package serve

import "net"

// maxWraps bounds how many wrappers are taken off a connection, for those that wrap
// themselves.
const maxWraps = 16

// layers returns conn and what it wraps, the innermost last. Wrappers are taken off by
// their NetConn method, as that of a [crypto/tls.Conn].
func layers(conn net.Conn) []net.Conn {
	all := []net.Conn{conn}
	for len(all) < maxWraps {
		wrap, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		if conn = wrap.NetConn(); conn == nil {
			break
		}
		all = append(all, conn)
	}
	return all
}

// Innermost returns what conn wraps, or conn if it wraps nothing.
func Innermost(conn net.Conn) net.Conn {
	all := layers(conn)
	return all[len(all)-1]
}

// Reset closes conn and what it wraps, the innermost first. If that is a TCP
// connection its peer gets a reset, and what was not sent yet is dropped; other
// connections are closed as usual. It returns the error of closing the innermost.
func Reset(conn net.Conn) error {
	all := layers(conn)
	last := len(all) - 1
	if tcp, ok := all[last].(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0) // fails only if it is closed already
	}
	err := all[last].Close()
	for _, wrap := range all[:last] {
		_ = wrap.Close() // what it could say has nowhere to go
	}
	return err
}
