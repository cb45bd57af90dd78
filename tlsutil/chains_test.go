package tlsutil_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// The chains that were verified when a ticket was made do not count: here a pin is on one
// whose root has gone, while another root still makes the ticket good for crypto/tls.
func TestChainsOfResumedSessionsAreThoseOfNow(t *testing.T) {
	root, second := forge(t, nil, asCA("root")), forge(t, nil, asCA("second root"))
	// The authority between is signed by two roots.
	between := forge(t, &root, asCA("between"))
	crossed := cross(t, between, second, time.Hour)
	cert := forge(t, &between, nil)
	cert.Certificate = [][]byte{cert.Certificate[0], between.Certificate[0], crossed.Certificate[0]}
	pinned := tlsutil.PinOf(second.Leaf)

	for _, kind := range []string{"server", "client"} {
		m := &tlsutil.Material{Certificate: cert, Roots: pool(root, second)}
		src := change(m)
		var client, server *tls.Config
		if kind == "server" {
			server = mutualServer.config(t, src, &tlsutil.Options{Pins: []tlsutil.Pin{pinned}})
			client = mutualClient.config(t, m, dialed)
		} else {
			server = mutualServer.config(t, m, nil)
			client = mutualClient.config(t, src, &tlsutil.Options{Pins: []tlsutil.Pin{pinned}, ServerName: "server.example"})
		}
		meet(t, client, server).wantOK(t, false)
		meet(t, client, server).wantOK(t, true)
		src.Store(&tlsutil.Material{Certificate: cert, Roots: pool(root)})
		o := meet(t, client, server)
		if kind == "server" {
			o.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrPinMismatch))
		} else {
			o.want(t, local(tlsutil.ErrPinMismatch), remote(tlsutil.ErrRefused))
		}
	}
}

// cross returns the authority's certificate as signed by another root.
func cross(t testing.TB, ca, root tls.Certificate, lifetime time.Duration) tls.Certificate {
	t.Helper()
	template := *ca.Leaf
	template.NotAfter = time.Now().Add(lifetime)
	template.Issuer = root.Leaf.Subject
	template.AuthorityKeyId = nil
	der, err := x509.CreateCertificate(rand.Reader, &template, root.Leaf, ca.Leaf.PublicKey, root.PrivateKey)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: ca.PrivateKey, Leaf: leaf}
}

// An authority between that expires ends the sessions of those below it, on both sides.
func TestChainThatExpires(t *testing.T) {
	for _, kind := range kinds {
		synctest.Test(t, func(t *testing.T) {
			until := func(hours time.Duration) func(*x509.Certificate) {
				return func(c *x509.Certificate) { c.NotAfter = time.Now().Add(hours * time.Hour) }
			}
			root := forge(t, nil, func(c *x509.Certificate) { asCA("root")(c); until(100)(c) })
			between := forge(t, &root, func(c *x509.Certificate) { asCA("between")(c); until(5)(c) })
			short := kind.source(&tlsutil.Material{Certificate: forge(t, &between, until(100)), Roots: pool(root)})
			good := kind.source(&tlsutil.Material{Certificate: forge(t, &root, until(100)), Roots: pool(root)})
			pairs := [][2]*tls.Config{
				{mutualClient.config(t, short, dialed), mutualServer.config(t, good, nil)},
				{mutualClient.config(t, good, dialed), mutualServer.config(t, short, nil)},
				{plainClient.config(t, good, dialed), plainServer.config(t, short, nil)},
			}
			for _, pair := range pairs {
				meet(t, pair[0], pair[1]).wantOK(t, false)
				meet(t, pair[0], pair[1]).wantOK(t, true)
			}
			time.Sleep(6 * time.Hour)
			for i, pair := range pairs {
				for range 2 {
					o := meet(t, pair[0], pair[1])
					if o.client == nil || o.server == nil || i == 0 && !errors.Is(o.server, tlsutil.ErrExpired) || i > 0 && !errors.Is(o.client, tlsutil.ErrExpired) {
						t.Errorf("%s, %d: client: %v, server: %v", kind.name, i, o.client, o.server)
					}
				}
			}
		})
	}
}

// A server has renewed the authority between, and the sessions of a client, whose source does
// not tell crypto/tls what it trusts, have the expired one: one of them fails, and the
// handshake after it is full.
func TestClientForgetsARefusedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := func(hours time.Duration, change func(*x509.Certificate)) func(*x509.Certificate) {
			return func(c *x509.Certificate) {
				change(c)
				c.NotAfter = time.Now().Add(hours * time.Hour)
			}
		}
		root := forge(t, nil, until(100, asCA("root")))
		between := forge(t, &root, until(5, asCA("between")))
		cert := forge(t, &between, until(100, func(*x509.Certificate) {}))
		renewed := cert
		renewed.Certificate = [][]byte{cert.Certificate[0], cross(t, between, root, 100*time.Hour).Certificate[0]}
		src := change(&tlsutil.Material{Certificate: cert})
		server := plainServer.config(t, src, nil)
		client := plainClient.config(t, change(&tlsutil.Material{Roots: pool(root)}), dialed)
		meet(t, client, server).wantOK(t, false)
		meet(t, client, server).wantOK(t, true)
		time.Sleep(6 * time.Hour)
		src.Store(&tlsutil.Material{Certificate: renewed})
		meet(t, client, server).want(t, local(tlsutil.ErrExpired), remote(tlsutil.ErrRefused))
		meet(t, client, server).wantOK(t, false)
		meet(t, client, server).wantOK(t, true)
	})
}

