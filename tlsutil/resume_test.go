package tlsutil_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// again returns the material with another epoch.
func again(m *tlsutil.Material, epoch string) *tlsutil.Material {
	return &tlsutil.Material{Certificate: m.Certificate, Roots: m.Roots, Epoch: epoch}
}

// flow are the pairs of configurations that resume sessions, with TLS 1.3 and with 1.2.
func flows(t testing.TB, server, client tlsutil.Source, so, co *tlsutil.Options) map[string][2]*tls.Config {
	t.Helper()
	plain := [2]*tls.Config{plainClient.config(t, client, co), plainServer.config(t, server, nil)}
	plain12 := [2]*tls.Config{plainClient.config(t, client, co), plainServer.config(t, server, nil)}
	plain12[0].MaxVersion = tls.VersionTLS12
	return map[string][2]*tls.Config{
		"mutual":  {mutualClient.config(t, client, co), mutualServer.config(t, server, so)},
		"plain":   plain,
		"TLS 1.2": plain12,
	}
}

// Sessions are resumed without that anybody asks for it, again and again.
func TestResumption(t *testing.T) {
	p := newParties(t)
	for _, kind := range kinds {
		for name, pair := range flows(t, kind.source(p.server), kind.source(p.client), nil, dialed) {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				meet(t, pair[0], pair[1]).wantOK(t, false)
				for range 3 { // by the ticket of the first, or one that was renewed
					o := meet(t, pair[0], pair[1])
					o.wantOK(t, true)
					if len(o.clientState.PeerCertificates) != 1 || (name == "mutual") != (len(o.serverState.PeerCertificates) == 1) {
						t.Error("the certificates are not known in the resumed session")
					}
				}
			})
		}
	}
}

// A renewed ticket is as good as the first, without which it would not be there.
func TestRenewedTickets(t *testing.T) {
	p := newParties(t)
	server := mutualServer.config(t, p.server, nil)
	client := mutualClient.config(t, p.client, dialed)
	cache := &oneTicket{}
	client.ClientSessionCache = cache
	meet(t, client, server).wantOK(t, false)
	var tickets []*tls.ClientSessionState
	for range 4 {
		tickets = append(tickets, cache.ticket)
		meet(t, client, server).wantOK(t, true)
		if cache.ticket == tickets[len(tickets)-1] {
			t.Fatal("the ticket was not renewed")
		}
	}
	for _, ticket := range tickets { // the old ones are good, too
		cache.ticket = ticket
		meet(t, client, server).wantOK(t, true)
	}
}

// oneTicket is a cache that gives the last ticket to everybody.
type oneTicket struct{ ticket *tls.ClientSessionState }

func (o *oneTicket) Get(string) (*tls.ClientSessionState, bool) { return o.ticket, o.ticket != nil }

func (o *oneTicket) Put(_ string, cs *tls.ClientSessionState) { o.ticket = cs }

