//go:build linux

package tlsutilbench

import (
	"crypto/tls"
	"fmt"
	"net"

	"github.com/netparts/netparts/internal/bench/lab"
)

// An order is what a child is told to do.
type order struct {
	Do     string
	Kind   string // of server
	Mutual bool   // both ends show certificates
	Files  folder
	Addr   string // of the server
	Count  int    // of handshakes
	Resume bool   // with tickets
}

// What children do.
const (
	doServe   = "serve"   // at an address that is the answer
	doShake   = "shake"   // hands, again and again
	doHold    = "hold"    // connections that are then idle
	doIntrude = "intrude" // without a certificate, which must fail
)

// An answer is what a child says.
type answer struct {
	Addr string
	Done lab.Done
}

func obeyOrders() error {
	c := client{caches: make(map[string][]tls.ClientSessionCache)}
	return lab.Obey(func(o *order, a *answer) (err error) {
		switch o.Do {
		case doServe:
			a.Addr, err = serve(o)
		case doShake:
			a.Done, err = c.shake(o)
		case doHold:
			a.Done, err = c.hold(o)
		case doIntrude:
			err = c.intrude(o)
		default:
			err = fmt.Errorf("unknown order %q", o.Do)
		}
		return err
	})
}

// serve serves until the process ends.
func serve(o *order) (string, error) {
	config, err := o.Files.serverConfig(o.Kind, o.Mutual)
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // clients will notice
			}
			go echo(tls.Server(conn, config), o.Mutual)
		}
	}()
	return l.Addr().String(), nil
}

// echo sends back what comes, to a client that the server knows if both ends show
// certificates.
func echo(conn *tls.Conn, mutual bool) {
	defer conn.Close() // the client has gone, or is refused
	buffer := make([]byte, 64)
	for {
		n, err := conn.Read(buffer)
		if err != nil || mutual && !isClient(conn.ConnectionState().PeerCertificates) {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}
