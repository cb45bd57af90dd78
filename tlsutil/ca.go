package tlsutil

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Authority describes a certificate authority for [NewCA]. The zero value makes one for
// tests.
type Authority struct {
	// Name is its common name, of at most 64 characters. If empty, "netparts CA".
	Name string

	// Lifetime is how long it is valid from now. If zero, ten years. It must not be
	// negative.
	Lifetime time.Duration

	// Key is the kind of its key.
	Key KeyType

	// PermittedDNS are the names that it may issue certificates for, each with all names
	// below it (RFC 5280 section 4.2.1.10). If empty, any, or none if there are
	// PermittedIPs.
	PermittedDNS []string

	// PermittedIPs are the addresses that it may issue certificates for. If empty, any,
	// or none if there is PermittedDNS.
	PermittedIPs []netip.Prefix
}

// CA is a certificate authority: a certificate and the key that signs others. It may be
// used by several goroutines.
type CA struct {
	// Certificate is its own certificate, with its key.
	Certificate tls.Certificate
}

const (
	defaultCAName     = "netparts CA"
	defaultCALifetime = 10 * 365 * 24 * time.Hour
)

// NewCA makes a certificate authority with a new key. It signs certificates of peers
// alone, not those of further authorities.
func NewCA(a Authority) (*CA, error) {
	cert, err := a.make()
	if err != nil {
		return nil, fmt.Errorf("tlsutil: making an authority: %w", err)
	}
	return &CA{Certificate: cert}, nil
}

func (a *Authority) make() (tls.Certificate, error) {
	name := a.Name
	if name == "" {
		name = defaultCAName
	}
	template, err := newTemplate(name, a.Lifetime, defaultCALifetime)
	if err != nil {
		return tls.Certificate{}, err
	}
	template.IsCA = true
	template.MaxPathLenZero = true
	template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if err := a.constrain(template); err != nil {
		return tls.Certificate{}, err
	}
	key, err := a.Key.generate()
	if err != nil {
		return tls.Certificate{}, err
	}
	return sign(template, template, key, key)
}

// constrain adds the name constraints. Those of one kind leave the other kind open, so
// what nothing is permitted of is excluded as a whole.
func (a *Authority) constrain(template *x509.Certificate) error {
	for _, s := range a.PermittedDNS {
		h, err := parseHost(s)
		switch {
		case err != nil:
			return err
		case h.name == "" || strings.HasPrefix(h.name, "*"):
			return fmt.Errorf("permitted name %q is not a domain", s)
		}
		template.PermittedDNSDomains = append(template.PermittedDNSDomains, h.name)
	}
	for _, p := range a.PermittedIPs {
		if !p.IsValid() {
			return errors.New("a permitted prefix is not valid")
		}
		template.PermittedIPRanges = append(template.PermittedIPRanges, ipNet(p))
	}
	switch dns, ips := len(a.PermittedDNS) > 0, len(a.PermittedIPs) > 0; {
	case dns && !ips:
		template.ExcludedIPRanges = []*net.IPNet{
			ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
			ipNet(netip.PrefixFrom(netip.IPv6Unspecified(), 0)),
		}
	case ips && !dns:
		template.ExcludedDNSDomains = []string{""} // which all names are below
	}
	template.PermittedDNSDomainsCritical = true // which counts where there is a constraint
	return nil
}

// ipNet returns a prefix as crypto/x509 wants it. Addresses in certificates are never
// mapped ones, so a prefix of mapped ones would permit nothing.
func ipNet(p netip.Prefix) *net.IPNet {
	addr, bits := p.Addr(), p.Bits()
	if addr.Is4In6() && bits >= 96 {
		addr, bits = addr.Unmap(), bits-96
	}
	addr = netip.PrefixFrom(addr.WithZone(""), bits).Masked().Addr()
	return &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(bits, addr.BitLen())}
}

// LoadCA reads the certificate and the key of an authority, in PEM. Besides what
// [WriteFiles] writes it takes RSA keys, and keys in PKCS #1 and SEC 1. That the
// certificate is not one of an authority, or the key not the certificate's, is an error.
func LoadCA(certFile, keyFile string) (*CA, error) {
	certPEM, err := readFile(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readFile(keyFile)
	if err != nil {
		return nil, err
	}
	// Not with tls.X509KeyPair, whose errors quote what the files hold.
	chain, leaf, err := parseChain(certPEM)
	if err != nil {
		return nil, fmt.Errorf("tlsutil: %s: %w", certFile, err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("tlsutil: %s: %w", keyFile, err)
	}
	if !isKeyOf(key, leaf) {
		return nil, fmt.Errorf("tlsutil: %s: not the key of the first certificate in %s", keyFile, certFile)
	}
	ca := &CA{Certificate: tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}}
	if _, _, err := ca.signer(); err != nil {
		return nil, fmt.Errorf("tlsutil: %s: %w", certFile, err)
	}
	return ca, nil
}

// Issue makes a certificate with a new key, signed by the authority. It is not valid
// for longer than the authority's. That the authority's certificate is expired or not yet
// valid is an error, and so are hosts that it may not issue certificates for, as nobody
// would accept them.
//
// The result holds the certificate alone, as the other end has the root; if the authority
// is one between, it holds also what leads to the root.
func (ca *CA) Issue(leaf Leaf) (tls.Certificate, error) {
	cert, err := ca.issue(&leaf)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tlsutil: issuing a certificate: %w", err)
	}
	return cert, nil
}

