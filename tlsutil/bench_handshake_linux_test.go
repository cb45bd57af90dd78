package tlsutil_test

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/netparts/netparts/tlsutil"
)

// What a mutual handshake with P-256 costs the server, by the CPU time of its thread:
// a full one, one with a ticket (whose chain is verified again), and one of a plain
// *tls.Config with the same certificates. They take turns, so that whatever else the
// machine does meets all of them.
func BenchmarkMutualHandshake(b *testing.B) {
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		b.Fatal(err)
	}
	material := func(leaf tlsutil.Leaf) *tlsutil.Material {
		cert, err := ca.Issue(leaf)
		if err != nil {
			b.Fatal(err)
		}
		return &tlsutil.Material{Certificate: cert, Roots: ca.Pool()}
	}
	serverSide := material(tlsutil.Leaf{Hosts: []string{"localhost"}, Server: true})
	clientSide := material(tlsutil.Leaf{Name: "client", Client: true})
	server, err := tlsutil.MutualServer(serverSide, nil)
	if err != nil {
		b.Fatal(err)
	}
	resuming, err := tlsutil.MutualClient(clientSide, &tlsutil.Options{ServerName: "localhost"})
	if err != nil {
		b.Fatal(err)
	}
	full := resuming.Clone()
	full.ClientSessionCache = nil
	plain := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{serverSide.Certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    ca.Pool(),
	}

	s := startMeasured(b)
	s.handshake(b, server, resuming) // gets the first ticket
	var fullTime, resumedTime, plainTime time.Duration
	b.ReportAllocs()
	for b.Loop() {
		fullTime += s.handshake(b, server, full)
		resumedTime += s.handshake(b, server, resuming)
		plainTime += s.handshake(b, plain, full)
	}
	if s.resumed != b.N {
		b.Errorf("%d handshakes of %d were resumed", s.resumed, b.N)
	}
	n := float64(b.N) * float64(time.Microsecond)
	b.ReportMetric(float64(fullTime)/n, "full-µs")
	b.ReportMetric(float64(resumedTime)/n, "resumed-µs")
	b.ReportMetric(float64(resumedTime)/float64(fullTime), "resumed/full")
	b.ReportMetric(float64(fullTime)/float64(plainTime), "full/plain")
}

// A measuredServer performs handshakes on a thread of its own.
type measuredServer struct {
	l       net.Listener
	configs chan *tls.Config
	took    chan result
	resumed int
}

type result struct {
	cpu     time.Duration
	resumed bool
	err     error
}

func startMeasured(b *testing.B) *measuredServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &measuredServer{l: l, configs: make(chan *tls.Config), took: make(chan result)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for config := range s.configs {
			s.took <- s.serve(config)
		}
	}()
	b.Cleanup(func() {
		close(s.configs)
		<-ended
		l.Close()
	})
	return s
}

// serve accepts one connection, and measures its handshake.
func (s *measuredServer) serve(config *tls.Config) result {
	inner, err := s.l.Accept()
	if err != nil {
		return result{err: err}
	}
	defer inner.Close()
	inner.SetDeadline(time.Now().Add(10 * time.Second))
	conn := tls.Server(inner, config)
	before := threadTime()
	err = conn.Handshake()
	took := threadTime() - before
	if err == nil {
		_, err = conn.Write([]byte{1}) // behind the ticket
	}
	return result{took, conn.ConnectionState().DidResume, err}
}

// handshake connects a client, and returns what its handshake cost the server.
func (s *measuredServer) handshake(b *testing.B, server, client *tls.Config) time.Duration {
	s.configs <- server
	conn, err := net.Dial("tcp", s.l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	var first [1]byte
	_, err = io.ReadFull(tls.Client(conn, client), first[:])
	got := <-s.took
	if err != nil || got.err != nil {
		b.Fatalf("client: %v, server: %v", err, got.err)
	}
	if got.resumed {
		s.resumed++
	}
	return got.cpu
}

// threadTime returns the CPU time of this thread.
func threadTime() time.Duration {
	const clock = 3 // CLOCK_THREAD_CPUTIME_ID
	var now syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(now.Nano())
}
