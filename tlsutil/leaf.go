package tlsutil

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A KeyType is a kind of private key. The zero value is P256.
type KeyType int

// The kinds of keys.
const (
	P256    KeyType = iota // ECDSA, which every TLS implementation knows
	Ed25519                // with the smaller certificates, which browsers do not take
)

// String returns the name, such as "P-256".
func (k KeyType) String() string {
	switch k {
	case P256:
		return "P-256"
	case Ed25519:
		return "Ed25519"
	}
	return fmt.Sprintf("KeyType(%d)", int(k))
}

func (k KeyType) generate() (crypto.Signer, error) {
	switch k {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("unknown kind of key: %v", k)
}

// Leaf describes the certificate of a server or a client.
type Leaf struct {
	// Hosts are the DNS names and IP addresses that it is for: what clients dial, and
	// with [Options.Address] where clients come from. A name may begin with "*." for
	// any one label. Names are put in lower case and lose a dot at the end, IPv6
	// addresses may stand in brackets, IPv4 addresses that are mapped to IPv6 become IPv4
	// ones, and what is there twice counts once. Anything else that no client would
	// dial is an error, spaces, ports and zones included. Names beyond ASCII are
	// written in their "xn--" form. Only a certificate for a client alone may have none.
	Hosts []string

	// Name is the common name of the subject, of at most 64 characters, which nothing is
	// decided by. If empty, it is the first of Hosts that can be one, or "client" if
	// there are no hosts.
	Name string

	// Server and Client are what it can be used as. If neither is set, both.
	Server, Client bool

	// Lifetime is how long it is valid from now. If zero, 90 days. It must not be
	// negative. So that peers whose clock is behind accept it, it is valid from five
	// minutes ago.
	Lifetime time.Duration

	// Key is the kind of its key.
	Key KeyType
}

const (
	defaultLifetime = 90 * 24 * time.Hour
	backdate        = 5 * time.Minute
	maxCommonName   = 64 // ub-common-name of RFC 5280
)

// SelfSigned makes a certificate that is signed by its own key: for a peer that has it in
// its Roots. It cannot sign others.
func SelfSigned(leaf Leaf) (tls.Certificate, error) {
	cert, err := leaf.selfSigned()
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tlsutil: making a self-signed certificate: %w", err)
	}
	return cert, nil
}

func (l *Leaf) selfSigned() (tls.Certificate, error) {
	template, err := l.template(nil)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := l.Key.generate()
	if err != nil {
		return tls.Certificate{}, err
	}
	return sign(template, template, key, key)
}

// template is the certificate without its key, to be signed by parent, or by itself if
// that is nil.
func (l *Leaf) template(parent *x509.Certificate) (*x509.Certificate, error) {
	hosts, err := parseHosts(l.Hosts)
	if err != nil {
		return nil, err
	}
	server, client := l.Server, l.Client
	if !server && !client {
		server, client = true, true
	}
	if server && len(hosts) == 0 {
		return nil, errors.New("no hosts, without which only a client can be")
	}
	name, err := l.commonName(hosts, parent)
	if err != nil {
		return nil, err
	}
	t, err := newTemplate(name, l.Lifetime, defaultLifetime)
	if err != nil {
		return nil, err
	}
	if server {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if client {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, h := range hosts {
		if h.name != "" {
			t.DNSNames = append(t.DNSNames, h.name)
		} else {
			t.IPAddresses = append(t.IPAddresses, h.addr.AsSlice())
		}
	}
	return t, nil
}

// commonName returns the subject's name. It may be empty if there are hosts.
func (l *Leaf) commonName(hosts []host, parent *x509.Certificate) (string, error) {
	isNamed := slices.ContainsFunc(hosts, func(h host) bool { return h.name != "" })
	judged := parent != nil && !isNamed
	switch {
	case l.Name != "" && judged && !mayBeCalled(l.Name, parent):
		return "", fmt.Errorf("name %q is none that the authority may issue certificates for", l.Name)
	case l.Name != "":
		return l.Name, nil
	case len(hosts) == 0:
		return "client", nil
	}
	for _, h := range hosts {
		if s := h.String(); len(s) <= maxCommonName && (!judged || mayBeCalled(s, parent)) {
			return s, nil
		}
	}
	return "", nil
}

// mayBeCalled applies the constraints of names to the common name of a certificate
// without names, as OpenSSL does. An IPv4 address is a name to it there, and what has no
// dot is none.
func mayBeCalled(name string, parent *x509.Certificate) bool {
	if !strings.Contains(name, ".") {
		return true
	}
	name = strings.ToLower(name)
	isBelow := func(domain string) bool {
		domain = strings.ToLower(strings.TrimPrefix(domain, "."))
		return domain == "" || name == domain || strings.HasSuffix(name, "."+domain)
	}
	return !slices.ContainsFunc(parent.ExcludedDNSDomains, isBelow) &&
		(len(parent.PermittedDNSDomains) == 0 || slices.ContainsFunc(parent.PermittedDNSDomains, isBelow))
}

// newTemplate has what all certificates have in common.
func newTemplate(name string, lifetime, standard time.Duration) (*x509.Certificate, error) {
	switch {
	case lifetime < 0:
		return nil, fmt.Errorf("lifetime of %v", lifetime)
	case lifetime == 0:
		lifetime = standard
	}
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		return nil, fmt.Errorf("name %q is not text", name)
	case utf8.RuneCountInString(name) > maxCommonName:
		return nil, fmt.Errorf("name %q has more than %d characters", name, maxCommonName)
	}
	now := time.Now()
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// keyID returns the SubjectKeyId of RFC 7093, section 2, method 1, for the keys that
// generate makes.
func keyID(public crypto.PublicKey) ([]byte, error) {
	var b []byte
	var err error
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		b, err = key.Bytes()
	case ed25519.PublicKey:
		b = key
	default:
		err = errors.ErrUnsupported
	}
	sum := sha256.Sum256(b)
	return sum[:20], err
}
