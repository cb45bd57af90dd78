package tlsutil_test

import (
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/tlsutil"
)

// A server that runs for longer than its certificate is valid reads the files again.
// It does so by itself every few seconds, and at once upon Reload, which a program
// may call upon SIGHUP.
func ExampleWatchFiles() {
	dir, err := os.MkdirTemp("", "tlsutil")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		log.Fatal(err)
	}
	f := tlsutil.Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	renew := func(name string) {
		cert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Name: name})
		if err != nil {
			log.Fatal(err)
		}
		if err := tlsutil.WriteFiles(cert, f.Cert, f.Key); err != nil {
			log.Fatal(err)
		}
	}
	renew("of today")
	files, err := tlsutil.WatchFiles(f)
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()
	config, err := tlsutil.ServerConfig(files, nil)
	if err != nil {
		log.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go shakeHands(l)

	trust, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: ca.Pool()}, nil)
	if err != nil {
		log.Fatal(err)
	}
	connect := func() {
		conn, err := tls.Dial("tcp", l.Addr().String(), trust)
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		fmt.Println(conn.ConnectionState().PeerCertificates[0].Subject.CommonName)
	}
	connect()
	renew("of tomorrow")
	if err := files.Reload(); err != nil {
		log.Fatal(err)
	}
	connect()
	// Output:
	// of today
	// of tomorrow
}

// shakeHands serves connections that have nothing to say.
func shakeHands(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		if err := conn.(*tls.Conn).Handshake(); err != nil {
			log.Print(err)
		}
		conn.Close()
	}
}

// A program that keeps running when its new files are of no use should say so: by a log,
// or by a count of its own that is alerted on.
func ExampleFiles() {
	dir, err := os.MkdirTemp("", "tlsutil")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cert, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"localhost"}})
	if err != nil {
		log.Fatal(err)
	}
	f := tlsutil.Files{
		Cert: filepath.Join(dir, "cert.pem"),
		Key:  filepath.Join(dir, "key.pem"),
		OnReload: func(err error) {
			fmt.Println("all is well:", err == nil)
		},
	}
	if err := tlsutil.WriteFiles(cert, f.Cert, f.Key); err != nil {
		log.Fatal(err)
	}
	files, err := tlsutil.WatchFiles(f)
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()

	if err := os.WriteFile(f.Key, []byte("to be done"), 0o600); err != nil {
		log.Fatal(err)
	}
	if err := files.Reload(); err != nil {
		fmt.Println("the earlier key stays:", files.Current().Certificate.PrivateKey != nil)
	}
	if err := tlsutil.WriteFiles(cert, f.Cert, f.Key); err != nil {
		log.Fatal(err)
	}
	if err := files.Reload(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// all is well: false
	// the earlier key stays: true
	// all is well: true
}
