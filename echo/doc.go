// Package echo answers with what it receives: the Echo Protocol (RFC 862), over
// everything that Go listens on.
//
//	l, err := net.Listen("tcp", "127.0.0.1:0")
//	if err != nil {
//		return err
//	}
//	var server echo.Server
//	defer server.Close()
//	return server.Serve(l)
//
// One [Server] serves connections ([Server.Serve]: TCP, Unix streams, Unix
// packets, TLS) and packets ([Server.ServePacket]: UDP, Unix datagrams), any
// number of each at once.
//
// # What comes back
//
// Of a stream, the same bytes in the same order; a client that half-closes gets
// all of them, and then the end of the stream. Of packets and records, each with
// its boundaries, empty ones and those of the largest size included: 65507 bytes
// of UDP over IPv4, and on Unix sockets as much as the kernel lets a sender with
// its default buffer send.
//
// An answer leaves from the address that the datagram was sent to, also where
// the socket is bound to a wildcard address, on Linux.
//
// # What a peer can cost
//
// A stream that is idle holds no buffer, but for half a KiB where it is no socket, as
// with TLS. One whose client does not read holds 32 KiB, besides what the kernel does;
// a Unix packet may hold 512 KiB.
// Connections that are idle for [Server.IdleTimeout] are closed, and a TLS
// handshake has ten seconds. Datagrams that cannot be answered at once, because
// their sender has no address, is gone or does not read, are dropped, so that the
// next one is served.
//
// # Loops
//
// Two echo services that answer each other do so for ever, and one datagram with
// a forged source sets them off (CVE-2024-2169). Not answered are therefore
// datagrams from the server's own port, from the well-known ports 0 to 1023, where
// the other services that answer to anything live, and those that were sent to a
// broadcast or multicast address. That leaves services at unprivileged ports
// other than its own, and UDP with a forged source makes any echo service a
// reflector: it belongs on networks whose hosts are known.
//
// # What it does not do
//
// It does not replace the socket file that another process left behind: listening
// on a path that exists is an error. Unix packets keep empty records apart from
// the end of the connection on Linux alone, and Windows has streams and UDP only.
package echo
