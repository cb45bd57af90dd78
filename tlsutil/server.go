package tlsutil

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"sync/atomic"
)

// A mutualServer gives each handshake the configuration for what its source holds.
type mutualServer struct {
	src     Source
	options *Options
	tickets tickets

	last atomic.Pointer[builtConfig]
}

// A builtConfig is the configuration for one material. It is kept, so that it is built
// when the source has changed, not for each handshake.
type builtConfig struct {
	material *Material
	config   *tls.Config
}

// configFor is the GetConfigForClient of a mutual server.
func (s *mutualServer) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	m := current(s.src)
	built := s.last.Load()
	if built != nil && built.material == m {
		return built.config, nil
	}
	if err := m.mutual(); err != nil {
		return nil, fmt.Errorf("tlsutil: the source has lost what it had, it needs %w", err)
	}
	if s.options.Address {
		// VerifyConnection is not told whose connection it is, so it is made for one.
		return s.build(m, hello), nil
	}
	config := s.build(m, nil)
	s.last.Store(&builtConfig{m, config})
	return config, nil
}

// build returns the configuration for what the source holds and, if addresses count, for
// the connection that hello came on. If they do and there is no hello it lets nobody in.
func (s *mutualServer) build(m *Material, hello *tls.ClientHelloInfo) *tls.Config {
	config := s.options.server(tls.VersionTLS13)
	config.Certificates = []tls.Certificate{m.Certificate}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = m.Roots

	j := &judge{options: s.options, roots: m.Roots, usage: x509.ExtKeyUsageClientAuth}
	address := ""
	if s.options.Address {
		ctx, addr := context.Background(), netip.Addr{}
		if hello != nil {
			ctx, addr = hello.Context(), remoteAddr(hello.Conn)
		}
		// A client that has moved, with a certificate for where it is now, shall be
		// judged by that, not by the one in its ticket.
		address = addr.String()
		j.address = func(leaf *x509.Certificate) error { return s.options.checkAddress(ctx, addr, leaf) }
	}
	config.VerifyConnection = j.verify
	s.tickets.bind(config, func(serverName string) [32]byte {
		return bond(m.Epoch, serverName, address)
	})
	return config
}
