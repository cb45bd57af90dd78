package dns_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netparts/netparts/examples/dns"
)

// garden is a zone with every type of record of these Examples, and the zones for the
// names of its addresses.
var garden = dns.Records{
	dns.New("garden.example.", 3600, &dnsmessage.SOAResource{
		NS: name("ns1.garden.example."), MBox: name("gardener.garden.example."),
		Serial: 2026112201, Refresh: 7200, Retry: 900, Expire: 1209600, MinTTL: 300,
	}),
	dns.New("garden.example.", 3600, &dnsmessage.NSResource{NS: name("ns1.garden.example.")}),
	dns.New("garden.example.", 3600, &dnsmessage.NSResource{NS: name("ns2.garden.example.")}),
	dns.New("garden.example.", 300, &dnsmessage.MXResource{Pref: 20, MX: name("spare.garden.example.")}),
	dns.New("garden.example.", 300, &dnsmessage.MXResource{Pref: 10, MX: name("mail.garden.example.")}),
	dns.New("garden.example.", 300, &dnsmessage.TXTResource{TXT: []string{"v=spf1 mx -all"}}),
	dns.New("garden.example.", 300, &dnsmessage.TXTResource{TXT: []string{"a text that is longer ", "than 255 bytes comes in parts"}}),
	dns.New("ns1.garden.example.", 300, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 53}}),
	dns.New("rose.garden.example.", 300, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 10}}),
	dns.New("rose.garden.example.", 300, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 11}}),
	dns.New("rose.garden.example.", 300, &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 10}}),
	dns.New("www.garden.example.", 300, &dnsmessage.CNAMEResource{CNAME: name("rose.garden.example.")}),

	dns.New("2.0.192.in-addr.arpa.", 3600, &dnsmessage.SOAResource{NS: name("ns1.garden.example."), MBox: name("gardener.garden.example.")}),
	dns.New("10.2.0.192.in-addr.arpa.", 300, &dnsmessage.PTRResource{PTR: name("rose.garden.example.")}),
	dns.New("8.b.d.0.1.0.0.2.ip6.arpa.", 3600, &dnsmessage.SOAResource{NS: name("ns1.garden.example."), MBox: name("gardener.garden.example.")}),
	dns.New("a"+strings.Repeat(".0", 23)+".8.b.d.0.1.0.0.2.ip6.arpa.", 300, &dnsmessage.PTRResource{PTR: name("rose.garden.example.")}),
}

func name(s string) dnsmessage.Name { return dnsmessage.MustNewName(s) }

// start serves on one free port for UDP and for TCP, until end is called.
func start(answer dns.Answerer) (server string, end func()) {
	packets, streams, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- dns.Serve(ctx, answer, packets, streams) }()
	return packets.LocalAddr().String(), func() {
		stop()
		if err := <-ended; err != nil {
			log.Fatal(err)
		}
	}
}

// listen finds a port that is free for both.
func listen() (packets net.PacketConn, streams net.Listener, err error) {
	for range 20 {
		packets, err = net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		streams, err = net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams, nil
		}
		packets.Close()
	}
	return nil, nil, err
}

// patient returns a context for lookups, which last as long as resolv.conf says otherwise.
func patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 20*time.Second)
}

// A name has addresses of IPv4 in A records, and of IPv6 in AAAA records. A resolver asks for
// both. The order is not that of the server, and says nothing.
func Example_addresses() {
	server, end := start(garden.Answer)
	defer end()
	ctx, cancel := patient()
	defer cancel()
	for _, network := range []string{"ip4", "ip6"} {
		addrs, err := dns.Resolver(server).LookupNetIP(ctx, network, "rose.garden.example.")
		if err != nil {
			log.Fatal(err)
		}
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		fmt.Println(network, addrs)
	}
	// Output:
	// ip4 [192.0.2.10 192.0.2.11]
	// ip6 [2001:db8::a]
}

