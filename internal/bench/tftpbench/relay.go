//go:build linux

package tftpbench

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A network is what a relay does.
type network struct {
	delay time.Duration // each way
	loss  float64       // of each packet, each way
}

// A relay is a network between one client and a server: packets take a while, and
// some get lost. Each port of the server has a port of the relay that stands for
// it, so that the client sees the ports of transfers.
type relay struct {
	server netip.AddrPort
	delay  time.Duration // each way
	loss   float64       // of each packet, each way
	back   *net.UDPConn  // towards the server
	front  *net.UDPConn  // stands for the port of requests
	lines  [2]chan flight
	group  sync.WaitGroup // those that read
	ends   sync.WaitGroup // those that deliver

	mu     sync.Mutex
	rand   *rand.Rand
	client netip.AddrPort
	faces  map[netip.AddrPort]*net.UDPConn // by the server's ports
	closed bool
	err    error
}

// A flight is a packet under way.
type flight struct {
	due  time.Time
	data []byte
	from *net.UDPConn
	to   netip.AddrPort
}

// lineLength is how many packets can be under way.
const lineLength = 4096

func newRelay(server string, over network, seed uint64) (*relay, error) {
	r := &relay{
		server: netip.MustParseAddrPort(server), delay: over.delay, loss: over.loss,
		rand:  rand.New(rand.NewPCG(seed, 1)),
		faces: make(map[netip.AddrPort]*net.UDPConn),
	}
	var err error
	if r.back, err = listenRelay(); err != nil {
		return nil, err
	}
	if r.front, err = listenRelay(); err != nil {
		return nil, errors.Join(err, r.back.Close())
	}
	for i := range r.lines {
		r.lines[i] = make(chan flight, lineLength)
		r.ends.Go(func() { r.deliver(r.lines[i]) })
	}
	r.faces[r.server] = r.front
	r.group.Go(func() { r.forward(r.front, r.server) })
	r.group.Go(r.backward)
	return r, nil
}

func listenRelay() (*net.UDPConn, error) {
	conn, err := listen()
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadBuffer(1 << 20); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (r *relay) addr() string { return r.front.LocalAddr().String() }

// lost decides on a packet.
func (r *relay) lost() bool { return r.rand.Float64() < r.loss }

// forward takes what the client sends to a port.
func (r *relay) forward(face *net.UDPConn, to netip.AddrPort) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := face.ReadFromUDPAddrPort(b)
		if err != nil {
			r.fail(err)
			return
		}
		r.mu.Lock()
		r.client = from
		lost := r.lost()
		r.mu.Unlock()
		if !lost {
			r.lines[0] <- flight{time.Now().Add(r.delay), append([]byte(nil), b[:n]...), r.back, to}
		}
	}
}

// backward takes what the server sends.
func (r *relay) backward() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.back.ReadFromUDPAddrPort(b)
		var face *net.UDPConn
		if err == nil {
			face, err = r.face(from)
		}
		if err != nil {
			r.fail(err)
			return
		}
		r.mu.Lock()
		lost, client := r.lost(), r.client
		r.mu.Unlock()
		if !lost {
			r.lines[1] <- flight{time.Now().Add(r.delay), append([]byte(nil), b[:n]...), face, client}
		}
	}
}

// face returns what stands for a port of the server.
func (r *relay) face(server netip.AddrPort) (*net.UDPConn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if face := r.faces[server]; face != nil {
		return face, nil
	}
	if r.closed {
		return nil, net.ErrClosed
	}
	face, err := listenRelay()
	if err == nil {
		r.faces[server] = face
		r.group.Go(func() { r.forward(face, server) })
	}
	return face, err
}

// punctual is how much too early packets may be. The shortest sleep is longer, and
// those that come close after others would all be late.
const punctual = 200 * time.Microsecond

// deliver sends packets when they are due.
func (r *relay) deliver(line chan flight) {
	for f := range line {
		if wait := time.Until(f.due); wait > punctual {
			time.Sleep(wait)
		}
		if _, err := f.from.WriteToUDPAddrPort(f.data, f.to); err != nil {
			r.fail(err)
		}
	}
}

// fail notes an error, unless it is due to close.
func (r *relay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && !errors.Is(err, net.ErrClosed) {
		r.err = err
	}
}

func (r *relay) close() error {
	r.mu.Lock()
	r.closed = true
	errs := []error{r.err, r.back.Close()}
	for _, face := range r.faces {
		errs = append(errs, face.Close())
	}
	r.mu.Unlock()
	r.group.Wait()
	for _, line := range r.lines {
		close(line)
	}
	r.ends.Wait()
	return errors.Join(errs...)
}
