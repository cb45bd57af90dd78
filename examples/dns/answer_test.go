package dns_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netparts/netparts/examples/dns"
)

// ask packs a question that change may spoil.
func ask(t testing.TB, domain string, kind dnsmessage.Type, change func(*dnsmessage.Message)) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name(domain), Type: kind, Class: dnsmessage.ClassINET}},
	}
	if change != nil {
		change(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edns adds an OPT record with the size that is taken, and a version.
func edns(size uint16, version uint32) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		header := dnsmessage.ResourceHeader{Name: name("."), Type: dnsmessage.TypeOPT, Class: dnsmessage.Class(size), TTL: version << 16}
		m.Additionals = append(m.Additionals, dnsmessage.Resource{Header: header, Body: &dnsmessage.OPTResource{}})
	}
}

// describe writes an answer in a line: its code, flags, and the numbers of records.
func describe(t *testing.T, b []byte) string {
	t.Helper()
	if b == nil {
		return "nothing"
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	code := m.RCode
	for _, a := range m.Additionals {
		code = a.Header.ExtendedRCode(code)
	}
	words := []string{fmt.Sprintf("%d", code)}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"authoritative", m.Authoritative}, {"truncated", m.Truncated}, {"recursion", m.RecursionAvailable}} {
		if flag.set {
			words = append(words, flag.name)
		}
	}
	if m.ID != 7 || !m.Response {
		t.Errorf("the header is %v", m.Header)
	}
	return fmt.Sprintf("%s, records %d %d %d", strings.Join(words, " "), len(m.Answers), len(m.Authorities), len(m.Additionals))
}

// answers are records with aliases that lead nowhere, and a zone in a zone.
func answers() dns.Records {
	return slices.Concat(long(), dns.Records{
		dns.New("a.circle.garden.example.", 1, &dnsmessage.CNAMEResource{CNAME: name("b.circle.garden.example.")}),
		dns.New("b.circle.garden.example.", 1, &dnsmessage.CNAMEResource{CNAME: name("a.circle.garden.example.")}),
		dns.New("out.garden.example.", 1, &dnsmessage.CNAMEResource{CNAME: name("elsewhere.example.")}),
		dns.New("dead.garden.example.", 1, &dnsmessage.CNAMEResource{CNAME: name("weed.garden.example.")}),
		dns.New("bed.garden.example.", 1, &dnsmessage.SOAResource{NS: name("ns.bed.garden.example."), MBox: name("x.")}),
	})
}

// The codes are those of RFC 1035, section 4.1.1: 1 FORMERR, 2 SERVFAIL, 3 NXDOMAIN, 4 NOTIMP,
// 5 REFUSED; and 16 of RFC 6891, BADVERS.
func TestAnswer(t *testing.T) {
	records := answers()
	const a, txt = dnsmessage.TypeA, dnsmessage.TypeTXT
	for _, tt := range []struct {
		name  string
		query []byte
		want  string
	}{
		{"records", ask(t, "rose.garden.example.", a, nil), "0 authoritative, records 2 0 0"},
		{"other letters", ask(t, "ROSE.Garden.example.", a, nil), "0 authoritative, records 2 0 0"},
		{"an alias", ask(t, "www.garden.example.", a, nil), "0 authoritative, records 3 0 0"},
		{"the alias itself", ask(t, "www.garden.example.", dnsmessage.TypeCNAME, nil), "0 authoritative, records 1 0 0"},
		{"an alias of another zone", ask(t, "out.garden.example.", a, nil), "0 authoritative, records 1 0 0"},
		{"an alias of nothing", ask(t, "dead.garden.example.", a, nil), "3 authoritative, records 1 1 0"},
		{"a circle", ask(t, "a.circle.garden.example.", a, nil), "2, records 0 0 0"},
		{"no such name", ask(t, "weed.garden.example.", a, nil), "3 authoritative, records 0 1 0"},
		{"no such type", ask(t, "rose.garden.example.", txt, nil), "0 authoritative, records 0 1 0"},
		{"a name below which there are some", ask(t, "circle.garden.example.", a, nil), "0 authoritative, records 0 1 0"},
		{"a zone in the zone", ask(t, "bed.garden.example.", dnsmessage.TypeSOA, nil), "0 authoritative, records 1 0 0"},
		{"another zone", ask(t, "wild.example.", a, nil), "5, records 0 0 0"},
		{"a name with the same end", ask(t, "notgarden.example.", a, nil), "5, records 0 0 0"},
		{"another class", ask(t, "garden.example.", a, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }), "5, records 0 0 0"},
		{"the whole zone", ask(t, "garden.example.", dnsmessage.TypeAXFR, nil), "5, records 0 0 0"},
		{"any type", ask(t, "garden.example.", dnsmessage.TypeALL, nil), "4, records 0 0 0"},
		{"another operation", ask(t, "garden.example.", a, func(m *dnsmessage.Message) { m.OpCode = 5 }), "4, records 0 0 0"},
		{"no question", ask(t, "garden.example.", a, func(m *dnsmessage.Message) { m.Questions = nil }), "1, records 0 0 0"},
		{"two questions", ask(t, "garden.example.", a, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }), "1, records 0 0 0"},
		{"half a question", ask(t, "garden.example.", a, nil)[:20], "1, records 0 0 0"},
		{"an answer", ask(t, "garden.example.", a, func(m *dnsmessage.Message) { m.Response = true }), "nothing"},
		{"half a header", ask(t, "garden.example.", a, nil)[:11], "nothing"},
		{"nothing", nil, "nothing"},
		{"more than fits", ask(t, "long.garden.example.", txt, nil), "0 authoritative truncated, records 0 0 0"},
		{"EDNS", ask(t, "rose.garden.example.", a, edns(1232, 0)), "0 authoritative, records 2 0 1"},
		{"EDNS of a client that takes too little", ask(t, "rose.garden.example.", a, edns(1, 0)), "0 authoritative, records 2 0 1"},
		{"EDNS, another version", ask(t, "rose.garden.example.", a, edns(1232, 1)), "16, records 0 0 1"},
		{"EDNS twice", ask(t, "rose.garden.example.", a, func(m *dnsmessage.Message) { edns(512, 0)(m); edns(512, 0)(m) }), "1, records 0 0 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := records.Answer(tt.query, 512)
			const same = 0x79 // the operation, and whether recursion is desired
			if b != nil && b[2]&same != tt.query[2]&same {
				t.Errorf("the flags of the answer are %x, of the question %x", b[2], tt.query[2])
			}
			if got := describe(t, b); got != tt.want {
				t.Errorf("Answer = %s, want %s", got, tt.want)
			}
		})
	}
}