// Each policy of a mutual server judges resumed sessions as it does others. Tickets are
// valid there: that they are the server's last word was the fault of VerifyPeerCertificate
// (D21).
func TestServerJudgesResumedSessions(t *testing.T) {
	var refuse atomic.Bool
	errHook, elsewhere := errors.New("by the hook"), netip.MustParseAddr("192.0.2.9")
	dns := &fakeDNS{names: []string{"client.example"}, addrs: map[string][]netip.Addr{}}
	dns.addrs["client.example"] = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	p, other := newParties(t), newParties(t)
	named := forge(t, &p.ca.Certificate, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"client.example"}, nil })

	tests := []struct {
		name    string
		cert    tls.Certificate
		options *tlsutil.Options
		change  func(src *changing)
		want    error
	}{
		{
			name: "hook", cert: p.client.Certificate, want: errHook,
			options: &tlsutil.Options{Verify: func(cs tls.ConnectionState) error {
				if len(cs.VerifiedChains) != 1 || len(cs.VerifiedChains[0]) != 2 {
					return errors.New("no chain")
				}
				if refuse.Load() {
					return errHook
				}
				return nil
			}},
			change: func(*changing) { refuse.Store(true) },
		},
		{
			name: "address", cert: named, want: tlsutil.ErrAddressMismatch,
			options: &tlsutil.Options{Address: true, Resolver: dns},
			change:  func(*changing) { dns.addrs["client.example"] = []netip.Addr{elsewhere} },
		},
		{
			// The epoch stays the same, as of a source that forgets to change it. crypto/tls
			// itself sees that the root has gone, and takes the ticket for void.
			name: "pool", cert: p.client.Certificate, want: tlsutil.ErrUnknownAuthority,
			options: &tlsutil.Options{},
			change: func(src *changing) {
				src.Store(&tlsutil.Material{Certificate: p.server.Certificate, Roots: other.ca.Pool()})
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := change(p.server)
			server := mutualServer.config(t, src, tt.options)
			client := mutualClient.config(t, &tlsutil.Material{Certificate: tt.cert, Roots: p.ca.Pool()}, dialed)
			meetFrom(t, "192.0.2.1", client, server).wantOK(t, false)
			meetFrom(t, "192.0.2.1", client, server).wantOK(t, true)
			tt.change(src)
			for range 2 {
				o := meetFrom(t, "192.0.2.1", client, server)
				local(tt.want).check(t, "server", o.server)
				if o.client == nil {
					t.Error("the client was not refused")
				}
			}
		})
	}
}

// A ticket of an earlier epoch leads to a full handshake, not to a failure, on either side.
func TestEpochOfTickets(t *testing.T) {
	p := newParties(t)
	for _, side := range []string{"server", "client"} {
		server, client := change(p.server), change(p.client)
		for name, pair := range flows(t, server, client, nil, dialed) {
			t.Run(side+"/"+name, func(t *testing.T) {
				for _, epoch := range []string{"1", "2", "3"} {
					if side == "server" {
						server.Store(again(p.server, epoch))
					} else {
						client.Store(again(p.client, epoch))
					}
					meet(t, pair[0], pair[1]).wantOK(t, false)
					meet(t, pair[0], pair[1]).wantOK(t, true)
				}
				// That of the epoch which is back is good again at the client, as nothing
				// has become wrong with it; the server's tickets have been replaced.
				if side == "server" {
					server.Store(again(p.server, "1"))
					meet(t, pair[0], pair[1]).wantOK(t, false)
				}
			})
		}
	}
}

// The same epoch with another material is the same for tickets, as the source says so.
func TestSameEpochResumes(t *testing.T) {
	p := newParties(t)
	server, client := change(p.server), change(p.client)
	for name, pair := range flows(t, server, client, nil, dialed) {
		meet(t, pair[0], pair[1]).wantOK(t, false)
		server.Store(again(p.server, ""))
		client.Store(again(p.client, ""))
		if !meet(t, pair[0], pair[1]).resumed() {
			t.Errorf("%s: no resumed session after an equal material", name)
		}
	}
}

