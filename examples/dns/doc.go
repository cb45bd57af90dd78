// Package dns teaches what the Domain Name System holds, and how it is asked: each Example
// looks up one type of record.
//
// The server is in this package, so that no lookup leaves the machine: [Records] are what it
// knows, and [Serve] answers over UDP and TCP. [Resolver] is a [net.Resolver] that asks one
// such server instead of those of the machine. It answers most questions; for the others, such
// as for SOA records, [Ask] sends a message and returns the one that answers it.
//
// # What still depends on the machine
//
// A net.Resolver with PreferGo and Dial asks whom Dial says. It reads /etc/resolv.conf (on
// Windows the configuration of the interfaces) all the same, and heeds all but the
// addresses: how many servers there are and how many attempts it has, which is how often it
// asks; how long it waits for each; and the domains that it searches, unless a name ends with a
// dot, which is why the names here do. It reads /etc/nsswitch.conf and /etc/hosts
// too: a name or an address of that file is not asked for, when hosts are looked up and not
// when records are.
package dns