// A name is in the smallest zone that holds it, which tells that it does not exist.
func TestZoneInTheZone(t *testing.T) {
	var m dnsmessage.Message
	if err := m.Unpack(answers().Answer(ask(t, "weed.bed.garden.example.", dnsmessage.TypeA, nil), 512)); err != nil {
		t.Fatal(err)
	}
	if len(m.Authorities) != 1 || m.Authorities[0].Header.Name != name("bed.garden.example.") {
		t.Errorf("the zone in the zone is not that of its names: %v", m.Authorities)
	}
}

// A client gets what it takes, and not more than stays whole on its way.
func TestAnswerIsAsLongAsMayBe(t *testing.T) {
	var records dns.Records
	records = append(records, garden...)
	for range 4 { // of which one fits into 512 bytes, and all into 1,232
		records = append(records, dns.New("long.garden.example.", 1, &dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", 250)}}))
	}
	for _, tt := range []struct {
		name  string
		size  uint16
		limit int
		want  bool
	}{
		{"the client takes 512", 512, 512, false},
		{"the client takes less than everybody must", 1, 512, false},
		{"the client takes 1,232", 1232, 512, true},
		{"the client takes all", 65535, 512, true},
		{"over TCP that does not matter", 512, 65535, true},
	} {
		b := records.Answer(ask(t, "long.garden.example.", dnsmessage.TypeTXT, edns(tt.size, 0)), tt.limit)
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		if got := !m.Truncated && len(m.Answers) == 4; got != tt.want || len(b) > max(1232, tt.limit) {
			t.Errorf("%s: %d bytes, whole: %v, want %v", tt.name, len(b), got, tt.want)
		}
	}
	b := long().Answer(ask(t, "long.garden.example.", dnsmessage.TypeTXT, edns(65535, 0)), 512)
	if got := describe(t, b); got != "0 authoritative truncated, records 0 0 1" {
		t.Errorf("8,000 bytes over UDP: %s", got)
	}
}

// Names that are no names are the fault of the program.
func TestNewPanics(t *testing.T) {
	for _, f := range []func(){
		func() { dns.New("garden.example", 1, &dnsmessage.AResource{}) },
		func() { dns.New(strings.Repeat("x", 300)+".", 1, &dnsmessage.AResource{}) },
		func() { dns.New("garden.example.", 1, &dnsmessage.OPTResource{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("New did not panic")
				}
			}()
			f()
		}()
	}
}

// Whatever comes, the answer fits, has the number of the question, and is no question itself,
// which would be answered in turn.
func FuzzAnswer(f *testing.F) {
	f.Add(ask(f, "rose.garden.example.", dnsmessage.TypeA, nil))              // a question
	f.Add(ask(f, "www.garden.example.", dnsmessage.TypeAAAA, edns(4096, 0)))  // with options
	f.Add(ask(f, "garden.example.", dnsmessage.TypeALL, edns(1, 1)))          // two faults
	f.Add(bytes.Repeat([]byte{0}, 12))                                        // a header alone
	f.Add(append(ask(f, "a.example.", dnsmessage.TypeA, nil)[:12], 0xc0, 12)) // a name that points to itself
	records := long()
	f.Fuzz(func(t *testing.T, query []byte) {
		b := records.Answer(query, 512)
		if b == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil || !m.Response || !bytes.Equal(b[:2], query[:2]) || len(b) > 1232 {
			t.Errorf("Answer(%x) = %x, %v", query, b, err)
		}
		if again := records.Answer(b, 512); again != nil {
			t.Errorf("the answer to an answer is %x", again)
		}
	})
}
