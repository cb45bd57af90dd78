package dns_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netparts/netparts/examples/dns"
)

// reply makes a server of a function that changes what a good one would say.
func reply(change func(*dnsmessage.Message)) dns.Answerer {
	return func(query []byte, limit int) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(garden.Answer(query, limit)); err != nil {
			log.Print(err)
			return nil
		}
		change(&m)
		b, err := m.Pack()
		if err != nil {
			log.Print(err)
		}
		return b
	}
}

// broken says that it failed, as a server does that cannot reach those that it would ask.
var broken = reply(func(m *dnsmessage.Message) {
	m.RCode = dnsmessage.RCodeServerFailure
	m.Answers, m.Authorities = nil, nil
})

// lame knows nothing of the zone, though others refer to it. Package net does not notice that
// if there are additional records, and takes it for the news that there are no records.
var lame = reply(func(m *dnsmessage.Message) {
	m.Authoritative = false
	m.Answers, m.Authorities, m.Additionals = nil, nil, nil
})

// silent never answers.
func silent([]byte, int) []byte { return nil }

// That a name does not exist is an answer, and final. A caller tells it from a failure,
// after which it would ask again later.
func Example_notFound() {
	for _, answer := range []dns.Answerer{garden.Answer, broken} {
		server, end := start(answer)
		ctx, cancel := patient()
		_, err := dns.Resolver(server).LookupNetIP(ctx, "ip4", "weed.garden.example.")
		dnsErr, ok := errors.AsType[*net.DNSError](err)
		if !ok {
			log.Fatal(err)
		}
		fmt.Println("not found:", dnsErr.IsNotFound, "may pass:", dnsErr.IsTemporary)
		cancel()
		end()
	}
	// Output:
	// not found: true may pass: false
	// not found: false may pass: true
}

// A lookup takes as long as the machine's configuration says, often 10 seconds or more, unless
// its context ends before that.
func Example_timeout() {
	server, end := start(silent)
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := dns.Resolver(server).LookupTXT(ctx, "garden.example.")
	dnsErr, ok := errors.AsType[*net.DNSError](err)
	if !ok {
		log.Fatal(err)
	}
	fmt.Println("time-out:", dnsErr.IsTimeout)
	// Output:
	// time-out: true
}

// A zone has several servers, and a client goes on to the next when one fails or is lame,
// which means that it knows nothing of the zone.
func ExampleFirst() {
	var resolvers []*net.Resolver
	for _, answer := range []dns.Answerer{broken, lame, garden.Answer} {
		server, end := start(answer)
		defer end()
		resolvers = append(resolvers, dns.Resolver(server))
	}
	ctx, cancel := patient()
	defer cancel()
	texts, err := dns.First(ctx, resolvers, func(ctx context.Context, r *net.Resolver) ([]string, error) {
		return r.LookupTXT(ctx, "garden.example.")
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(texts[0])
	// Output:
	// v=spf1 mx -all
}

// long is a zone with an answer that does not fit into 512 bytes.
func long() dns.Records {
	r := garden
	for range 40 {
		r = append(r, dns.New("long.garden.example.", 300, &dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", 200)}}))
	}
	return r
}

// An answer that does not fit into a datagram says that it is truncated, and whoever asked comes
// again over TCP. A firewall that lets DNS through over UDP alone breaks the names whose
// answers are long.
func Example_truncated() {
	var overTCP atomic.Bool
	server, end := start(func(query []byte, limit int) []byte {
		if limit > 1232 {
			overTCP.Store(true)
		}
		return long().Answer(query, limit)
	})
	defer end()
	ctx, cancel := patient()
	defer cancel()
	texts, err := dns.Resolver(server).LookupTXT(ctx, "long.garden.example.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(texts), "texts, over TCP:", overTCP.Load())

	m, err := dns.Ask(ctx, server, "long.garden.example.", dnsmessage.TypeTXT)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(m.Answers), "records, truncated:", m.Truncated)
	// Output:
	// 40 texts, over TCP: true
	// 40 records, truncated: false
}

// What is found out by the first server is not asked of the second, and what the servers said is
// all in the error.
func TestFirst(t *testing.T) {
	var asked atomic.Int32
	count := func(answer dns.Answerer) dns.Answerer {
		return func(query []byte, limit int) []byte {
			asked.Add(1)
			return answer(query, limit)
		}
	}
	lookup := func(ctx context.Context, r *net.Resolver) ([]netip.Addr, error) {
		return r.LookupNetIP(ctx, "ip4", "weed.garden.example.")
	}
	good, end := start(garden.Answer)
	defer end()
	second, end := start(count(garden.Answer))
	defer end()
	bad, end := start(broken)
	defer end()
	_, err := dns.First(t.Context(), []*net.Resolver{dns.Resolver(good), dns.Resolver(second)}, lookup)
	if dnsErr, ok := errors.AsType[*net.DNSError](err); !ok || !dnsErr.IsNotFound || asked.Load() != 0 {
		t.Errorf("First: %v, and the second server saw %d questions", err, asked.Load())
	}
	_, err = dns.First(t.Context(), []*net.Resolver{dns.Resolver(bad), dns.Resolver(bad)}, lookup)
	if err == nil || strings.Count(err.Error(), "server misbehaving") != 2 {
		t.Errorf("First: %v, want the failures of both", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dns.First(ctx, []*net.Resolver{dns.Resolver(good), dns.Resolver(second)}, lookup); err == nil || asked.Load() != 0 {
		t.Errorf("First after the end of its context: %v, and the second server saw %d questions", err, asked.Load())
	}
}

// Of two hosts with equal preference each is first now and then. That one is first 100 times is
// less likely than that the machine fails.
func TestMailHostsAreShuffled(t *testing.T) {
	records := dns.Records{
		dns.New("example.", 300, &dnsmessage.SOAResource{NS: name("ns.example."), MBox: name("mail.example.")}),
		dns.New("example.", 300, &dnsmessage.MXResource{Pref: 10, MX: name("a.example.")}),
		dns.New("example.", 300, &dnsmessage.MXResource{Pref: 10, MX: name("b.example.")}),
		dns.New("example.", 300, &dnsmessage.MXResource{Pref: 5, MX: name("first.example.")}),
	}
	server, end := start(records.Answer)
	defer end()
	seen := make(map[string]bool)
	for range 100 {
		hosts, err := dns.Resolver(server).LookupMX(t.Context(), "example.")
		if err != nil || len(hosts) != 3 || hosts[0].Host != "first.example." {
			t.Fatalf("LookupMX = %v, %v", hosts, err)
		}
		if seen[hosts[1].Host] = true; len(seen) == 2 {
			return
		}
	}
	t.Errorf("of two equal hosts %v was always first", seen)
}
