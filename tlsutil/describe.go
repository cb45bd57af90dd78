package tlsutil

import (
	"crypto/tls"
	"strconv"
	"strings"
)

// Describe returns what was agreed on and who the peer is, on one line for a log: version,
// cipher suite, key exchange, application protocol, whether it was resumed, the peer's
// subject, the issuer and the pin of the peer's key. What the peer chose is quoted.
// Nothing need be verified, or complete. Of the connections of a client whose [Source]
// changes it says "not verified by crypto/tls", as this package has verified them.
func Describe(cs tls.ConnectionState) string {
	if cs.Version == 0 {
		return "no TLS"
	}
	parts := []string{tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite)}
	if cs.CurveID != 0 {
		parts = append(parts, cs.CurveID.String())
	}
	if cs.NegotiatedProtocol != "" {
		parts = append(parts, "protocol "+strconv.QuoteToASCII(cs.NegotiatedProtocol))
	}
	if cs.ServerName != "" {
		parts = append(parts, "server name "+strconv.QuoteToASCII(cs.ServerName))
	}
	if cs.DidResume {
		parts = append(parts, "resumed")
	}
	if len(cs.PeerCertificates) == 0 {
		return strings.Join(append(parts, "no peer certificate"), ", ")
	}
	peer := cs.PeerCertificates[0]
	parts = append(parts,
		"peer "+strconv.QuoteToASCII(peer.Subject.String()),
		"issuer "+strconv.QuoteToASCII(peer.Issuer.String()),
		"pin "+PinOf(peer).String())
	if len(cs.VerifiedChains) == 0 {
		parts = append(parts, "not verified by crypto/tls")
	}
	return strings.Join(parts, ", ")
}
