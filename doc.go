// Package netparts is the map of a library of network protocol parts. It holds no
// code: import the part that you need, and only that is compiled.
//
//   - [github.com/netparts/netparts/tlv]: type-length-value records on a stream
//   - [github.com/netparts/netparts/tftp]: a server and a client of the Trivial
//     File Transfer Protocol
//   - [github.com/netparts/netparts/echo]: echo services over TCP, UDP, TLS and
//     Unix sockets
//   - [github.com/netparts/netparts/proxy]: passing connections and datagrams on to
//     upstreams, and seeing what passes
//   - [github.com/netparts/netparts/heartbeat]: keeping connections alive,
//     noticing dead ones, and asking services whether they answer
//   - [github.com/netparts/netparts/unixauth]: Unix sockets that know who is at
//     the other end, and let in only those who are allowed
//   - [github.com/netparts/netparts/httpmw]: net/http middleware without the usual
//     holes, and a server with limits that hold
//   - [github.com/netparts/netparts/tlsutil]: TLS configurations that say who may
//     be at the other end, and the certificates for them
//   - [github.com/netparts/netparts/housework]: a list of chores, in files of three
//     formats, in memory, and for others over gRPC
//
// The parts do not import each other. Each is configured by exported fields
// whose zero values work, reports errors that map to those of the standard library,
// bounds what a hostile peer can cost, and says in its package comment what it
// does not do. Its Example tests are its manual.
//
// The programs under examples use several parts together; examples/tour takes one
// file through all of them. The file examples/README.md is a path for those who learn
// network programming: a row for each listing of a book, with what shows it here and
// the command that runs it.
package netparts
