// Package memnet is a network in memory, for tests.
//
// It has listeners, stream connections with deadlines and half-close, and packet
// connections whose packets a [Rule] may drop, delay, duplicate, reorder and
// corrupt. Addresses are [*net.TCPAddr] and [*net.UDPAddr], and errors wrap those
// of the system's sockets.
//
// Whoever waits for another waits on a condition variable or a timer of package
// time, so that a network made inside a [testing/synctest] bubble lets the bubble's
// clock advance: a time-out of a minute takes no time and is exact. A delayed
// packet that arrives at the very instant of a deadline comes before it.
//
// A stream connection holds at most 64 KiB on the way in each direction; a
// writer that is further ahead blocks. A packet connection holds 1 MiB that
// nobody has read; what comes beyond is dropped, as by a kernel.
//
// Streams end as those of Linux do: over unread bytes Close is a reset, delivered
// bytes can be read before a reset is reported, a reset is reported once, and the
// first Write after the peer's Close is lost without an error. Two differences
// are known: CloseRead drops what is unread and what still comes, and half-closing
// a dead connection is no error.
package memnet
