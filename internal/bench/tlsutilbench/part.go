//go:build linux

// Package tlsutilbench measures package tlsutil.
package tlsutilbench

import (
	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlsutil"
)

// The sides besides ours.
const (
	sideStatic  = "ours, static"
	sideJudging = "ours, address and pin"
	sideFull    = "ours, full handshake"
	sidePlain   = "crypto/tls"
	sideReading = "files read each time"
	sideStat    = "stat of the files"
	sideBare    = "x509.CreateCertificate"
)

// Part is what is measured.
func Part() lab.Part {
	return lab.Part{
		Name: "tlsutil",
		Job:  "TLS with certificates on both sides, live files, and certificates made",
		Peers: []lab.Peer{
			{Name: lab.Ours, What: "the configurations of tlsutil over files that are watched, read 50 times as often as by default"},
			{Name: sideStatic, What: "the same over certificates in memory, which never change"},
			{
				Name: sideJudging,
				What: "ours, which also compares the client's address with its certificate and looks for a " +
					"pinned key in its chain",
			},
			{Name: sideFull, What: "a handshake of ours without a ticket"},
			{
				Name: sidePlain,
				What: "a plain tls.Config with the same certificates, which never change; of a resumed session it asks " +
					"whether it is within its time and its root is trusted, and no function that judged it before",
			},
			{
				Name: sideReading,
				What: "a plain tls.Config whose GetCertificate reads the certificate and its key each time (but " +
					"no roots), which is a common way to have new ones taken into use",
			},
			{Name: sideStat, What: "asking for the state of the three files, to see whether they have changed"},
			{Name: sideBare, What: "two keys and two certificates with the same fields from crypto/x509, which are not parsed"},
		},
		Cases: []lab.Case{
			full(), resumed(), serverOnly(), current(), issue(tlsutil.P256), issue(tlsutil.Ed25519), idle(),
		},
		Growths: []lab.Growth{growth()},
		Tested: []string{
			"A handshake with live files makes no system call for them (`TestHandshakesReadNothing`).",
		},
		Conclusion: conclusion,
		Child:      obeyOrders,
	}
}

const conclusion = `- A full handshake costs what crypto/tls makes of it: key exchange, signatures and the verification of a chain. That tlsutil judges
  the peer, or watches the files, does not show beside that; an address and a pin besides cost a few per cent at most.
- Whoever replaces certificates at run time should not read them in ` + "`GetCertificate`" + `: that costs a tenth to a quarter of a handshake
  each time, and meets files that are half written. A few lines of one's own that keep what was read cost as little as ours.
- Resumption saves a quarter to a third of the server's CPU time, and as much with crypto/tls as with ours. Both ask again whether the chain is within its
  time and its root is trusted; ours asks again for pins and addresses too, where with crypto/tls whatever is checked
  in ` + "`VerifyPeerCertificate`" + ` holds until the ticket has expired.
- A plain ` + "`tls.Config`" + ` is as good for a server whose certificates and roots never change, and that judges by nothing but them.
- An authority and a certificate for a test are made in a fraction of a millisecond. Bare crypto/x509 takes about a tenth less, for
  certificates that are not parsed. Ed25519 saves some of it where all peers take it.
- An idle connection takes the memory that it takes with crypto/tls, several times that of one without TLS, and a handshake costs the same beside
  ten thousand open ones as beside one.
`
