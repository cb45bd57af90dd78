package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A judge decides about the other end of a connection, in each handshake. (In
// VerifyConnection, that is: crypto/tls calls VerifyPeerCertificate in full ones only.)
type judge struct {
	options *Options
	roots   *x509.CertPool
	usage   x509.ExtKeyUsage // what the certificate of the other end must be for

	// unverified says that crypto/tls has not verified even a full handshake.
	unverified bool

	// address judges where the other end is. If nil, that does not count.
	address func(leaf *x509.Certificate) error
}

// verify is a VerifyConnection.
func (j *judge) verify(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("tlsutil: the peer has shown no certificate")
	}
	if cs.DidResume {
		cs.VerifiedChains = j.standing(cs.VerifiedChains)
	}
	if len(cs.VerifiedChains) == 0 {
		chains, err := j.chains(cs)
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
		cs.VerifiedChains = chains
	}
	if err := j.pinned(cs); err != nil {
		return err
	}
	if j.address != nil {
		if err := j.address(cs.PeerCertificates[0]); err != nil {
			return err
		}
	}
	if j.options.Verify != nil {
		return j.options.Verify(cs)
	}
	return nil
}

// standing returns those chains of an earlier handshake that hold now as well: each
// certificate is valid and the last one is a root. The signatures are not verified again,
// which is most of what verifying costs: the chains come from where nobody else can
// write, a ticket of ours or our own memory, and what was signed stays signed.
func (j *judge) standing(chains [][]*x509.Certificate) (stand [][]*x509.Certificate) {
	if j.roots == nil {
		return nil // of the system's roots not even the list is known
	}
	now := time.Now()
	root := x509.VerifyOptions{Roots: j.roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, chain := range chains {
		if len(chain) == 0 || slices.ContainsFunc(chain, func(cert *x509.Certificate) bool {
			return now.Before(cert.NotBefore) || now.After(cert.NotAfter)
		}) {
			continue
		}
		// A root of the pool is its own chain. One that has come to be below a root has a
		// longer chain, and that root may limit what is below it.
		if own, err := chain[len(chain)-1].Verify(root); err == nil && len(own[0]) == 1 {
			stand = append(stand, chain)
		}
	}
	return stand
}

// chains verifies the certificates of the other end against the roots of now.
func (j *judge) chains(cs tls.ConnectionState) ([][]*x509.Certificate, error) {
	o := x509.VerifyOptions{
		Roots:         j.roots,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{j.usage},
	}
	for _, cert := range cs.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	if j.unverified {
		// Otherwise crypto/tls has compared the name, also when it chose the session.
		if o.DNSName = j.serverName(cs); o.DNSName == "" {
			return nil, fmt.Errorf("%w: it is not known what was dialed; set Options.ServerName to dial an address", ErrWrongHost)
		}
	}
	return cs.PeerCertificates[0].Verify(o)
}

// serverName returns what was dialed, or "" if it is not known: an address is not
// sent as a server name (RFC 6066 section 3), and crypto/tls reports what was sent.
func (j *judge) serverName(cs tls.ConnectionState) string {
	if cs.ServerName != "" {
		return cs.ServerName
	}
	return j.options.ServerName
}

// pinned looks for the pins in the verified chains. It does not look at what else the
// peer has sent: anybody can send the certificate that is pinned.
func (j *judge) pinned(cs tls.ConnectionState) error {
	if len(j.options.Pins) == 0 {
		return nil
	}
	for _, chain := range cs.VerifiedChains {
		for _, cert := range chain {
			if slices.Contains(j.options.Pins, PinOf(cert)) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: that of the peer is %s", ErrPinMismatch, PinOf(cs.PeerCertificates[0]))
}
