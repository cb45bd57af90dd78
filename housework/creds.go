package housework

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/netparts/netparts/internal/serve"
)

// protocol is what gRPC is called in the handshake of TLS (RFC 7540 section 3.1).
const protocol = "h2"

const (
	// lingerTime is how long a refused client may take to read why.
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 64 << 10
)

// serverTLS returns a copy of c with which the server speaks TLS 1.3 and HTTP/2 alone.
func serverTLS(c *tls.Config) (*tls.Config, error) {
	if len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return nil, errors.New("housework: TLSConfig has no certificate")
	}
	config, err := modernTLS(c)
	if err != nil {
		return nil, err
	}
	if choose := config.GetConfigForClient; choose != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
				return nil, nil // config refuses it, with the alert for that
			}
			chosen, err := choose(hello)
			if err != nil || chosen == nil || len(chosen.NextProtos) > 0 && chosen.NextProtos[0] == protocol {
				return chosen, err
			}
			chosen = chosen.Clone()
			chosen.NextProtos = []string{protocol}
			return chosen, nil
		}
	}
	return config, nil
}

// modernTLS returns a copy of c for TLS 1.3 and HTTP/2.
func modernTLS(c *tls.Config) (*tls.Config, error) {
	if c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS13 {
		return nil, fmt.Errorf("housework: TLSConfig ends with %s, it needs TLS 1.3", tls.VersionName(c.MaxVersion))
	}
	config := c.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	config.NextProtos = []string{protocol}
	return config, nil
}

// checkTLS returns what is wrong with a connection after the handshake: a
// configuration that was chosen for it may have allowed more than there is.
func checkTLS(info credentials.AuthInfo) error {
	i, ok := info.(credentials.TLSInfo)
	if !ok {
		return errors.New("housework: credentials are not those of TLS")
	}
	if i.State.Version < tls.VersionTLS13 {
		return fmt.Errorf("housework: %s, want TLS 1.3", tls.VersionName(i.State.Version))
	}
	if i.State.NegotiatedProtocol != protocol {
		return fmt.Errorf("housework: application protocol %q, want %q", i.State.NegotiatedProtocol, protocol)
	}
	return nil
}

// serverCreds are credentials that tell how handshakes end.
type serverCreds struct {
	credentials.TransportCredentials

	tls    bool
	heard  func(conn net.Conn)            // the client has sent something after its handshake
	failed func(conn net.Conn, err error) // there will be no connection
}

// ServerHandshake implements credentials.TransportCredentials.
func (s *serverCreds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	held := &heldConn{Conn: raw}
	conn, info, err := s.TransportCredentials.ServerHandshake(held)
	if err == nil && s.tls {
		if err = checkTLS(info); err != nil {
			_ = conn.Close() // err says more
		}
	}
	if err != nil {
		s.failed(raw, err)
		held.linger(err)
		return nil, nil, err
	}
	held.released.Store(true)
	return &heardConn{Conn: conn, first: func(error) { s.heard(raw) }}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (s *serverCreds) Clone() credentials.TransportCredentials {
	clone := *s
	clone.TransportCredentials = s.TransportCredentials.Clone()
	return &clone
}

// A heldConn stays open until it is released, although it is closed: so the alert
// with which a handshake ends is not lost. If a connection is closed over bytes that
// are unread, and a client does not wait for the server before it goes on, its end
// is a reset, which may overtake what was sent.
type heldConn struct {
	net.Conn
	released atomic.Bool
}

// Close implements net.Conn.
func (c *heldConn) Close() error {
	if !c.released.Load() {
		return nil
	}
	return c.Conn.Close()
}

// linger closes the connection of a handshake that failed with err, once the client
// has closed it too, or has had time to.
func (c *heldConn) linger(err error) {
	defer func() { _ = c.Conn.Close() }() // nobody waits for it
	half, ok := serve.Innermost(c.Conn).(interface{ CloseWrite() error })
	if !ok || isBroken(err) {
		return
	}
	if half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // whatever ends it
	}
}

// A heardConn tells when the peer is heard for the first time: first is called once, by
// the first Read that returns bytes, with nil, or else with its error.
type heardConn struct {
	net.Conn
	heard atomic.Bool
	first func(err error)

	// lastWords lets a Write that fails before that look for what the peer has said.
	lastWords bool
}

// Read implements net.Conn.
func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if (n > 0 || err != nil) && !c.heard.Load() && c.heard.CompareAndSwap(false, true) {
		if n > 0 {
			c.first(nil)
		} else {
			c.first(err)
		}
	}
	return n, err
}

// Write implements net.Conn.
func (c *heardConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && c.lastWords && !c.heard.Load() {
		if c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = c.Read(make([]byte, 1)) // tells first; the connection is of no use
		}
	}
	return n, err
}
