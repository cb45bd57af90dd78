package tlsutil_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/tlsutil"
)

// A test has an authority of its own, which the server's certificate comes from, and
// which is all that the client trusts.
func ExampleNewCA() {
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		log.Fatal(err)
	}
	cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1", "::1"}, Server: true})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello over ", r.Proto)
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	defer server.Close()

	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: ca.Pool()},
		ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	resp, err := client.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", b)
	// Output:
	// hello over HTTP/2.0
}

// An authority that is for one domain can do no harm to others, even if its key is
// stolen.
func ExampleNewCA_constrained() {
	ca, err := tlsutil.NewCA(tlsutil.Authority{
		Name:         "Example's own CA",
		PermittedDNS: []string{"internal.example.com"},
		PermittedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, host := range []string{"db.internal.example.com", "10.1.2.3", "bank.example"} {
		_, err := ca.Issue(tlsutil.Leaf{Hosts: []string{host}, Server: true})
		fmt.Println(host, err == nil)
	}
	// Output:
	// db.internal.example.com true
	// 10.1.2.3 true
	// bank.example false
}

// Hosts are put in one form. What no client would dial is refused.
func ExampleCA_Issue() {
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		log.Fatal(err)
	}
	cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"Example.com.", "*.example.com", "[::1]", "::ffff:192.0.2.1"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Leaf.DNSNames, cert.Leaf.IPAddresses)
	_, err = ca.Issue(tlsutil.Leaf{Hosts: []string{"example.com:443"}})
	fmt.Println(err)
	// Output:
	// [example.com *.example.com] [::1 192.0.2.1]
	// tlsutil: issuing a certificate: host "example.com:443": has a port, or is an IPv6 address that is not well-formed
}

// A certificate without an authority is for a peer that holds it among its roots.
func ExampleSelfSigned() {
	cert, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"localhost"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Leaf.Subject, cert.Leaf.DNSNames, "authority:", cert.Leaf.IsCA)
	// Output:
	// CN=localhost [localhost] authority: false
}

// An authority is kept in two files, and used again.
func ExampleWriteFiles() {
	dir, err := os.MkdirTemp("", "ca")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	made, err := tlsutil.NewCA(tlsutil.Authority{Name: "My CA"})
	if err != nil {
		log.Fatal(err)
	}
	if err := tlsutil.WriteFiles(made.Certificate, certFile, keyFile); err != nil {
		log.Fatal(err)
	}

	ca, err := tlsutil.LoadCA(certFile, keyFile)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"localhost"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Leaf.Subject, "issued by", cert.Leaf.Issuer)
	// Output:
	// CN=localhost issued by CN=My CA
}

// Those who know the certificates of the authorities need not know their keys.
func ExampleLoadPool() {
	dir, err := os.MkdirTemp("", "roots")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		log.Fatal(err)
	}
	rootsFile := filepath.Join(dir, "roots.pem")
	if err := tlsutil.WriteFiles(ca.Certificate, rootsFile, filepath.Join(dir, "key.pem")); err != nil {
		log.Fatal(err)
	}
	roots, err := tlsutil.LoadPool(rootsFile)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(roots.Equal(ca.Pool()))
	// Output:
	// true
}

// A pin is printed where a key is made, and stands in the configuration of those who
// expect that key.
func ExamplePinOf() {
	cert, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"localhost"}})
	if err != nil {
		log.Fatal(err)
	}
	text := tlsutil.PinOf(cert.Leaf).String()
	fmt.Println(text[:len("sha256:")], len(text))

	pin, err := tlsutil.ParsePin(text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pin == tlsutil.PinOf(cert.Leaf))
	// Output:
	// sha256: 51
	// true
}

// What curl takes with --pinnedpubkey is a pin too.
func ExampleParsePin() {
	pin, err := tlsutil.ParsePin("sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pin)
	_, err = tlsutil.ParsePin("sha256:AAECAwQF")
	fmt.Println(err)
	// Output:
	// sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
	// tlsutil: pin "sha256:AAECAwQF" is not "sha256:" and a hash in base 64
}
