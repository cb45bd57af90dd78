package tlsutil

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A set is what the files held when they were read, or why they could not be.
type set struct {
	cert, key, roots []byte
	epoch            string // of the contents; empty if there is an error
	err              error
}

// readSet reads all of the files once.
func readSet(f *Files) set {
	var s set
	read := func(name string) []byte {
		if name == "" || s.err != nil {
			return nil
		}
		b, err := readFile(name)
		s.err = err
		return b
	}
	s.cert = read(f.Cert)
	if s.key = s.cert; f.Key != f.Cert {
		s.key = read(f.Key)
	}
	s.roots = read(f.Roots)
	if s.err != nil {
		return set{err: s.err}
	}
	h := sha256.New()
	for _, b := range [][]byte{s.cert, s.key, s.roots} {
		// With the lengths, bytes that move from one file to the next make a difference.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	s.epoch = hex.EncodeToString(h.Sum(nil))
	return s
}

// same reports whether two readings have had the same result.
func (s *set) same(other set) bool {
	if s.err != nil && other.err != nil {
		return s.err.Error() == other.err.Error()
	}
	return s.err == nil && other.err == nil && s.epoch == other.epoch
}

// material parses what was read. Its errors hold nothing of it but dates: those of
// crypto/tls and crypto/x509 quote what they could not understand, which may be a key
// in the wrong file.
func (s *set) material(f *Files) (*Material, error) {
	if s.err != nil {
		return nil, s.err
	}
	m := &Material{Epoch: s.epoch}
	var err error
	if f.Cert != "" {
		if m.Certificate, err = s.certificate(f); err != nil {
			return nil, err
		}
	}
	if f.Roots != "" {
		if m.Roots, err = parseRoots(s.roots); err != nil {
			return nil, fmt.Errorf("tlsutil: %s: %w", f.Roots, err)
		}
	}
	return m, nil
}

// certificate parses certificate and key, and checks that they belong together and
// are valid now.
func (s *set) certificate(f *Files) (cert tls.Certificate, err error) {
	fail := func(file string, err error) (tls.Certificate, error) {
		return tls.Certificate{}, fmt.Errorf("tlsutil: %s: %w", file, err)
	}
	if cert.Certificate, cert.Leaf, err = parseChain(s.cert); err != nil {
		return fail(f.Cert, err)
	}
	key, err := parseKey(s.key)
	if err != nil {
		return fail(f.Key, err)
	}
	cert.PrivateKey = key
	if !isKeyOf(key, cert.Leaf) {
		return fail(f.Key, errors.New("not the key of the first certificate in "+f.Cert))
	}
	// Only the first: a bundle may hold an authority that has expired beside the one
	// that replaces it.
	switch now := time.Now(); {
	case now.Before(cert.Leaf.NotBefore):
		return tls.Certificate{}, fmt.Errorf("%w: %s begins at %s", ErrExpired, f.Cert, cert.Leaf.NotBefore.Format(time.RFC3339))
	case now.After(cert.Leaf.NotAfter):
		return tls.Certificate{}, fmt.Errorf("%w: %s ended at %s", ErrExpired, f.Cert, cert.Leaf.NotAfter.Format(time.RFC3339))
	}
	return cert, nil
}

// parseChain returns the certificates in data, and the first of them parsed. Blocks
// of other types count for nothing, as in crypto/tls: the file may hold the key too.
func parseChain(data []byte) (chain [][]byte, leaf *x509.Certificate, err error) {
	blocks, err := parseBlocks(data)
	if err != nil {
		return nil, nil, err
	}
	hint := ""
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" {
			if isKey(b) {
				hint = ", but a private key"
			}
			continue
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate %d is damaged", len(chain)+1)
		}
		if chain = append(chain, b.Bytes); leaf == nil {
			leaf = cert
		}
	}
	if leaf == nil {
		return nil, nil, errors.New("no certificate" + hint)
	}
	return chain, leaf, nil
}

// parseKey returns the private key in data, in PKCS #8, PKCS #1 or SEC 1.
func parseKey(data []byte) (crypto.Signer, error) {
	blocks, err := parseBlocks(data)
	if err != nil {
		return nil, err
	}
	var found *pem.Block
	hint := ""
	for _, b := range blocks {
		switch {
		case b.Type == "CERTIFICATE":
			hint = ", but a certificate"
		case isKey(b) && found != nil:
			return nil, errors.New("more than one private key")
		case isKey(b):
			found = b
		}
	}
	switch {
	case found == nil:
		return nil, errors.New("no private key" + hint)
	case found.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(found.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, errors.New("the private key is encrypted")
	}
	if key, err := x509.ParsePKCS8PrivateKey(found.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, errors.New("the private key cannot sign")
	}
	if key, err := x509.ParsePKCS1PrivateKey(found.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(found.Bytes); err == nil {
		return key, nil
	}
	return nil, errors.New("the private key is damaged")
}

// isKey reports whether a block is a private key of any form.
func isKey(b *pem.Block) bool {
	return b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY")
}

// parseBlocks returns the blocks of PEM in data. One that is damaged is an error;
// [pem.Decode] skips it without a word, so that half of a chain would do.
func parseBlocks(data []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for {
		b, rest := pem.Decode(data)
		if b == nil {
			break
		}
		taken := data[:len(data)-len(rest)]
		if isRemains(taken[:bytes.LastIndex(taken, []byte("-----BEGIN "))]) {
			return nil, fmt.Errorf("damaged PEM before block %d", len(blocks)+1)
		}
		blocks = append(blocks, b)
		data = rest
	}
	if isRemains(data) {
		return nil, fmt.Errorf("damaged PEM, or cut off, behind block %d", len(blocks))
	}
	return blocks, nil
}
