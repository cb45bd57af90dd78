// Package heartbeat keeps connections alive and notices those whose peer is gone.
//
// A [Pinger] writes a ping when its peer has been silent for an interval, and
// reports a peer that does not answer:
//
//	p := &heartbeat.Pinger{Writer: conn, Interval: 15 * time.Second}
//	go read(conn, p.Touch) // calls Touch for all that arrives
//	err := p.Run(ctx)      // heartbeat.ErrPeerSilent, if it is
//
// A [Conn] does that for a [net.Conn], so that Read and Write fail when the peer is
// gone; it takes pings and pongs out of what is read, and answers them. An
// [Enforce] limits the pings that a peer may send. A [Probe] asks from outside
// whether a TCP service answers, as ping does for a host.
//
// # Why not TCP keep-alive
//
// It proves that the peer's kernel is there, not that its program is; middleboxes
// drop or answer it; and it says nothing while sent data is not acknowledged (RFC
// 9293 section 3.8.4). A ping goes through all that the data goes through.
//
// # When a peer is found out
//
// Any byte that arrives is a sign of life and postpones the next ping. A peer that
// vanishes is reported after Interval and MaxMissed times Timeout, counted from the
// last sign of life: with one ping that may be missed, which is the default, after
// Interval + Timeout. A ping is missed if nothing has arrived within Timeout, be it
// that the ping could not be written or that it was not answered.
//
// A process that was stopped or starved does not blame its peer: a Pinger that looks
// more than 100 ms late, or half of Timeout if that is less, sends another ping
// first, and waits for its answer. It does so three times in a row at most.
//
// # Many at once
//
// Pingers that share a [Scheduler] have one timer and no goroutines. Where there are
// a hundred or more, a ping waits for others that are due soon, for a 32nd of its
// interval at most. One whose Write takes long does not delay the others by more
// than a millisecond.
//
// # What it does not do
//
// Pings are bytes in a stream like any others: both sides must agree what they look
// like, and a protocol without messages has no place for them. It neither closes
// connections, nor connects anew, nor tells a dead peer from a cut network.
package heartbeat