func (ca *CA) issue(leaf *Leaf) (tls.Certificate, error) {
	parent, signer, err := ca.signer()
	if err != nil {
		return tls.Certificate{}, err
	}
	template, err := leaf.template(parent)
	if err != nil {
		return tls.Certificate{}, err
	}
	switch now := time.Now(); {
	case now.After(parent.NotAfter):
		return tls.Certificate{}, fmt.Errorf("the authority's certificate expired at %v", parent.NotAfter)
	case now.Before(parent.NotBefore):
		return tls.Certificate{}, fmt.Errorf("the authority's certificate is not valid before %v", parent.NotBefore)
	}
	if template.NotBefore.Before(parent.NotBefore) {
		template.NotBefore = parent.NotBefore
	}
	if template.NotAfter.After(parent.NotAfter) {
		template.NotAfter = parent.NotAfter
	}
	key, err := leaf.Key.generate()
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := sign(template, parent, key, signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := permitted(cert.Leaf, parent); err != nil {
		return tls.Certificate{}, err
	}
	between, err := ca.between()
	cert.Certificate = append(cert.Certificate, between...)
	return cert, err
}

// signer returns the certificate and the key of the authority.
func (ca *CA) signer() (*x509.Certificate, crypto.Signer, error) {
	cert, err := ca.parsed()
	if err != nil {
		return nil, nil, err
	}
	if !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, nil, errors.New("the certificate is not one of an authority")
	}
	key, ok := ca.Certificate.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("the authority has no key that signs")
	}
	if !isKeyOf(key, cert) {
		return nil, nil, errors.New("the key is not that of the authority's certificate")
	}
	return cert, key, nil
}

func isKeyOf(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// parsed returns the authority's certificate. A tls.Certificate that was put together by
// hand may lack its Leaf, which is not filled here, as other goroutines read it.
func (ca *CA) parsed() (*x509.Certificate, error) {
	switch {
	case ca.Certificate.Leaf != nil:
		return ca.Certificate.Leaf, nil
	case len(ca.Certificate.Certificate) == 0:
		return nil, errors.New("the authority has no certificate")
	}
	return x509.ParseCertificate(ca.Certificate.Certificate[0])
}

// between returns the certificates from the authority's own to before the root.
func (ca *CA) between() ([][]byte, error) {
	var chain [][]byte
	for _, der := range ca.Certificate.Certificate {
		if len(chain) == 0 && ca.Certificate.Leaf != nil && isRoot(ca.Certificate.Leaf) {
			return nil, nil
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		if isRoot(cert) {
			break
		}
		chain = append(chain, der)
	}
	return chain, nil
}

// isRoot reports whether cert is signed by its own key. When an authority changes its key
// it also has a certificate of its own name that the old key has signed.
func isRoot(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		(len(cert.AuthorityKeyId) == 0 || bytes.Equal(cert.AuthorityKeyId, cert.SubjectKeyId))
}

// permitted returns an error if the authority, itself a root, is not followed to a
// certificate that it has signed. Only constraints and usages make that possible.
func permitted(cert, parent *x509.Certificate) error {
	if !isConstrained(parent) && len(parent.ExtKeyUsage)+len(parent.UnknownExtKeyUsage) == 0 {
		return nil
	}
	for _, usage := range cert.ExtKeyUsage {
		roots := x509.NewCertPool()
		roots.AddCert(parent)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			return err
		}
	}
	return nil
}

func isConstrained(cert *x509.Certificate) bool {
	return len(cert.PermittedDNSDomains)+len(cert.ExcludedDNSDomains)+
		len(cert.PermittedIPRanges)+len(cert.ExcludedIPRanges) > 0
}

// Pool returns a new pool that holds the authority's certificate alone, for
// [Material.Roots]. If the CA has none, the pool is empty, so that nobody is trusted.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	if cert, err := ca.parsed(); err == nil {
		pool.AddCert(cert)
	}
	return pool
}

// sign makes the certificate of key. It says whose key has signed it also where the subject
// is called as the issuer is, which does not make it self-signed.
func sign(template, parent *x509.Certificate, key, signer crypto.Signer) (tls.Certificate, error) {
	id, err := keyID(key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	template.SubjectKeyId = id
	template.AuthorityKeyId = parent.SubjectKeyId
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, nil
}
