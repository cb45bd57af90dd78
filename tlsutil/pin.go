package tlsutil

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// A Pin is the SHA-256 of a public key (the SubjectPublicKeyInfo of RFC 5280, section
// 4.1), which stays the same when a certificate is renewed with the same key.
type Pin [sha256.Size]byte

// The standard encoding passes over bits behind the last byte, so that several texts would
// be the same pin.
var pinEncoding = base64.StdEncoding.Strict()

// PinOf returns the pin of the certificate's key.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// ParsePin parses what [Pin.String] returns. It also takes the forms "sha256/BASE64" and,
// of curl, "sha256//BASE64".
func ParsePin(s string) (Pin, error) {
	rest, ok := strings.CutPrefix(s, "sha256")
	for _, separator := range []string{":", "//", "/"} {
		text, found := strings.CutPrefix(rest, separator)
		// The length first: the decoder passes over ends of lines.
		if !ok || !found || len(text) != pinEncoding.EncodedLen(sha256.Size) {
			continue
		}
		if sum, err := pinEncoding.DecodeString(text); err == nil && len(sum) == sha256.Size {
			return Pin(sum), nil
		}
	}
	return Pin{}, fmt.Errorf(`tlsutil: pin %.80q is not "sha256:" and a hash in base 64`, s)
}

// String returns "sha256:" and the hash in base 64 (RFC 4648 section 4).
func (p Pin) String() string { return "sha256:" + pinEncoding.EncodeToString(p[:]) }

// MarshalText implements encoding.TextMarshaler.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes what [ParsePin] takes.
func (p *Pin) UnmarshalText(text []byte) error {
	pin, err := ParsePin(string(text))
	if err == nil {
		*p = pin
	}
	return err
}
