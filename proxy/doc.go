// Package proxy passes connections and datagrams on to upstreams.
//
//	server := &proxy.Server{Dial: proxy.To("tcp", "10.0.0.7:5432")}
//	defer server.Close()
//	return server.ListenAndServe("tcp", "127.0.0.1:5432")
//
// [Relay] is the core of it and needs no server: it copies both ways between any two
// connections. [PacketServer] does the same for UDP and Unix datagrams, [Copy] for
// readers and writers. [To], [RoundRobin], [Failover] and [First] choose the upstream,
// and so does any function like them. [Monitor] writes down what passes.
//
// # How a pair ends
//
// The pair is the client's connection and the upstream's. What one side does, the
// other one sees:
//
//	on one side         on the other                                 Relay returns
//	------------------  -------------------------------------------  --------------
//	end of the stream   all bytes, then the end of the stream; the   nil, when both
//	(FIN, CloseWrite)   other direction goes on, with at most        have ended
//	                    HalfCloseTimeout of silence
//	reset, or another   all bytes that arrived, then a reset         *SideError
//	error of reading
//	it takes no more    what it still sends arrives, then a reset    *SideError
//	bytes (EPIPE)
//	it cannot half-     as much as was delivered, then the end of    nil
//	close, and is to    the stream on both sides
//
//	with neither        on both
//	------------------  -------------------------------------------  --------------
//	no byte moves for   end of the stream; a reset if bytes of the   ErrIdle
//	IdleTimeout         other side were read and not delivered
//	one has ended, and  the same                                     ErrHalfClosed
//	no byte moves for
//	HalfCloseTimeout
//	ctx ends, or        a reset, at once                             cause of ctx
//	Server.Close
//	Server.Shutdown     nothing: it waits for the pair to end        (goes on)
//	the dial fails      the client sees a reset, at once             (no Relay)
//
// Bytes that were delivered before a reset arrive before it: it is sent when the peer
// has acknowledged them all, or after HalfCloseTimeout. What is no TCP connection, and
// has no NetConn method that leads to one, has no reset and is closed instead. Urgent
// data of TCP and descriptors that are passed over a Unix socket go no further.
//
// Time is measured by bytes that were delivered, in either direction. Keep-alive
// probes are none, and a reader that takes nothing is idle, whatever is waiting for it.
//
// # What it costs
//
// Between two connections of the system, which are a [*net.TCPConn] or a Unix
// stream [*net.UnixConn] and not something that wraps one, bytes are moved within the
// kernel on Linux (splice(2)), whatever the options but for a tap. Little traffic is
// copied, which costs less then. A pair that waits holds two descriptors, two
// goroutines, and neither a pipe nor a buffer; one whose receiver does not read holds
// a pipe of a MiB or a buffer of 16 KiB each way, besides what the kernel does, and
// its sender is stopped.
//
// Any other connection is served by its own methods, as one of crypto/tls, whose
// bytes are not those on the wire. Those who read a part of a stream to see what it is
// give it back by [Prepend], which does not keep the rest from being spliced.
//
// # The client's address
//
// An upstream sees the proxy's address. [Server.SendHeader] tells it the client's, by
// the PROXY protocol in version 1 or 2; [Server.Header] takes such headers from the
// proxies before this one, and [HeaderListener] does that for any other server. A
// header can claim whatever it likes, so it is declared by its source whether one
// must, may or must not come.
//
// # What it does not do
//
// It reads no protocol of those it passes on: it chooses by the connection, not by the
// request. It ends no TLS of its own, but relays what [crypto/tls.NewListener]
// accepts, and dials by any function. It probes no upstreams: [Failover] and
// [RoundRobin] learn from the dials of clients.
//
// # Where it runs
//
// Where there is no splice the bytes are copied, and all else is the same but for
// this: other systems than Linux do not tell what the peer has acknowledged, so that a
// reset waits for a second instead; and on Windows a client that has gone does not
// cancel the dial, and its idle pairs hold half a KiB each way. The build tag portable
// takes that path on Linux too, as for its tests.
package proxy
