package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// dialFunc is [net.Dialer.DialContext], or that of a TLS or test dialer.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialFirst dials all addresses at the same time, and returns the connection that is made
// first. It calls the other dials off, closes a connection that one of them has made all
// the same, and returns when the last has ended, so that nothing is left behind. If none
// succeeds, the error wraps those of all, in the order of addresses.
func dialFirst(ctx context.Context, dial dialFunc, network string, addresses ...string) (net.Conn, error) {
	if len(addresses) == 0 {
		return nil, errors.New("dialing: no address")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		dials sync.WaitGroup
		mu    sync.Mutex
		first net.Conn
		errs  = make([]error, len(addresses))
	)
	for i, address := range addresses {
		dials.Go(func() {
			conn, err := dial(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				errs[i] = err
			case first != nil:
				conn.Close() // an error changes nothing for whoever has the first
			default:
				first = conn
				cancel()
			}
		})
	}
	dials.Wait()
	if first == nil {
		return nil, errors.Join(errs...)
	}
	return first, nil
}

// Of several servers with the same thing the nearest is the one that answers first. One of
// these never answers, one refuses, and one is there. Each server has the load of all
// clients this way, so one wants it for a few of them, and where waiting costs more.
// The addresses of one name need none of this: a Dialer tries them one after the other, and
// IPv4 beside IPv6.
func Example_fanOut() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	client, server, err := pair() // at whose client's port nobody listens
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	defer server.Close()

	there := l.Addr().String()
	dialer := net.Dialer{ControlContext: unanswered}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := dialFirst(ctx, dialer.DialContext, "tcp", silence+"1:80", client.LocalAddr().String(), there)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println("connected to the one that is there:", conn.RemoteAddr().String() == there)
	fmt.Println("and in time:", ctx.Err() == nil)
	// Output:
	// connected to the one that is there: true
	// and in time: true
}

// pipes is a network whose hosts answer when their time has come, or refuse then. It keeps
// the servers' ends. A deaf host answers whether or not somebody still waits.
type pipes struct {
	mu      sync.Mutex
	after   map[string]time.Duration
	fails   map[string]error
	deaf    map[string]bool
	servers map[string]net.Conn
	dials   int // under way
}

func (p *pipes) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.count(1)
	defer p.count(-1)
	cancelled := ctx.Done()
	if p.deaf[address] {
		cancelled = nil
	}
	select {
	case <-cancelled:
		return nil, ctx.Err()
	case <-time.After(p.after[address]):
	}
	if err := p.fails[address]; err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	client, server := net.Pipe()
	p.servers[address] = server
	return client, nil
}

func (p *pipes) count(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dials += n
}

// A dial can succeed at the moment in which it is called off. Its connection has no owner,
// and would stay open at both ends: dialFirst closes it.
func TestFanOutClosesTheLosers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := pipes{
			after:   map[string]time.Duration{"slow": 2 * time.Second, "late": 3 * time.Second, "near": time.Second},
			deaf:    map[string]bool{"late": true},
			servers: make(map[string]net.Conn),
		}
		conn, err := dialFirst(t.Context(), network.dial, "tcp", "slow", "late", "near")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if network.dials != 0 {
			t.Errorf("%d dials are under way after the end", network.dials)
		}
		if network.servers["slow"] != nil {
			t.Error("the slow dial was not called off")
		}
		near, late := network.servers["near"], network.servers["late"]
		if near == nil || late == nil {
			t.Fatal("two dials should have succeeded")
		}
		if _, err := late.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the loser's server reads %v, want EOF", err)
		}
		go io.WriteString(conn, "x")
		if _, err := near.Read(make([]byte, 1)); err != nil {
			t.Errorf("the winner's server: %v", err)
		}
	})
}

// All have to fail before the whole does, and the caller can ask for each reason.
func TestFanOutFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := []error{errors.New("one is down"), errRefused}
		network := pipes{
			after: map[string]time.Duration{"1": 2 * time.Second, "2": time.Second},
			fails: map[string]error{"1": errs[0], "2": errs[1]},
		}
		conn, err := dialFirst(t.Context(), network.dial, "tcp", "1", "2")
		if conn != nil || slices.ContainsFunc(errs, func(e error) bool { return !errors.Is(err, e) }) {
			t.Errorf("dialFirst: %v, %v, want %v", conn, err, errs)
		}
		if conn, err := dialFirst(t.Context(), network.dial, "tcp"); conn != nil || err == nil {
			t.Errorf("without addresses: %v, %v, want an error", conn, err)
		}
	})
}

// The caller's deadline ends all dials.
func TestFanOutEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := pipes{after: map[string]time.Duration{"1": time.Hour, "2": time.Hour}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		conn, err := dialFirst(ctx, network.dial, "tcp", "1", "2")
		if conn != nil || !errors.Is(err, context.DeadlineExceeded) || network.dials != 0 {
			t.Errorf("dialFirst: %v, %v, %d dials under way, want %v", conn, err, network.dials, context.DeadlineExceeded)
		}
		if got := time.Since(begin); got != 10*time.Second {
			t.Errorf("dialFirst took %v, want 10s", got)
		}
	})
}