// Tickets that were made for something else are of no use, and do no harm.
func TestTicketsFromElsewhere(t *testing.T) {
	p := newParties(t)
	named := issue(t, p.ca, tlsutil.Leaf{Hosts: []string{"server.example", "other.example"}})
	m := &tlsutil.Material{Certificate: named, Roots: p.ca.Pool()}
	addressed := &tlsutil.Material{Roots: p.ca.Pool()}
	addressed.Certificate = issue(t, p.ca, tlsutil.Leaf{Hosts: []string{"192.0.2.1", "192.0.2.2"}})
	one := mutualServer.config(t, m, nil)
	address := mutualServer.config(t, m, &tlsutil.Options{Address: true})
	plain := plainServer.config(t, m, nil)

	type place struct {
		server     *tls.Config
		name, from string
	}
	here := place{one, "server.example", "192.0.2.1"}
	tests := []struct {
		name     string
		from, to place
		resumed  bool
	}{
		{"here", here, here, true},
		{"another address, which does not count", here, place{one, "server.example", "192.0.2.2"}, true},
		{"another name", here, place{one, "other.example", "192.0.2.1"}, false},
		{"another server", here, place{mutualServer.config(t, m, nil), "server.example", "192.0.2.1"}, false},
		{"another server's configuration in place", place{oneOf(t, one), "server.example", "192.0.2.1"}, here, true},
		{"the same address", place{address, "server.example", "192.0.2.1"}, place{address, "server.example", "192.0.2.1"}, true},
		{"the same address, mapped", place{address, "server.example", "192.0.2.1"}, place{address, "server.example", "::ffff:192.0.2.1"}, true},
		{"another address", place{address, "server.example", "192.0.2.1"}, place{address, "server.example", "192.0.2.2"}, false},
		{"plain", place{plain, "server.example", "192.0.2.1"}, place{plain, "server.example", "192.0.2.1"}, true},
		{"plain, another name", place{plain, "server.example", "192.0.2.1"}, place{plain, "other.example", "192.0.2.1"}, false},
		{"mutual from plain", place{plain, "server.example", "192.0.2.1"}, here, false},
		{"plain from mutual", here, place{plain, "server.example", "192.0.2.1"}, false},
	}
	for _, tt := range tests {
		for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
			if version == tls.VersionTLS12 && !strings.HasPrefix(tt.name, "plain") || version == tls.VersionTLS12 && tt.name == "plain from mutual" {
				continue
			}
			t.Run(tt.name+"/"+tls.VersionName(version), func(t *testing.T) {
				client := mutualClient.config(t, addressed, nil)
				// So that the client offers whatever ticket it has.
				client.ClientSessionCache = new(oneTicket)
				client.MinVersion, client.MaxVersion = version, version
				client.ServerName = tt.from.name
				meetFrom(t, tt.from.from, client, tt.from.server).wantOK(t, false)
				client.ServerName = tt.to.name
				meetFrom(t, tt.to.from, client, tt.to.server).wantOK(t, tt.resumed)
			})
		}
	}
}

// oneOf returns what GetConfigForClient gives, as a configuration.
func oneOf(t testing.TB, config *tls.Config) *tls.Config {
	t.Helper()
	c, err := config.GetConfigForClient(new(tls.ClientHelloInfo))
	must(t, err)
	return c
}

// A client whose certificate is refused from now on, and that has another, is let in with
// that, also if its source tells no epochs: its session would show the old one.
func TestClientWithANewCertificate(t *testing.T) {
	p := newParties(t)
	revoked := new(atomic.Bool)
	server := mutualServer.config(t, p.server, &tlsutil.Options{Verify: func(cs tls.ConnectionState) error {
		if revoked.Load() && cs.PeerCertificates[0].Equal(p.client.Certificate.Leaf) {
			return errors.New("revoked")
		}
		return nil
	}})
	src := change(p.client)
	client := mutualClient.config(t, src, dialed)
	meet(t, client, server).wantOK(t, false)
	meet(t, client, server).wantOK(t, true)
	revoked.Store(true)
	src.Store(&tlsutil.Material{Certificate: issue(t, p.ca, tlsutil.Leaf{Hosts: []string{"new.example"}}), Roots: p.ca.Pool()})
	meet(t, client, server).wantOK(t, false)
	meet(t, client, server).wantOK(t, true)
}

