package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
)

// Why a handshake failed, as far as it can be told. [Explain] finds out which.
var (
	// ErrNoClientCert: the server requires a certificate, and the client showed none.
	ErrNoClientCert = errors.New("tlsutil: no client certificate")
	// ErrUnknownAuthority: the chain does not lead to a root that is trusted for it.
	ErrUnknownAuthority = errors.New("tlsutil: unknown certificate authority")
	// ErrExpired: a certificate of the chain is expired, or not yet valid.
	ErrExpired = errors.New("tlsutil: certificate expired or not yet valid")
	// ErrWrongUsage: the certificate is for another use, such as a server's that a
	// client shows.
	ErrWrongUsage = errors.New("tlsutil: certificate is for another use")
	// ErrWrongHost: the certificate is not for the name or address that was dialed.
	ErrWrongHost = errors.New("tlsutil: certificate is for another host")
	// ErrPinMismatch: no key of the verified chain is pinned.
	ErrPinMismatch = errors.New("tlsutil: no pinned key in the chain")
	// ErrAddressMismatch: the certificate of a client is not for where it comes from.
	ErrAddressMismatch = errors.New("tlsutil: certificate is for another address")
	// ErrVersion: the two ends have no version of TLS in common.
	ErrVersion = errors.New("tlsutil: no version of TLS in common")
	// ErrNotTLS: the other end does not speak TLS.
	ErrNotTLS = errors.New("tlsutil: the peer does not speak TLS")
	// ErrRefused: the other end refused the certificate, and does not say why.
	ErrRefused = errors.New("tlsutil: certificate refused")
)

// HandshakeError is what [Explain] returns. It matches its Reason and its Err.
type HandshakeError struct {
	// Reason is one of the Err variables of this package.
	Reason error

	// Remote says that it was the other end that found this out, and sent an alert (RFC
	// 8446 section 6).
	Remote bool

	// Err is the error that was explained.
	Err error
}

// Error implements error.
func (e *HandshakeError) Error() string {
	if e.Remote {
		return e.Reason.Error() + ", says the peer: " + e.Err.Error()
	}
	return e.Reason.Error() + ": " + e.Err.Error()
}

// Unwrap returns the reason and the error that was explained.
func (e *HandshakeError) Unwrap() []error { return []error{e.Reason, e.Err} }

// Explain returns err with the reason for which a handshake failed, as a
// [*HandshakeError]. Give it the error of a handshake on either side and, on the client's
// side, of the first Read: with TLS 1.3 the server judges the client's certificate after the
// client's handshake has ended. What it cannot explain, nil included, and what matches one
// of the reasons already, it returns as it is. Among that may be the error of a Write that the
// other end has cut off by refusing, as net/http returns it over HTTP/2, and a
// status of gRPC, which keeps of the error its text alone.
func Explain(err error) error {
	if err == nil || matchesReason(err) {
		return err
	}
	if reason, ok := remoteReason(err); ok {
		return &HandshakeError{Reason: reason, Remote: true, Err: err}
	}
	if reason := localReason(err); reason != nil {
		return &HandshakeError{Reason: reason, Err: err}
	}
	return err
}

func matchesReason(err error) bool {
	for _, reason := range []error{
		ErrNoClientCert, ErrUnknownAuthority, ErrExpired, ErrWrongUsage, ErrWrongHost,
		ErrPinMismatch, ErrAddressMismatch, ErrVersion, ErrNotTLS, ErrRefused,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// alerts are the alerts about certificates and versions, with what they mean when they
// come from the peer.
var alerts = []struct {
	alert  tls.AlertError
	reason error
}{
	{42, ErrRefused},          // bad_certificate
	{43, ErrRefused},          // unsupported_certificate
	{44, ErrRefused},          // certificate_revoked
	{45, ErrExpired},          // certificate_expired
	{46, ErrRefused},          // certificate_unknown
	{48, ErrUnknownAuthority}, // unknown_ca
	{49, ErrRefused},          // access_denied
	{70, ErrVersion},          // protocol_version
	{116, ErrNoClientCert},    // certificate_required
}

// remoteReason looks for an alert that the peer sent. Its type in crypto/tls is not
// exported, and is no tls.AlertError; but both print the same.
func remoteReason(err error) (error, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	for ok && op.Op != "remote error" {
		// That of a dial may have it within, as net/http's to a proxy.
		op, ok = errors.AsType[*net.OpError](op.Err)
	}
	if !ok {
		return nil, false
	}
	for _, a := range alerts {
		if op.Err.Error() == a.alert.Error() {
			return a.reason, true
		}
	}
	return nil, false
}

// localReason looks for what this end found out.
func localReason(err error) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.Expired:
			return ErrExpired
		case x509.IncompatibleUsage:
			return ErrWrongUsage
		default:
			return ErrUnknownAuthority // it is not one for this certificate
		}
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ErrUnknownAuthority
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return ErrWrongHost
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return ErrNotTLS
	}
	// These have no type in crypto/tls, and that of net/http (ErrSchemeMismatch) is not
	// worth importing it.
	switch text := err.Error(); {
	case strings.Contains(text, "tls: client didn't provide a certificate"):
		return ErrNoClientCert
	case strings.Contains(text, "tls: client offered only unsupported versions"),
		strings.Contains(text, "tls: server selected unsupported protocol version"):
		return ErrVersion
	case strings.Contains(text, "tls: either ServerName or InsecureSkipVerify must be specified"):
		return ErrWrongHost
	case strings.Contains(text, "http: server gave HTTP response to HTTPS client"):
		return ErrNotTLS
	}
	return nil
}
