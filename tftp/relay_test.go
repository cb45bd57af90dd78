package tftp_test

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A harm is what a relay does to the packets of each direction.
type harm struct {
	seed      uint64
	lose      float64       // the part of all packets that gets lost
	duplicate float64       // the part that comes twice
	reorder   float64       // the part that the next packet overtakes
	delay     time.Duration // each way
}

// A relay is a bad network of real sockets between a server and its clients,
// which may be programs of any kind. Clients send their requests to its address.
//
// To the server each client has an address of its own, and to a client each
// port of the server is a port of the relay, so that the transfer IDs (RFC 1350
// section 4) are on both sides what they are without it.
type relay struct {
	server   netip.AddrPort
	conn     *net.UDPConn // for requests
	up, down *line        // to the server, and from it
	ended    chan struct{}
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  []*net.UDPConn // all of them, or nil after Close
	routes map[netip.AddrPort]*route
}

// A route is the way between a client and the server.
type route struct {
	client netip.AddrPort
	conn   *net.UDPConn // to the server
	ports  map[netip.AddrPort]*net.UDPConn
}

// newRelay starts a relay that is closed at the end of the test.
func newRelay(t *testing.T, server netip.AddrPort, h harm) *relay {
	t.Helper()
	r := &relay{
		server: server, up: newLine(h, 1), down: newLine(h, 2), ended: make(chan struct{}),
		conns: []*net.UDPConn{}, routes: make(map[netip.AddrPort]*route),
	}
	t.Cleanup(r.Close)
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if r.conn, err = r.listen(r.request); err != nil {
		t.Fatal(err)
	}
	r.running.Go(func() { r.up.run(r.ended) })
	r.running.Go(func() { r.down.run(r.ended) })
	return r
}

// addr returns the address for requests.
func (r *relay) addr() netip.AddrPort { return localAddr(r.conn) }

func localAddr(conn *net.UDPConn) netip.AddrPort {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Close ends the relay and waits for its goroutines. What is under way is lost.
func (r *relay) Close() {
	close(r.ended)
	r.mu.Lock()
	for _, conn := range r.conns {
		conn.Close()
	}
	r.conns = nil
	r.mu.Unlock()
	r.running.Wait()
}

// listen opens a socket and hands what arrives there to take, which owns the
// bytes. It is called with mu locked.
func (r *relay) listen(take func(from netip.AddrPort, b []byte)) (*net.UDPConn, error) {
	if r.conns == nil {
		return nil, net.ErrClosed
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	r.conns = append(r.conns, conn)
	if err := conn.SetReadBuffer(1 << 20); err != nil {
		return nil, err
	}
	r.running.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err == nil: // other errors are of packets that nobody took
				take(from, bytes.Clone(buf[:n]))
			}
		}
	})
	return conn, nil
}

// request takes what a client sends to the address for requests.
func (r *relay) request(client netip.AddrPort, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	way := r.routes[client]
	if way == nil {
		way = &route{client: client, ports: map[netip.AddrPort]*net.UDPConn{r.server: r.conn}}
		var err error
		way.conn, err = r.listen(func(from netip.AddrPort, b []byte) { r.answer(way, from, b) })
		if err != nil {
			return // as if it were lost: the client asks again
		}
		r.routes[client] = way
	}
	r.up.take(way.conn, r.server, b)
}

// answer takes what the server sends to a client, from whatever port.
func (r *relay) answer(way *route, server netip.AddrPort, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	conn := way.ports[server]
	if conn == nil {
		var err error
		conn, err = r.listen(func(from netip.AddrPort, b []byte) {
			if from == way.client {
				r.up.take(way.conn, server, b)
			}
		})
		if err != nil {
			return
		}
		way.ports[server] = conn
	}
	r.down.take(conn, way.client, b)
}

// A line carries the packets of one direction.
type line struct {
	harm harm
	wake chan struct{}

	mu    sync.Mutex
	rand  *rand.Rand
	turn  int
	queue parcels
	held  *parcel // which the next packet overtakes
}

// A parcel is a packet that is under way.
type parcel struct {
	due  time.Time
	turn int // the order of those with the same time
	conn *net.UDPConn
	to   netip.AddrPort
	data []byte
	at   int // in the queue, or -1
}

func newLine(h harm, direction uint64) *line {
	return &line{harm: h, wake: make(chan struct{}, 1), rand: rand.New(rand.NewPCG(h.seed, direction))}
}

// take decides what becomes of a packet. It draws as many numbers for each, so
// that the fate of the n-th one depends on nothing else.
func (l *line) take(conn *net.UDPConn, to netip.AddrPort, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lose, duplicate, reorder := l.rand.Float64(), l.rand.Float64(), l.rand.Float64()
	if lose < l.harm.lose {
		return
	}
	p := &parcel{due: time.Now().Add(l.harm.delay), conn: conn, to: to, data: b}
	overtaken := l.held
	l.held = nil
	if reorder < l.harm.reorder && overtaken == nil {
		p.due = p.due.Add(5 * time.Millisecond) // unless another one comes before
		l.held = p
	}
	l.push(p)
	if duplicate < l.harm.duplicate {
		l.push(&parcel{due: p.due, conn: conn, to: to, data: b})
	}
	if overtaken != nil && overtaken.at >= 0 && overtaken.due.After(p.due) {
		heap.Remove(&l.queue, overtaken.at)
		overtaken.due = p.due
		l.push(overtaken)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *line) push(p *parcel) {
	l.turn++
	p.turn = l.turn
	heap.Push(&l.queue, p)
}

// run sends what is due until ended is closed.
func (l *line) run(ended <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ended:
			return
		case <-l.wake:
		case <-timer.C:
		}
		l.mu.Lock()
		for len(l.queue) > 0 {
			if wait := time.Until(l.queue[0].due); wait > 0 {
				timer.Reset(wait)
				break
			}
			p := heap.Pop(&l.queue).(*parcel)
			// A socket that is closed, or that nobody listens behind, loses it.
			_, _ = p.conn.WriteToUDPAddrPort(p.data, p.to)
		}
		l.mu.Unlock()
	}
}