// A client that has moved, with a certificate for where it is now, is let in.
func TestClientThatMoves(t *testing.T) {
	p := newParties(t)
	at := func(address string) *tlsutil.Material {
		return &tlsutil.Material{Certificate: forge(t, &p.ca.Certificate, func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.ParseIP(address)}
		}), Roots: p.ca.Pool()}
	}
	src := change(at("192.0.2.1"))
	client := mutualClient.config(t, src, dialed)
	server := mutualServer.config(t, p.server, &tlsutil.Options{Address: true})
	meetFrom(t, "192.0.2.1", client, server).wantOK(t, false)
	src.Store(at("192.0.2.2")) // with the same epoch
	meetFrom(t, "192.0.2.2", client, server).wantOK(t, false)
	meetFrom(t, "192.0.2.2", client, server).wantOK(t, true)
}

// A ticket that is damaged, or is none, leads to a full handshake.
func TestDamagedTicket(t *testing.T) {
	p := newParties(t)
	for name, pair := range flows(t, p.server, p.client, nil, dialed) {
		cache := new(oneTicket)
		pair[0].ClientSessionCache = cache
		meet(t, pair[0], pair[1]).wantOK(t, false)
		ticket, state, err := cache.ticket.ResumptionState()
		must(t, err)
		for _, bad := range [][]byte{{1}, ticket[:len(ticket)-1], append([]byte{ticket[0] ^ 1}, ticket[1:]...)} {
			cache.ticket, err = tls.NewResumptionState(bad, state)
			must(t, err)
			if o := meet(t, pair[0], pair[1]); o.client != nil || o.server != nil || o.resumed() {
				t.Errorf("%s: client: %v, server: %v, resumed: %t", name, o.client, o.server, o.resumed())
			}
		}
	}
}

// A client judges the sessions that it resumes; one that its judge refuses is forgotten,
// so that the next handshake is full.
func TestClientForgetsRefusedSessions(t *testing.T) {
	p, other := newParties(t), newParties(t)
	both := pool(p.ca.Certificate, other.ca.Certificate)
	for _, policy := range []string{"hook", "pool"} {
		for name := range flows(t, p.server, p.client, nil, dialed) {
			t.Run(policy+"/"+name, func(t *testing.T) {
				var old atomic.Pointer[x509.Certificate]
				errOld := errors.New("the old certificate")
				co := &tlsutil.Options{ServerName: "server.example", Verify: func(cs tls.ConnectionState) error {
					if cs.PeerCertificates[0].Equal(old.Load()) {
						return errOld
					}
					return nil
				}}
				want := errOld
				server := change(&tlsutil.Material{Certificate: p.server.Certificate, Roots: both})
				client := change(&tlsutil.Material{Certificate: p.client.Certificate, Roots: both})
				pair := flows(t, server, client, nil, co)[name]
				meet(t, pair[0], pair[1]).wantOK(t, false)
				meet(t, pair[0], pair[1]).wantOK(t, true)

				// The server gets a better certificate, and its tickets stay good.
				server.Store(&tlsutil.Material{Certificate: other.server.Certificate, Roots: both})
				switch policy {
				case "pool": // of a source that forgets to change the epoch
					client.Store(&tlsutil.Material{Certificate: p.client.Certificate, Roots: other.ca.Pool()})
					want = tlsutil.ErrUnknownAuthority
				case "hook":
					old.Store(p.server.Certificate.Leaf)
				}
				o := meet(t, pair[0], pair[1])
				o.want(t, local(want), remote(tlsutil.ErrRefused))
				meet(t, pair[0], pair[1]).wantOK(t, false)
				meet(t, pair[0], pair[1]).wantOK(t, true)
			})
		}
	}
}

// A client that refuses what a server shows in a full handshake keeps its sessions with
// others.
func TestClientKeepsSessionsWithOthers(t *testing.T) {
	p, other := newParties(t), newParties(t)
	client := mutualClient.config(t, change(p.client), nil)
	client.ServerName = "server.example"
	server := mutualServer.config(t, p.server, nil)
	meet(t, client, server).wantOK(t, false)
	bad := client.Clone()
	bad.ServerName = "127.0.0.1" // so that it has no ticket of that name
	meet(t, bad, mutualServer.config(t, other.server, nil)).want(t, local(tlsutil.ErrWrongHost), remote(tlsutil.ErrRefused))
	meet(t, client, server).wantOK(t, true)
}