// A zone starts with one SOA record. Who is responsible is a mail address whose @ is
// written as a dot; the serial number rises with each change, by which the other servers of the
// zone see that they must fetch it; and the minimum is for how many seconds it may be kept
// that something does not exist.
func ExampleSOA() {
	server, end := start(garden.Answer)
	defer end()
	ctx, cancel := patient()
	defer cancel()
	soa, err := dns.SOA(ctx, server, "garden.example.")
	if err != nil {
		log.Fatal(err)
	}
	mailbox := strings.TrimSuffix(strings.Replace(soa.MBox.String(), ".", "@", 1), ".")
	fmt.Println("from:", soa.NS, "mail:", mailbox)
	fmt.Println("serial:", soa.Serial, "minimum:", soa.MinTTL)
	// Output:
	// from: ns1.garden.example. mail: gardener@garden.example
	// serial: 2026112201 minimum: 300
}

// NS records name the servers that have the last word for a zone. There is more than one, so that
// the zone is there when one of them is not.
func Example_nameServers() {
	server, end := start(garden.Answer)
	defer end()
	ctx, cancel := patient()
	defer cancel()
	servers, err := dns.Resolver(server).LookupNS(ctx, "garden.example.")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range servers {
		fmt.Println(s.Host)
	}
	// Output:
	// ns1.garden.example.
	// ns2.garden.example.
}

// A CNAME record makes a name the alias of another. The answer to a question for addresses has
// both, the alias and the addresses of what it stands for, if the server knows them; otherwise
// the resolver asks once more. LookupCNAME returns the last name, which has no alias.
func Example_alias() {
	server, end := start(garden.Answer)
	defer end()
	ctx, cancel := patient()
	defer cancel()
	canonical, err := dns.Resolver(server).LookupCNAME(ctx, "www.garden.example.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(canonical)

	m, err := dns.Ask(ctx, server, "www.garden.example.", dnsmessage.TypeA)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range m.Answers {
		switch body := r.Body.(type) {
		case *dnsmessage.CNAMEResource:
			fmt.Println(r.Header.Name, "is", body.CNAME)
		case *dnsmessage.AResource:
			fmt.Println(r.Header.Name, "has", net.IP(body.A[:]))
		}
	}
	// Output:
	// rose.garden.example.
	// www.garden.example. is rose.garden.example.
	// rose.garden.example. has 192.0.2.10
	// rose.garden.example. has 192.0.2.11
}

// MX records name the hosts that take the mail for a name. The one with the lowest number is
// tried first, and equal numbers are in random order, which spreads the load.
func Example_mail() {
	server, end := start(garden.Answer)
	defer end()
	ctx, cancel := patient()
	defer cancel()
	hosts, err := dns.Resolver(server).LookupMX(ctx, "garden.example.")
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range hosts {
		fmt.Println(h.Pref, h.Host)
	}
	// Output:
	// 10 mail.garden.example.
	// 20 spare.garden.example.
}

// PTR records lead from an address back to a name. The address is written as a name for
// that, backwards, since names have the largest part last: by bytes below in-addr.arpa, and by
// half bytes, of which there are 32, below ip6.arpa. LookupAddr writes it so. Whoever holds the
// address may have written any name there, so that it proves nothing until a lookup of the name
// gives the address.
func Example_reverse() {
	server, end := start(garden.Answer)
	defer end()
	ctx, cancel := patient()
	defer cancel()
	for _, addr := range []string{"192.0.2.10", "2001:db8::a"} {
		names, err := dns.Resolver(server).LookupAddr(ctx, addr)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(addr, "is", names)
	}
	m, err := dns.Ask(ctx, server, "10.2.0.192.in-addr.arpa.", dnsmessage.TypePTR)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("asked for:", m.Questions[0].Name)
	// Output:
	// 192.0.2.10 is [rose.garden.example.]
	// 2001:db8::a is [rose.garden.example.]
	// asked for: 10.2.0.192.in-addr.arpa.
}

// TXT records hold what the other types have no place for, such as who may send mail in the name
// of the domain. One string has at most 255 bytes: a record has several, which belong
// together, and LookupTXT joins them without a space.
func Example_text() {
	server, end := start(garden.Answer)
	defer end()
	ctx, cancel := patient()
	defer cancel()
	texts, err := dns.Resolver(server).LookupTXT(ctx, "garden.example.")
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range texts {
		fmt.Printf("%q\n", text)
	}
	// Output:
	// "v=spf1 mx -all"
	// "a text that is longer than 255 bytes comes in parts"
}
