package main

import (
	"crypto/tls"
	"fmt"

	"github.com/netparts/netparts/tlsutil"
)

// tlsConfig says which server is trusted.
func (c *config) tlsConfig() (*tls.Config, error) {
	material := new(tlsutil.Material)
	if c.cert != "" || c.caCert != "" {
		// Read once: a run is over before files are renewed.
		files, err := tlsutil.WatchFiles(tlsutil.Files{Cert: c.cert, Key: c.key, Roots: c.caCert, Interval: -1})
		if err != nil {
			return nil, err
		}
		material = files.Current()
		files.Close()
	}
	if c.pinned && c.caCert == "" {
		return c.pinAlone(material.Certificate), nil
	}
	options := new(tlsutil.Options)
	if c.pinned {
		options.Verify = c.isPinned // not Pins, as the key of an authority is not meant
	}
	if c.cert == "" {
		return tlsutil.ClientConfig(material, options)
	}
	return tlsutil.MutualClient(material, options)
}

// pinAlone is for a server of which only the key is known.
func (c *config) pinAlone(own tls.Certificate) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		// This leaves out what the certificate says: names, times, authorities. That the
		// server has the key of the certificate is proven in the handshake all the same,
		// and that this is the pinned key VerifyConnection makes sure of, also when a
		// session is resumed. Nobody else has that key, so nothing else need be asked.
		InsecureSkipVerify: true,
		VerifyConnection:   c.isPinned,
	}
	if own.Certificate != nil {
		// Not in Certificates: it is to be shown also to a server that asks for those of
		// other authorities, which then tells what is wrong.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &own, nil
		}
	}
	return config
}

// isPinned refuses servers that have another key.
func (c *config) isPinned(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return tlsutil.ErrPinMismatch
	}
	if got := tlsutil.PinOf(cs.PeerCertificates[0]); got != c.pin {
		return fmt.Errorf("%w: the server's is %v", tlsutil.ErrPinMismatch, got)
	}
	return nil
}
