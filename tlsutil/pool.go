package tlsutil

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFile bounds what is read of a file. The roots of a whole system take a quarter.
const maxFile = 1 << 20

// LoadPool reads certificates in PEM, from a regular file of at most 1 MiB. Text
// between them is passed over. A file in which one of them is damaged or cut off, or
// in which there is anything else in PEM, or no certificate, is an error.
func LoadPool(file string) (*x509.CertPool, error) {
	b, err := readFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := parseRoots(b)
	if err != nil {
		return nil, fmt.Errorf("tlsutil: %s: %w", file, err)
	}
	return pool, nil
}

// parseRoots is strict where CertPool.AppendCertsFromPEM passes over what it does not
// understand, so that a file that is half written loses roots in silence. Its errors
// say which block is wrong, and quote nothing of it: it may be a key in the wrong file.
func parseRoots(b []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	count := 0
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		count++
		// What was passed over before the block may be a damaged one.
		taken := b[:len(b)-len(rest)]
		if isRemains(taken[:bytes.LastIndex(taken, []byte("-----BEGIN "))]) {
			return nil, fmt.Errorf("certificate %d is damaged", count)
		}
		switch {
		case isKey(block):
			return nil, fmt.Errorf("block %d is a private key, not a certificate", count)
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("block %d is not a certificate", count)
		case len(block.Headers) > 0:
			return nil, fmt.Errorf("certificate %d has headers", count)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d is damaged", count)
		}
		pool.AddCert(cert)
		b = rest
	}
	switch {
	case isRemains(b):
		return nil, fmt.Errorf("certificate %d is damaged or cut off", count+1)
	case count == 0:
		return nil, errors.New("no certificate in PEM")
	}
	return pool, nil
}

// isRemains reports whether a text has remains of a block: the dashes that its first and
// last lines have at both ends, or at the end of the text the first of them.
func isRemains(text []byte) bool {
	last := text[bytes.LastIndexByte(text, '\n')+1:]
	return bytes.Contains(text, []byte("-----")) || bytes.HasPrefix(last, []byte("-"))
}

// readFile reads a regular file. Others could block, or never end.
func readFile(name string) ([]byte, error) {
	b, err := readRegular(name)
	if err != nil {
		return nil, fmt.Errorf("tlsutil: %w", err)
	}
	return b, nil
}

func readRegular(name string) ([]byte, error) {
	// Before it is opened, as to open a FIFO waits for a writer.
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// And again, as it may be another file by now.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a regular file", name))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	return b, err
}
