//go:build linux

package tlsutilbench

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlsutil"
)

const clientName = "client"

// A folder has the certificates of a server and of a client, of one authority, with keys of
// P-256.
type folder string

func (f folder) file(name string) string { return filepath.Join(string(f), name+".pem") }

func (f folder) cert(of string) string { return f.file(of) }
func (f folder) key(of string) string  { return f.file(of + "-key") }
func (f folder) roots() string         { return f.file("ca") }

// newFolder makes certificates.
func newFolder(t *lab.T) folder {
	f := folder(t.TempDir())
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	t.Fatal(err)
	server, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"localhost"}, Server: true})
	t.Fatal(err)
	client, err := ca.Issue(tlsutil.Leaf{Name: clientName, Hosts: []string{"127.0.0.1"}, Client: true})
	t.Fatal(err)
	t.Fatal(
		tlsutil.WriteFiles(ca.Certificate, f.roots(), f.key("ca")),
		tlsutil.WriteFiles(server, f.cert("server"), f.key("server")),
		tlsutil.WriteFiles(client, f.cert("client"), f.key("client")))
	return f
}

// often is how often servers read their files, which is 50 times as often as by default.
const often = 100 * time.Millisecond

// watch has the files of the server watched.
func (f folder) watch(interval time.Duration) (*tlsutil.WatchedFiles, error) {
	return tlsutil.WatchFiles(tlsutil.Files{
		Cert: f.cert("server"), Key: f.key("server"), Roots: f.roots(),
		Interval: interval,
	})
}

// material is what is in the files of the server or the client.
func (f folder) material(of string) (*tlsutil.Material, error) {
	cert, err := tls.LoadX509KeyPair(f.cert(of), f.key(of))
	if err != nil {
		return nil, err
	}
	roots, err := tlsutil.LoadPool(f.roots())
	return &tlsutil.Material{Certificate: cert, Roots: roots}, err
}

// pin is that of the authority.
func (f folder) pin() (tlsutil.Pin, error) {
	ca, err := tlsutil.LoadCA(f.roots(), f.key("ca"))
	if err != nil {
		return tlsutil.Pin{}, err
	}
	return tlsutil.PinOf(ca.Certificate.Leaf), nil
}

// serverConfig is the configuration of a kind of server. What watches files does so until the
// process ends.
func (f folder) serverConfig(kind string, mutual bool) (*tls.Config, error) {
	held, err := f.material("server")
	if err != nil {
		return nil, err
	}
	switch kind {
	case sidePlain, sideReading:
		return f.plain(kind, held, mutual), nil
	case sideStatic:
		return tlsutil.MutualServer(held, nil)
	}
	files, err := f.watch(often)
	if err != nil {
		return nil, err
	}
	switch {
	case !mutual:
		return tlsutil.ServerConfig(files, nil)
	case kind == sideJudging:
		pin, err := f.pin()
		if err != nil {
			return nil, err
		}
		return tlsutil.MutualServer(files, &tlsutil.Options{Address: true, Pins: []tlsutil.Pin{pin}})
	}
	return tlsutil.MutualServer(files, nil)
}

// plain is what crypto/tls has.
func (f folder) plain(kind string, held *tlsutil.Material, mutual bool) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{held.Certificate}}
	if kind == sideReading {
		config.Certificates = nil
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(f.cert("server"), f.key("server"))
			return &cert, err
		}
	}
	if mutual {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, held.Roots
	}
	return config
}

// clientConfig is the same for all servers. If it does not show a certificate, a mutual
// server has to refuse it.
func (f folder) clientConfig(shows bool) (*tls.Config, error) {
	held, err := f.material("client")
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: held.Roots, ServerName: "localhost"}
	if shows {
		config.Certificates = []tls.Certificate{held.Certificate}
	}
	return config, nil
}

// isClient reports whether the certificates are those of the client.
func isClient(certs []*x509.Certificate) bool {
	return len(certs) > 0 && certs[0].Subject.CommonName == clientName
}