// parcels is a heap.
type parcels []*parcel

func (q parcels) Len() int { return len(q) }

func (q parcels) Less(i, j int) bool {
	return cmp.Or(q[i].due.Compare(q[j].due), cmp.Compare(q[i].turn, q[j].turn)) < 0
}

func (q parcels) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push is part of heap.Interface.
func (q *parcels) Push(p any) {
	p.(*parcel).at = len(*q)
	*q = append(*q, p.(*parcel))
}

// Pop is part of heap.Interface.
func (q *parcels) Pop() any {
	p := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	p.at = -1
	return p
}

// socket returns a socket whose reads end within ten seconds.
func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// say sends one packet.
func say(t *testing.T, conn *net.UDPConn, to netip.AddrPort, text string) {
	t.Helper()
	if _, err := conn.WriteToUDPAddrPort([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

// hear receives one packet.
func hear(t *testing.T, conn *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 100)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n]), from
}

// Two clients and two ports of the server are four ways, each with ports that
// stay the same.
func TestRelayKeepsTransfersApart(t *testing.T) {
	request := socket(t)
	r := newRelay(t, localAddr(request), harm{})
	transfers := []*net.UDPConn{request, socket(t)}
	clients := []*net.UDPConn{socket(t), socket(t)}
	asServer := make(map[netip.AddrPort]bool) // what clients see
	asClient := make(map[netip.AddrPort]bool) // what the server sees
	for _, client := range clients {
		say(t, client, r.addr(), "request")
		got, from := hear(t, request)
		if got != "request" || asClient[from] {
			t.Fatalf("the server got %q from %v, which is another's address: %v", got, from, asClient[from])
		}
		asClient[from] = true
		for i, transfer := range transfers {
			say(t, transfer, from, "answer")
			got, port := hear(t, client)
			if got != "answer" || (port == r.addr()) != (i == 0) || i > 0 && asServer[port] {
				t.Errorf("the client got %q from %v", got, port)
			}
			asServer[port] = true
			for range 2 {
				say(t, client, port, "block")
				if got, again := hear(t, transfer); got != "block" || again != from {
					t.Errorf("the server got %q from %v, want from %v", got, again, from)
				}
				say(t, transfer, from, "ack")
				if got, again := hear(t, client); got != "ack" || again != port {
					t.Errorf("the client got %q from %v, want from %v", got, again, port)
				}
			}
		}
	}
}

// pass sends 200 packets through a relay and returns the numbers of those that
// arrive, and how long they took.
func pass(t *testing.T, h harm) (got []int, took time.Duration) {
	t.Helper()
	const count, more = 200, 40 // behind those that count come some that tell the end
	server, client := socket(t), socket(t)
	if err := server.SetReadBuffer(1 << 20); err != nil { // it is not read before all are sent
		t.Fatal(err)
	}
	r := newRelay(t, localAddr(server), h)
	began := time.Now()
	for i := range count + more {
		say(t, client, r.addr(), strconv.Itoa(i))
	}
	for {
		text, _ := hear(t, server)
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if n >= count+2 { // the first may be before one that it overtook
			return got, time.Since(began)
		}
		if n < count {
			got = append(got, n)
		}
	}
}

func TestRelayLosesBySeed(t *testing.T) {
	h := harm{seed: 1, lose: 0.5}
	got, _ := pass(t, h)
	if len(got) < 70 || len(got) > 130 || !slices.IsSorted(got) {
		t.Errorf("of 200 packets these got through, want half of them in order: %v", got)
	}
	if again, _ := pass(t, h); !slices.Equal(again, got) {
		t.Errorf("with the same seed %v got through, want %v", again, got)
	}
	h.seed = 2
	if other, _ := pass(t, h); slices.Equal(other, got) {
		t.Error("with another seed the same packets got through")
	}
}

func TestRelayDelaysInOrder(t *testing.T) {
	const delay = 30 * time.Millisecond
	got, took := pass(t, harm{delay: delay})
	if took < delay {
		t.Errorf("packets took %v, want at least %v", took, delay)
	}
	if len(got) != 200 || !slices.IsSorted(got) {
		t.Errorf("of 200 packets these got through: %v", got)
	}
}

func TestRelayReorders(t *testing.T) {
	got, _ := pass(t, harm{seed: 1, reorder: 0.3})
	late := 0
	for i := range got[1:] {
		if got[i] > got[i+1] {
			late++
		}
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 200 {
		t.Errorf("%d of 200 packets got through", len(slices.Compact(got)))
	}
	if late < 20 || late > 80 {
		t.Errorf("%d packets were overtaken, want about 45", late)
	}
}

func TestRelayDuplicates(t *testing.T) {
	got, _ := pass(t, harm{seed: 1, duplicate: 0.3})
	if len(got) < 230 || len(got) > 290 || !slices.IsSorted(got) || len(slices.Compact(got)) != 200 {
		t.Errorf("of 200 packets these got through, want all in order and about 60 twice: %v", got)
	}
}
