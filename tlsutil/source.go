package tlsutil

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// A Source is where a configuration takes what it shows and trusts from, at the
// beginning of each handshake. Its method is called by several goroutines, does not
// block, and returns the same pointer until something has changed.
type Source interface {
	// Current returns what holds now. It is not nil.
	Current() *Material
}

// Material is what one end of a connection shows and trusts, as one unit. It must not be
// changed once it is in use.
//
// A *Material is a [Source] that never changes.
type Material struct {
	// Certificate is what this end shows, with its private key. Only a client that
	// shows none may leave it empty.
	Certificate tls.Certificate

	// Roots are the authorities that the certificates of the other end must come from,
	// or those certificates themselves (pinning by pool). If nil, a client trusts the
	// authorities of the system; a server that requires certificates cannot do without.
	// Constraints of AddCertWithConstraint are asked when a chain is verified, which is
	// not done again for sessions that are resumed; [Options.Verify] is called for all.
	Roots *x509.CertPool

	// Epoch stands for everything that decided about earlier sessions. When it changes their
	// tickets are of no use. [Files] compute it from the contents of the files.
	Epoch string
}

// Current returns m.
func (m *Material) Current() *Material { return m }

// current returns what the source holds. A source that holds nothing any more has lost
// everything: that ends handshakes, not the process.
func current(src Source) *Material {
	if m := src.Current(); m != nil {
		return m
	}
	return new(Material)
}

var (
	errLostCertificate = errors.New("tlsutil: the source has lost its certificate")
	errLostRoots       = errors.New("tlsutil: the source has lost its roots")
)

func (m *Material) hasCertificate() bool {
	return len(m.Certificate.Certificate) > 0 && m.Certificate.PrivateKey != nil
}

// fits says why the certificate, if there is one, cannot be used. It is asked once, as a
// [Source] that changes answers for what it holds later.
func (m *Material) fits() error {
	if !m.hasCertificate() {
		return nil
	}
	leaf, err := x509.ParseCertificate(m.Certificate.Certificate[0])
	if err != nil {
		return fmt.Errorf("the certificate: %w", err)
	}
	if key, ok := m.Certificate.PrivateKey.(crypto.Signer); !ok || !isKeyOf(key, leaf) {
		return errors.New("the key is not that of the certificate")
	}
	return nil
}

// mutual says what a server that requires certificates lacks.
func (m *Material) mutual() error {
	switch {
	case !m.hasCertificate():
		return errors.New("a certificate with its private key")
	case m.Roots == nil:
		// crypto/tls would take the roots of the system, and accept whoever has any
		// certificate of any authority.
		return errors.New("roots that the clients' certificates must come from")
	}
	return nil
}