// A client has sessions of a server for the name that it dials, not for another.
func TestClientSessionsHaveNames(t *testing.T) {
	p := newParties(t)
	named := &tlsutil.Material{Certificate: issue(t, p.ca, tlsutil.Leaf{Hosts: []string{"a.example", "b.example"}}), Roots: p.ca.Pool()}
	client := mutualClient.config(t, change(p.client), nil)
	server := mutualServer.config(t, named, nil)
	for _, name := range []string{"a.example", "b.example"} {
		client.ServerName = name
		meet(t, client, server).wantOK(t, false)
		meet(t, client, server).wantOK(t, true)
	}
}

// A static client is asked about resumed sessions, too, with the chains of now.
func TestStaticClientJudgesResumedSessions(t *testing.T) {
	p := newParties(t)
	var calls int
	refused := false
	co := &tlsutil.Options{ServerName: "server.example", Verify: func(cs tls.ConnectionState) error {
		calls++
		if refused || len(cs.VerifiedChains) != 1 {
			return errors.New("no more")
		}
		return nil
	}}
	client, server := mutualClient.config(t, p.client, co), mutualServer.config(t, p.server, nil)
	meet(t, client, server).wantOK(t, false)
	meet(t, client, server).wantOK(t, true)
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
	refused = true
	o := meet(t, client, server)
	remote(tlsutil.ErrRefused).check(t, "server", o.server)
	if o.client == nil {
		t.Error("the client did not refuse")
	}
}

// A ticket that is read after a change belongs to a session from before it: it is not kept
// for those after it, of which it would make a failure.
func TestTicketThatComesAfterTheChange(t *testing.T) {
	p, other := newParties(t), newParties(t)
	server := change(&tlsutil.Material{Certificate: p.server.Certificate, Roots: p.ca.Pool()})
	client := change(&tlsutil.Material{Certificate: p.client.Certificate, Roots: p.ca.Pool(), Epoch: "1"})
	clientTLS, serverTLS := mutualClient.config(t, client, dialed), mutualServer.config(t, server, nil)

	a, b := memnet.Pipe()
	early := tls.Client(soon(t, a, nil), clientTLS)
	served := make(chan error, 1)
	go func() {
		_, err := tls.Server(soon(t, b, nil), serverTLS).Write([]byte{7})
		served <- err
	}()
	must(t, early.Handshake())
	must(t, <-served)

	server.Store(&tlsutil.Material{Certificate: other.server.Certificate, Roots: p.ca.Pool()})
	client.Store(&tlsutil.Material{Certificate: p.client.Certificate, Roots: other.ca.Pool(), Epoch: "2"})
	_, err := early.Read(make([]byte, 1))
	must(t, err)
	meet(t, clientTLS, serverTLS).wantOK(t, false)
}

// What a ticket is bound to has boundaries: an epoch that ends as a name begins is another.
func TestTicketsHaveBoundaries(t *testing.T) {
	p := newParties(t)
	cert := issue(t, p.ca, tlsutil.Leaf{Hosts: []string{"a.example", "b.a.example"}})
	server := change(&tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()})
	for name, pair := range flows(t, server, p.client, nil, nil) {
		client := pair[0]
		client.ClientSessionCache = new(oneTicket)
		client.ServerName = "b.a.example"
		server.Store(&tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()})
		meet(t, client, pair[1]).wantOK(t, false)
		client.ServerName = "a.example"
		server.Store(&tlsutil.Material{Certificate: cert, Roots: p.ca.Pool(), Epoch: "b."})
		if o := meet(t, client, pair[1]); o.client != nil || o.resumed() {
			t.Errorf("%s: %v, resumed: %t", name, o.client, o.resumed())
		}
	}
}