// A chain of an earlier handshake stands only if it ends in a root of now. One whose end is
// now below a root is verified anew, as that root may limit what is below it.
func TestEarlierRootIsNowBelowAnother(t *testing.T) {
	limits := map[string]func(*x509.Certificate){
		"none":   func(*x509.Certificate) {},
		"name":   func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"other.example"} },
		"length": func(c *x509.Certificate) { c.MaxPathLenZero = true },
		"usage":  func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} },
	}
	for name, limit := range limits {
		t.Run(name, func(t *testing.T) {
			p := newParties(t)
			root := forge(t, nil, func(c *x509.Certificate) { asCA("root")(c); limit(c) })
			between := forge(t, &root, asCA("between"))
			client := &tlsutil.Material{Certificate: forge(t, &between, nil), Roots: p.ca.Pool()}
			src := change(&tlsutil.Material{Certificate: p.server.Certificate, Roots: pool(between)})
			var chain int
			server := mutualServer.config(t, src, &tlsutil.Options{Verify: func(cs tls.ConnectionState) error {
				chain = len(cs.VerifiedChains[0])
				return nil
			}})
			clientTLS := mutualClient.config(t, client, dialed)
			meet(t, clientTLS, server).wantOK(t, false)
			meet(t, clientTLS, server).wantOK(t, true)
			src.Store(&tlsutil.Material{Certificate: p.server.Certificate, Roots: pool(root)})
			o := meet(t, clientTLS, server)
			if ok := name == "none"; (o.server == nil) != ok || (o.client == nil) != ok {
				t.Errorf("client: %v, server: %v, want ok = %t", o.client, o.server, ok)
			} else if ok && chain != 3 {
				t.Errorf("the chain has %d certificates, want 3", chain)
			}
		})
	}
}

// Of two chains one expires in the middle: what is pinned on it no longer counts, though the session is
// still good by the other.
func TestExpiredChainDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := func(hours time.Duration, change func(*x509.Certificate)) func(*x509.Certificate) {
			return func(c *x509.Certificate) {
				change(c)
				c.NotAfter = time.Now().Add(hours * time.Hour)
			}
		}
		root, second := forge(t, nil, until(100, asCA("root"))), forge(t, nil, until(100, asCA("second root")))
		between := forge(t, &root, until(100, asCA("between")))
		cert := forge(t, &between, until(100, func(*x509.Certificate) {}))
		cert.Certificate = append(cert.Certificate, cross(t, between, second, 5*time.Hour).Certificate[0])
		m := &tlsutil.Material{Certificate: cert, Roots: pool(root, second)}
		pins := []tlsutil.Pin{tlsutil.PinOf(second.Leaf)}

		client := mutualClient.config(t, m, dialed)
		server := mutualServer.config(t, m, &tlsutil.Options{Pins: pins})
		pinning := mutualClient.config(t, m, &tlsutil.Options{Pins: pins, ServerName: "server.example"})
		open := mutualServer.config(t, m, nil)
		for _, resumed := range []bool{false, true} {
			meet(t, client, server).wantOK(t, resumed)
			meet(t, pinning, open).wantOK(t, resumed)
		}
		time.Sleep(6 * time.Hour)
		meet(t, client, server).want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrPinMismatch))
		meet(t, pinning, open).want(t, local(tlsutil.ErrPinMismatch), remote(tlsutil.ErrRefused))
	})
}

// The signatures of a chain are verified in full handshakes, of which the constraint of a
// root tells; in resumed sessions the chain stands, whatever its root is for.
func TestResumedChainsAreNotVerifiedAnew(t *testing.T) {
	p := newParties(t)
	root := forge(t, nil, func(c *x509.Certificate) {
		asCA("root")(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	calls := 0
	roots := x509.NewCertPool()
	roots.AddCertWithConstraint(root.Leaf, func([]*x509.Certificate) error {
		calls++
		return nil
	})
	server := mutualServer.config(t, &tlsutil.Material{Certificate: p.server.Certificate, Roots: roots}, nil)
	client := mutualClient.config(t, &tlsutil.Material{Certificate: forge(t, &root, nil), Roots: p.ca.Pool()}, dialed)
	meet(t, client, server).wantOK(t, false)
	full := calls
	meet(t, client, server).wantOK(t, true)
	if full == 0 || calls != full {
		t.Errorf("%d chains verified in the full handshake, %d in the resumed one", full, calls-full)
	}
}
