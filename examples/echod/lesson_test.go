package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// These lessons take apart what the program does with TLS: the same server over
// connections in memory, in bubbles where time costs nothing.

// lessonServe serves echoes on two addresses, one of each family, for the rest of the
// bubble.
func lessonServe(t *testing.T, config *tls.Config) *memnet.Network {
	t.Helper()
	network := new(memnet.Network)
	server := &echo.Server{IdleTimeout: time.Second}
	for _, addr := range []string{"127.0.0.1:7", "[::1]:7"} {
		l, err := network.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(tls.NewListener(l, config)) }()
		t.Cleanup(func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; err != echo.ErrServerClosed {
				t.Errorf("Serve: %v, want %v", err, echo.ErrServerClosed)
			}
		})
	}
	return network
}

// lessonPing connects, and expects back what it says. The connection that it returns is
// open if there is no error.
func lessonPing(t *testing.T, network *memnet.Network, addr string, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	inner, err := network.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inner.Close() })
	conn := tls.Client(inner, config)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		return nil, tlsutil.Explain(err)
	}
	// A server of TLS 1.3 judges the client when that has done its part of the handshake:
	// it is refused by its first Read.
	if _, err := io.WriteString(conn, "hello"); err != nil {
		return nil, tlsutil.Explain(err)
	}
	b := make([]byte, len("hello"))
	if _, err := io.ReadFull(conn, b); err != nil {
		return nil, tlsutil.Explain(err)
	}
	if string(b) != "hello" {
		t.Errorf("the echo is %q", b)
	}
	return conn, nil
}

// lessonSelfSigned makes a certificate that is its own authority.
func lessonSelfSigned(t *testing.T, leaf tlsutil.Leaf) tls.Certificate {
	t.Helper()
	cert, err := tlsutil.SelfSigned(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A client that trusts one certificate, and not the hundred authorities of its system,
// refuses all other servers, whoever vouches for them. While a certificate is replaced it
// trusts two. It still has to dial a name that the certificate is for.
func TestLessonPinnedCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert := lessonSelfSigned(t, tlsutil.Leaf{Hosts: []string{"localhost"}, Server: true})
		next := lessonSelfSigned(t, tlsutil.Leaf{Hosts: []string{"localhost"}, Server: true})
		config, err := tlsutil.ServerConfig(&tlsutil.Material{Certificate: cert}, &tlsutil.Options{NextProtos: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		network := lessonServe(t, config)
		for _, tt := range []struct {
			name    string
			trusted []tls.Certificate
			host    string
			want    error
		}{
			{"the certificate", []tls.Certificate{cert}, "localhost", nil},
			{"two of them", []tls.Certificate{next, cert}, "localhost", nil},
			{"another one", []tls.Certificate{next}, "localhost", tlsutil.ErrUnknownAuthority},
			{"none", nil, "localhost", tlsutil.ErrUnknownAuthority},
			{"another name", []tls.Certificate{cert}, "elsewhere.example", tlsutil.ErrWrongHost},
		} {
			roots := x509.NewCertPool()
			for _, c := range tt.trusted {
				roots.AddCert(c.Leaf)
			}
			conn, err := lessonPing(t, network, "127.0.0.1:7", &tls.Config{RootCAs: roots, ServerName: tt.host})
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
			if conn != nil {
				lessonIdle(t, conn)
			}
		}
	})
}

// lessonIdle lets a connection be silent until the server ends it, exactly after the
// limit, and by the word that tells an end from a break.
func lessonIdle(t *testing.T, conn net.Conn) {
	t.Helper()
	begin := time.Now()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v, want %v", n, err, io.EOF)
	}
	if after := time.Since(begin); after != time.Second {
		t.Errorf("an idle connection ended after %v, want 1s", after)
	}
}

// A server that requires certificates of its clients, and ties them to the addresses
// that they are for, tells each client why it may not come in.
func TestLessonMutualTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := tlsutil.NewCA(tlsutil.Authority{Name: "the service"})
		if err != nil {
			t.Fatal(err)
		}
		issue := func(leaf tlsutil.Leaf) tls.Certificate {
			cert, err := ca.Issue(leaf)
			if err != nil {
				t.Fatal(err)
			}
			return cert
		}
		here := []string{"127.0.0.1", "::1"}
		brief := issue(tlsutil.Leaf{Hosts: here, Client: true, Lifetime: time.Hour})
		server := &tlsutil.Material{Certificate: issue(tlsutil.Leaf{Hosts: here, Server: true}), Roots: ca.Pool()}
		config, err := tlsutil.MutualServer(server, &tlsutil.Options{Address: true, NextProtos: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		network := lessonServe(t, config)
		time.Sleep(2 * time.Hour)
		for _, tt := range []struct {
			name string
			cert tls.Certificate
			want error
		}{
			{"good", issue(tlsutil.Leaf{Hosts: here, Client: true}), nil},
			{"none", tls.Certificate{}, tlsutil.ErrNoClientCert},
			{"of nobody's", lessonSelfSigned(t, tlsutil.Leaf{Hosts: here, Client: true}), tlsutil.ErrUnknownAuthority},
			{"for servers", issue(tlsutil.Leaf{Hosts: here, Server: true}), tlsutil.ErrRefused},
			{"expired", brief, tlsutil.ErrExpired},
			{"for another address", issue(tlsutil.Leaf{Hosts: []string{"192.0.2.7"}, Client: true}), tlsutil.ErrRefused},
		} {
			for _, addr := range []string{"127.0.0.1:7", "[::1]:7"} {
				host, _, err := net.SplitHostPort(addr)
				if err != nil {
					t.Fatal(err)
				}
				conn, err := lessonPing(t, network, addr, &tls.Config{
					RootCAs:    ca.Pool(),
					ServerName: host,
					MinVersion: tls.VersionTLS13,
					// Of Certificates a client shows none that it knows the server does not want.
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tt.cert, nil },
				})
				if !errors.Is(err, tt.want) {
					t.Errorf("%s, %s: %v, want %v", tt.name, addr, err, tt.want)
				}
				if conn == nil {
					continue
				}
				if told := tlsutil.Describe(conn.ConnectionState()); !strings.HasPrefix(told, "TLS 1.3, ") {
					t.Errorf("%s: %s", tt.name, told)
				}
				lessonIdle(t, conn)
			}
		}
	})
}
