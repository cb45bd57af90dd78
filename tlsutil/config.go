package tlsutil

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Options add to what a configuration does. The zero value, and nil, add nothing.
// They are copied: what happens to them later does not matter.
type Options struct {
	// Pins are the keys of which the verified chain of the other end must hold at least
	// one: that of the peer, of an authority between, or of the root. Hold a spare one,
	// for the day on which the key changes. If empty, any key will do.
	Pins []Pin

	// Address requires that the address a client comes from is among the IP addresses
	// of its certificate or, with a Resolver, that a name of that address is among its
	// names. Zones do not count, and an IPv4 address that is mapped to IPv6 is an IPv4
	// address. A connection without an IP address is refused. For MutualServer.
	Address bool

	// Resolver finds the names of an address, and the addresses of each name; only
	// names that lead back to the address count, because whoever has an address can
	// claim any name for it. It may be net.DefaultResolver. If nil, no names are
	// looked up.
	Resolver Resolver

	// LookupTimeout is how long a handshake waits for the Resolver. If zero, 5 seconds.
	LookupTimeout time.Duration

	// Verify is called last, when everything else holds; an error refuses the peer. The
	// VerifiedChains are those of now in each handshake, resumed ones included. It is
	// called by several goroutines. A client that resumes is judged by the certificate
	// of its session; one that is refused comes back with the same, though it may have
	// another by now, until the [Material.Epoch] of the server changes.
	Verify func(tls.ConnectionState) error

	// NextProtos are the application protocols (ALPN), as in tls.Config. If nil, they
	// are "h2" and "http/1.1" for a server and none for a client. A server that speaks
	// neither should say []string{}. With MutualServer they are not changed by the
	// Protocols of an http.Server: one without HTTP/2 should say []string{"http/1.1"}.
	NextProtos []string

	// ServerName is the name or address that the server's certificate must be for. If
	// empty, it is what is dialed; but then a client whose Source changes can
	// dial names only, because crypto/tls does not tell which address was meant. For
	// clients.
	ServerName string
}

// ServerConfig returns the configuration of a server that asks for no certificates, with
// TLS 1.2 or newer. Certificates must not be added to it: clients that dial an address
// would be shown those. The httptest package does so, unless the source is a [*Material].
func ServerConfig(src Source, o *Options) (*tls.Config, error) {
	o, m, err := checkServer("ServerConfig", src, o)
	if err != nil {
		return nil, err
	}
	switch {
	case !m.hasCertificate():
		return nil, errors.New("tlsutil: ServerConfig needs a certificate with its private key")
	case len(o.Pins) > 0 || o.Verify != nil || o.Address:
		return nil, errors.New("tlsutil: ServerConfig asks for no certificates that Pins, Address and Verify could judge; use MutualServer")
	}
	config := o.server(tls.VersionTLS12)
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return certificate(src)
	}
	if _, static := src.(*Material); static {
		// Besides, as httptest adds a certificate of its own to a configuration that
		// has none here, which clients that send no server name would then be shown.
		config.Certificates = []tls.Certificate{m.Certificate}
	}
	new(tickets).bind(config, func(serverName string) [32]byte {
		return bond(current(src).Epoch, serverName)
	})
	return config, nil
}

// MutualServer returns the configuration of a server that requires certificates of its
// clients, with TLS 1.3.
//
// The source must have roots: those of the system, whom anybody can buy a certificate
// from, say nothing about a client. A certificate that names no use at all is good
// for any (RFC 5280 section 4.2.1.12); this holds for clients, too.
//
// GetConfigForClient gives the configuration of each handshake, so that what is changed in
// the one that is returned does not matter; use the [Options]. What it gives is
// shared by handshakes, and must be cloned before it is changed.
func MutualServer(src Source, o *Options) (*tls.Config, error) {
	o, m, err := checkServer("MutualServer", src, o)
	if err != nil {
		return nil, err
	}
	if err := m.mutual(); err != nil {
		return nil, fmt.Errorf("tlsutil: MutualServer needs %w", err)
	}
	s := &mutualServer{src: src, options: o}
	// The configuration is whole without GetConfigForClient too, so that taking
	// that away lets nobody in who would not be.
	config := s.build(m, nil)
	config.GetConfigForClient = s.configFor
	return config, nil
}

// ClientConfig returns the configuration of a client that shows no certificate, with TLS
// 1.2 or newer. Its RootCAs must not be replaced, as sessions that are resumed are judged by
// the roots of the source.
//
// An http.Transport with a TLSClientConfig of its own speaks HTTP/2 only if its
// ForceAttemptHTTP2 or its Protocols say so.
func ClientConfig(src Source, o *Options) (*tls.Config, error) {
	o, m, err := checkClient("ClientConfig", src, o)
	if err != nil {
		return nil, err
	}
	return client(src, m, o, tls.VersionTLS12), nil
}

// MutualClient returns the configuration of a client that shows a certificate, with TLS
// 1.3. It shows it also to a server that asks for those of other authorities, so that the
// error of the server tells what is wrong. For servers that are not that new, lower
// the MinVersion of what is returned.
func MutualClient(src Source, o *Options) (*tls.Config, error) {
	o, m, err := checkClient("MutualClient", src, o)
	if err != nil {
		return nil, err
	}
	if !m.hasCertificate() {
		return nil, errors.New("tlsutil: MutualClient needs a certificate with its private key")
	}
	config := client(src, m, o, tls.VersionTLS13)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return certificate(src)
	}
	return config, nil
}

// certificate returns what the source shows.
func certificate(src Source) (*tls.Certificate, error) {
	m := current(src)
	if !m.hasCertificate() {
		return nil, errLostCertificate
	}
	return &m.Certificate, nil
}

func checkServer(what string, src Source, o *Options) (*Options, *Material, error) {
	if o != nil && o.ServerName != "" {
		return nil, nil, fmt.Errorf("tlsutil: %s: ServerName is for clients", what)
	}
	return check(what, src, o)
}

func checkClient(what string, src Source, o *Options) (*Options, *Material, error) {
	if o != nil && o.Address {
		return nil, nil, fmt.Errorf("tlsutil: %s: Address is for servers; a client checks the name that it dials", what)
	}
	return check(what, src, o)
}

// check returns the options and what the source holds, or says what is missing.
func check(what string, src Source, o *Options) (*Options, *Material, error) {
	if src == nil {
		return nil, nil, fmt.Errorf("tlsutil: %s needs a Source", what)
	}
	m := src.Current()
	if m == nil {
		return nil, nil, fmt.Errorf("tlsutil: %s needs a Source that holds something", what)
	}
	if err := m.fits(); err != nil {
		return nil, nil, fmt.Errorf("tlsutil: %s: %w", what, err)
	}
	if o == nil {
		o = new(Options)
	}
	if o.Resolver != nil && !o.Address {
		return nil, nil, fmt.Errorf("tlsutil: %s: Resolver is of no use without Address", what)
	}
	// What the configuration does must not change with the caller's struct.
	o = new(*o)
	o.Pins, o.NextProtos = slices.Clone(o.Pins), slices.Clone(o.NextProtos)
	return o, m, nil
}

// server returns what is the same for all servers.
func (o *Options) server(version uint16) *tls.Config {
	protos := o.NextProtos
	if protos == nil {
		protos = []string{"h2", "http/1.1"}
	}
	return &tls.Config{MinVersion: version, NextProtos: slices.Clone(protos)}
}

func (o *Options) lookupTimeout() time.Duration {
	if o.LookupTimeout == 0 {
		return 5 * time.Second
	}
	return o.LookupTimeout
}
