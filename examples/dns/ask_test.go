package dns_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netparts/netparts/examples/dns"
)

// The errors say the same as those of package net.
func TestAskFails(t *testing.T) {
	code := func(c dnsmessage.RCode) dns.Answerer {
		return reply(func(m *dnsmessage.Message) { m.RCode = c })
	}
	for _, tt := range []struct {
		name   string
		answer dns.Answerer
		domain string
		want   net.DNSError
	}{
		{"no such name", garden.Answer, "weed.garden.example.", net.DNSError{IsNotFound: true}},
		{"no such record", garden.Answer, "rose.garden.example.", net.DNSError{IsNotFound: true}},
		{"failure", broken, "garden.example.", net.DNSError{IsTemporary: true}},
		{"refused", code(dnsmessage.RCodeRefused), "garden.example.", net.DNSError{}},
		{"a name without a dot", garden.Answer, "garden.example", net.DNSError{}},
		{"no name", garden.Answer, "", net.DNSError{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, end := start(tt.answer)
			defer end()
			_, err := dns.SOA(t.Context(), server, tt.domain)
			got, ok := errors.AsType[*net.DNSError](err)
			if !ok || got.IsNotFound != tt.want.IsNotFound || got.IsTemporary != tt.want.IsTemporary || got.IsTimeout {
				t.Errorf("SOA: %+v, want one like %+v", err, tt.want)
			}
			if ok && (got.Name != tt.domain || got.Server != server) {
				t.Errorf("SOA: %+v, want name %q and server %s", got, tt.domain, server)
			}
		})
	}
}

// The end of the context is the end of the wait.
func TestAskOfSilence(t *testing.T) {
	server, end := start(silent)
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := dns.SOA(ctx, server, "garden.example.")
	if got, ok := errors.AsType[*net.DNSError](err); !ok || !got.IsTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("SOA: %#v, want a time-out", err)
	}
	enough := errors.New("enough")
	ctx, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(enough)
	if _, err := dns.SOA(ctx, server, "garden.example."); !errors.Is(err, enough) {
		t.Errorf("SOA: %v, want %v", err, enough)
	}
}

// A packet that is no answer to the question is passed over, and the answer behind it is
// taken. What comes over UDP may be late, of another question, or forged.
func TestAskPassesOver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*dnsmessage.Message)
	}{
		{"another number", func(m *dnsmessage.Message) { m.ID++ }},
		{"a question", func(m *dnsmessage.Message) { m.Response = false }},
		{"another name", func(m *dnsmessage.Message) { m.Questions[0].Name = name("weed.example.") }},
		{"another type", func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeTXT }},
		{"another class", func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }},
		{"no question", func(m *dnsmessage.Message) { m.Questions = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			wrong := reply(func(m *dnsmessage.Message) {
				m.Answers = nil
				tt.change(m)
			})
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				b := make([]byte, 512)
				n, from, err := conn.ReadFrom(b)
				if err != nil {
					return // the test has ended
				}
				for _, answer := range [][]byte{{}, {1}, wrong(b[:n], 512), garden.Answer(b[:n], 512)} {
					if _, err := conn.WriteTo(answer, from); err != nil {
						t.Error(err)
					}
				}
			}()
			soa, err := dns.SOA(t.Context(), conn.LocalAddr().String(), "garden.example.")
			if err != nil || soa.Serial != 2026112201 {
				t.Errorf("SOA = %v, %v", soa, err)
			}
			conn.Close()
			<-ended
		})
	}
}

// A question that nobody answered is asked again, with another number. That may be the same by
// chance, but not for each of the names.
func TestAskAgain(t *testing.T) {
	var mu sync.Mutex
	numbers := make(map[string][]uint16)
	server, end := start(func(query []byte, limit int) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil {
			t.Error(err)
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		asked := m.Questions[0].Name.String()
		numbers[asked] = append(numbers[asked], m.ID)
		if len(numbers[asked]) == 1 {
			return nil
		}
		return garden.Answer(query, limit)
	})
	names := []string{"garden.example.", "Garden.example.", "gArden.example.", "gaRden.example."}
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			if soa, err := dns.SOA(t.Context(), server, name); err != nil || soa.Serial == 0 {
				t.Errorf("SOA(%s) = %v, %v", name, soa, err)
			}
		})
	}
	wg.Wait()
	end()
	same := 0
	for _, n := range numbers {
		if len(n) < 2 {
			t.Errorf("asked %d times, want 2", len(n))
		} else if n[0] == n[1] {
			same++
		}
	}
	if same == len(names) {
		t.Errorf("the numbers are %v", numbers)
	}
}

// Whoever parses what a network says parses everything. What Parse takes answers the question.
func FuzzParse(f *testing.F) {
	question := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7},
		Questions: []dnsmessage.Question{{Name: name("garden.example."), Type: dnsmessage.TypeSOA, Class: dnsmessage.ClassINET}},
	}
	packed, err := question.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(garden.Answer(packed, 512)) // the answer
	f.Add(packed)                     // the question itself
	f.Add(broken(packed, 512))        // a failure
	f.Add([]byte{0, 7})               // the number alone
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dns.Parse(b, packed)
		if err != nil {
			return
		}
		if !m.Response || m.ID != 7 || len(m.Questions) != 1 || m.Questions[0].Type != dnsmessage.TypeSOA {
			t.Errorf("Parse(%x) = %v", b, m)
		}
	})
}
