package tlsutil_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// A rotation is a way to replace files. It calls pause between the steps.
type rotation struct {
	name   string
	rotate func(t *testing.T, f tlsutil.Files, g generation, pause func())
	whole  bool // a reader sees all files of a generation or none, even with pauses
}

// each calls f for each file of a set.
func (g generation) each(f tlsutil.Files, do func(name string, data []byte)) {
	do(f.Cert, g.cert)
	do(f.Key, g.key)
	do(f.Roots, g.roots)
}

// rotations are those that all systems have.
var rotations = []rotation{
	{"write in place", func(t *testing.T, f tlsutil.Files, g generation, pause func()) {
		g.each(f, func(name string, data []byte) {
			overwrite(t, name, data)
			pause()
		})
	}, false},
	{"torn write", func(t *testing.T, f tlsutil.Files, g generation, pause func()) {
		g.each(f, func(name string, data []byte) {
			file, err := os.Create(name)
			noError(t, err)
			for _, part := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
				_, err = file.Write(part)
				noError(t, err)
				pause()
			}
			noError(t, file.Close())
		})
	}, false},
	{"rename", func(t *testing.T, f tlsutil.Files, g generation, pause func()) {
		g.each(f, func(name string, data []byte) {
			overwrite(t, name+".new", data)
			pause()
			noError(t, os.Rename(name+".new", name))
			pause()
		})
	}, false},
	{"delete and write", func(t *testing.T, f tlsutil.Files, g generation, pause func()) {
		g.each(f, func(name string, data []byte) {
			noError(t, os.Remove(name))
			pause()
			overwrite(t, name, data)
			pause()
		})
	}, false},
}

func TestRotation(t *testing.T) { testRotations(t, rotations) }

// testRotations replaces the files while handshakes run: at once, and with pauses that
// readings fall into, of which two agree.
func testRotations(t *testing.T, list []rotation) {
	t.Helper()
	for _, tt := range list {
		for _, pause := range []time.Duration{0, 300 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, pause), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { tt.test(t, pause) })
			})
		}
	}
}

func (tt rotation) test(t *testing.T, pause time.Duration) {
	peer := newPeer(t)
	var generations []generation
	for i := range 3 {
		generations = append(generations, peer.generation(t, fmt.Sprint("generation ", i)))
	}
	// A first rotation makes the links that later ones swap.
	f := generations[0].inFolder(t)
	tt.rotate(t, f, generations[0], func() {})
	f.Interval = 500 * time.Millisecond
	w := watchFiles(t, f)
	var done atomic.Bool
	var handshakes atomic.Int32
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for ; !done.Load(); time.Sleep(110 * time.Millisecond) { // of the bubble
				if err := peer.handshake(w); err != nil {
					t.Errorf("handshake: %v", err)
				}
				handshakes.Add(1)
				if tt.whole || pause == 0 {
					wantOneGeneration(t, w, generations)
				}
			}
		})
	}
	for _, g := range generations[1:] {
		tt.rotate(t, f, g, func() { later(pause) })
		later(time.Second)
		wantCurrent(t, w, g)
		wantOneGeneration(t, w, generations)
	}
	done.Store(true)
	group.Wait()
	if n := handshakes.Load(); n < 30 {
		t.Errorf("only %d handshakes", n)
	}
}

// wantOneGeneration checks that certificate and roots in use belong together.
func wantOneGeneration(t *testing.T, w *tlsutil.WatchedFiles, generations []generation) {
	t.Helper()
	m := w.Current()
	for _, g := range generations {
		if g.name == m.Certificate.Leaf.Subject.CommonName {
			if !m.Roots.Equal(g.pool) {
				t.Errorf("the roots beside the certificate of %q are another's", g.name)
			}
			return
		}
	}
	t.Errorf("in use is %q", m.Certificate.Leaf.Subject.CommonName)
}

// A peer is a client that all generations know.
type peer struct {
	authority *tlsutil.CA
	config    *tls.Config
}

func newPeer(t testing.TB) *peer {
	t.Helper()
	ca := makeCA(t, tlsutil.Authority{Name: "CA of the clients"})
	cert := makeLeaf(t, ca, tlsutil.Leaf{Name: "client", Client: true})
	return &peer{ca, &tls.Config{
		Certificates: []tls.Certificate{cert},
		RootCAs:      x509.NewCertPool(),
		ServerName:   "server.test",
	}}
}

// generation makes one that the peer knows, and that knows it.
func (p *peer) generation(t testing.TB, name string) generation {
	t.Helper()
	g := newGeneration(t, name, p.authority.Certificate.Leaf)
	p.config.RootCAs.AppendCertsFromPEM(g.roots)
	return g
}

// serverConfig takes what src holds for each handshake.
func serverConfig(src tlsutil.Source) *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		m := src.Current()
		return &tls.Config{
			Certificates: []tls.Certificate{m.Certificate},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    m.Roots,
		}, nil
	}}
}

// handshake connects the peer to a server with the files, and waits for a byte, so that
// it knows that it was accepted.
func (p *peer) handshake(src tlsutil.Source) error {
	a, b := memnet.Pipe()
	defer a.Close()
	served := make(chan error, 1)
	go func() {
		defer b.Close()
		_, err := tls.Server(b, serverConfig(src)).Write([]byte{1})
		served <- err
	}()
	_, err := io.ReadFull(tls.Client(a, p.config), make([]byte, 1))
	return errors.Join(err, <-served)
}

// Between two blocks of PEM half of a file looks whole. That it is not the same a moment
// later tells.
func TestHalfOfTheRoots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		g, next := newGeneration(t, "first"), newGeneration(t, "next", newPeer(t).authority.Certificate.Leaf)
		f := g.inFolder(t)
		f.OnReload = told.add
		w := watchFiles(t, f)
		later(4900 * time.Millisecond)
		half := len(next.roots) / 2
		for next.roots[half] != '\n' || next.roots[half+1] != '-' || next.roots[half+6] != 'B' {
			half++
		}
		next.roots, g.roots = next.roots[:half+1], next.roots
		next.writeInto(t, f)
		later(200 * time.Millisecond) // read at 5 s
		overwrite(t, f.Roots, g.roots)
		later(250 * time.Millisecond) // read at 5.2 s: another set
		wantCurrent(t, w, g)
		later(50 * time.Millisecond) // read at 5.4 s: the same
		wantCurrent(t, w, next)
		if !w.Current().Roots.Equal(next.pool) {
			t.Error("some of the roots are missing")
		}
		told.want(t, "")
	})
}
