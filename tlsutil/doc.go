// Package tlsutil makes TLS configurations that say who may be at the other end, and the
// certificates for them.
//
//	files, err := tlsutil.WatchFiles(tlsutil.Files{Cert: "cert.pem", Key: "key.pem", Roots: "clients.pem"})
//	if err != nil {
//		return err
//	}
//	defer files.Close()
//	config, err := tlsutil.MutualServer(files, nil)
//	if err != nil {
//		return err
//	}
//	return server.Serve(tls.NewListener(l, config))
//
// A [Source] is what one end shows and trusts: a [*Material] in memory, or
// [Files] that are read again when they change. [ServerConfig], [ClientConfig],
// [MutualServer] and [MutualClient] make a *tls.Config of it, which works wherever
// crypto/tls does, and needs no further care. The [Options] add to who is accepted:
// pins, the address of the peer, a function of one's own.
//
// # What is judged, and when
//
// Everything is judged in each handshake, the resumed ones included: that the chain of
// certificates leads to the roots of now, pins on that chain, the address, the
// function. (Go runs VerifyPeerCertificate in full handshakes only, so that what is
// checked there holds until the ticket of a session has expired.) Resumption stays on: a
// ticket is of use only for the configuration and the server name that it was made for,
// with the same [Material.Epoch]. Other tickets lead to a full handshake, never to a
// failure.
//
// # Errors
//
// [Explain] tells why a handshake failed as an error that errors.Is can match, on the side
// that refused and on the side that was refused. With TLS 1.3 a client whose
// certificate is refused learns it not from its handshake, but from its first
// Read; [Confirm] waits for that.
//
// # What it does not do
//
// It asks nobody whether a certificate was revoked: certificates that live for
// days, [Options.Verify] and changing the roots take that place. It gets no certificates
// from an ACME service. It does not end connections when the roots change: what was accepted
// stays so until it is closed. Address checks are worth what the address is: behind a proxy or
// NAT it is that of the proxy.
//
// The configurations of a Source that changes set InsecureSkipVerify on the client's
// side and verify in VerifyConnection, because a *tls.Config cannot change its
// roots. Their VerifyConnection must not be replaced; use [Options.Verify].
package tlsutil
