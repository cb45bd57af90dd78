package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync/atomic"
)

// client returns what is the same for all clients. The source holds m now.
func client(src Source, m *Material, o *Options, version uint16) *tls.Config {
	config := &tls.Config{
		MinVersion:         version,
		NextProtos:         slices.Clone(o.NextProtos),
		ServerName:         o.ServerName,
		ClientSessionCache: &sessions{src: src, cache: tls.NewLRUClientSessionCache(0)},
	}
	_, static := src.(*Material)
	if static {
		config.RootCAs = m.Roots
	} else {
		// The roots of a *tls.Config cannot change, so that the judge verifies in place
		// of crypto/tls, in every handshake.
		config.InsecureSkipVerify = true
	}
	hasRoots := m.Roots != nil
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		roots := current(src).Roots
		if hasRoots && roots == nil {
			return errLostRoots // not those of the system instead
		}
		j := judge{
			options:    o,
			roots:      roots,
			usage:      x509.ExtKeyUsageServerAuth,
			unverified: !static,
		}
		// If it refuses a session that is resumed, crypto/tls drops it: what the server
		// shows in the full handshake that is next may be better.
		return j.verify(cs)
	}
	return config
}

// sessions are the sessions that a client may resume, each bound to what the source held
// when it was put in: after a change none is found, and the handshake is full.
type sessions struct {
	src   Source
	cache tls.ClientSessionCache
	bound atomic.Value // the binding of the handshake that has begun last
}

// Get implements tls.ClientSessionCache. Each handshake begins with it.
func (s *sessions) Get(key string) (*tls.ClientSessionState, bool) {
	binding := s.binding()
	s.bound.Store(binding)
	return s.cache.Get(binding + key)
}

// Put implements tls.ClientSessionCache.
func (s *sessions) Put(key string, cs *tls.ClientSessionState) {
	binding := s.binding()
	if s.bound.Load() != binding {
		// A ticket is read with the first data, long after the handshake perhaps. This
		// session is from before a change.
		return
	}
	s.cache.Put(binding+key, cs)
}

// binding stands for the epoch and for the certificate that is shown: a session stays with
// that of its first handshake, which may be refused by now where the new one is not.
func (s *sessions) binding() string {
	m := current(s.src)
	shown := ""
	if m.hasCertificate() {
		shown = string(m.Certificate.Certificate[0])
	}
	b := bond(m.Epoch, shown)
	return string(b[:])
}
