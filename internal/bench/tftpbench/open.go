//go:build linux

package tftpbench

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The metrics of open transfers, of one each.
const (
	heapBytes   = "heap bytes"
	goroutines  = "goroutines"
	stackBytes  = "stack bytes"
	userBytes   = "memory of the process"
	kernelBytes = "memory of the kernel"
	allInAll    = "bytes of heap and stacks"
)

// openTransfers shows what transfers cost whose clients have fallen silent.
func openTransfers(w window) lab.Case {
	return lab.Case{
		Name: "1,000 open transfers, " + w.String(),
		About: "Begins 1,000 transfers of a file of 8 MiB, whose clients fall silent after the first block, and reads the memory of the server " +
			"after a collection of garbage, in bytes for each. The kernel's part is that of the machine, with the sockets of the clients.",
		Sides: openSides(w),
		Metrics: []lab.Metric{
			{Name: heapBytes, Best: lab.Low},
			{Name: stackBytes, Best: lab.Low},
			{Name: userBytes, Best: lab.Low},
			{Name: kernelBytes, Best: lab.None},
			{Name: goroutines, Best: lab.None},
		},
		Targets: []lab.Target{
			{Metric: heapBytes, AtMost: 8 << 10},
			{Metric: heapBytes, Side: kindSingle, AtMost: 8 << 10},
			{Metric: goroutines, AtMost: 1},
			{Metric: goroutines, Side: kindSingle, AtMost: 1},
		},
		Run: func(t *lab.T) { hold(t, w, lab.Of(t, 1000, 20)) },
	}
}

func openSides(w window) []lab.Side {
	sides := lab.Sides(lab.Ours, kindSingle, kindStream, kindPin, kindPack)
	if w.window > 1 {
		sides[3].Cannot = "it has no windows (RFC 7440)"
	}
	return sides
}

// openGrowth has more and more transfers open.
func openGrowth() lab.Growth {
	w := window{1428, 1}
	return lab.Growth{
		Name: "open transfers",
		About: "Begins so many transfers in blocks of 1428, whose clients fall silent after the first block. " +
			"The memory is what the runtime counts as heap and stacks of the server, for each transfer.",
		Axis: "transfers",
		Case: func(n int) lab.Case {
			return lab.Case{
				Sides:   openSides(w),
				Metrics: []lab.Metric{{Name: allInAll, Best: lab.Low}, {Name: goroutines, Best: lab.None}},
				Run:     func(t *lab.T) { hold(t, w, n) },
			}
		},
	}
}

// fileSize is more than any window.
const fileSize = 8 << 20

// hold opens transfers at each side in turn, and reads what they keep.
func hold(t *lab.T, w window, count int) {
	servers, client := startServers(t, fileSize), t.Start("client")
	first := make(map[string]lab.Footprint) // what is kept from one round for the next counts in each
	for side, server := range servers {
		first[side] = server.Footprint()
	}
	for t.Round() {
		for side := range t.Turns() {
			server, before := servers[side], first[side]
			before.Kernel = server.Footprint().Kernel // of the machine, which goes on
			lab.Tell[answer](client, order{
				Do: "open", Addrs: []string{server.Addr}, Count: count, Block: w.block, Window: w.window,
			})
			f := server.Footprint().Since(before, count)
			for metric, value := range map[string]float64{
				heapBytes: f.Heap, stackBytes: f.Stacks, userBytes: f.User, kernelBytes: f.Kernel,
				goroutines: f.Goroutines, allInAll: f.Heap + f.Stacks,
			} {
				if t.HasMetric(metric) {
					t.Record(side, metric, value)
				}
			}
			end(t, client, server, int(before.Goroutines))
			if side == kindPack && w.window > 1 {
				t.GiveUp(side, "it had one round, as ending so much takes seconds")
			}
		}
	}
}

// end has a client end its open transfers, and waits until the server has no more
// goroutines than before.
func end(t *lab.T, client, server *lab.Process, before int) {
	defer lab.Tell[answer](client, order{Do: "forget"})
	for deadline := time.Now().Add(endTime); ; time.Sleep(10 * time.Millisecond) {
		lab.Tell[answer](client, order{Do: "end"})
		left := server.Use().Goroutines - before
		if left <= 0 {
			return
		}
		if time.Now().After(deadline) {
			if isOurs(server.Kind) {
				t.Fatalf("%s: %d goroutines did not end", server.Kind, left)
			}
			t.GiveUp(server.Kind, "%d goroutines did not end with their transfers", left)
			return
		}
	}
}

// endTime is how long ending transfers may take.
const endTime = 20 * time.Second

// greedyRequest asks for the largest of windows and blocks, which must not make a server
// allocate for all of it.
func greedyRequest() lab.Case {
	const allocated, heap, system = "KiB allocated", "KiB of heap", "KiB from the system"
	sides := openSides(window{})
	sides[4].Cannot = "it allocates 8 bytes for each byte of the window that is asked for, which are 34 GB, and dies"
	return lab.Case{
		Name: "greedy request",
		About: "Asks for a window of 65535 blocks of 65464 bytes, of a file of 8 MiB, and falls silent after the first block. " +
			"What the server allocates until then is counted, and what it keeps. \"pin\" agrees to the block alone.",
		Sides:   sides,
		Metrics: []lab.Metric{{Name: allocated, Best: lab.Low}, {Name: heap, Best: lab.None}, {Name: system, Best: lab.None}},
		Targets: []lab.Target{
			{Metric: allocated, AtMost: 1 << 10},
			{
				Metric: allocated, Side: kindSingle, AtMost: 1 << 10,
				Reason: "The buffers that the shared socket is read with are counted, half a MiB for each goroutine that reads meanwhile: the collection of garbage before has taken them. They are no part of the transfer.",
			},
			{Metric: allocated, Side: kindStream, AtMost: 1 << 10},
		},
		Run: func(t *lab.T) {
			servers, client := startServers(t, fileSize), t.Start("client")
			for t.Round() {
				for side := range t.Turns() {
					server := servers[side]
					before := server.Keeps()
					lab.Tell[answer](client, order{
						Do: "open", Addrs: []string{server.Addr}, Count: 1, Block: 65464, Window: 65535,
					})
					u := server.Keeps()
					t.Record(side, allocated, float64(u.Bytes-before.Bytes)/(1<<10))
					t.Record(side, heap, (float64(u.Heap)-float64(before.Heap))/(1<<10))
					t.Record(side, system, (float64(u.HeapSys)-float64(before.HeapSys))/(1<<10))
					end(t, client, server, before.Goroutines)
				}
			}
		},
	}
}

// A silent is a client that sends nothing more.
type silent struct {
	conn   *net.UDPConn
	server netip.AddrPort // where the blocks come from
}

// openTransfers begins transfers, and leaves them when the first block has come.
func (c *child) openTransfers(o *order) error {
	request := []byte("\x00\x01file\x00octet\x00blksize\x00" + strconv.Itoa(o.Block) + "\x00")
	if o.Window > 1 {
		request = append(request, "windowsize\x00"+strconv.Itoa(o.Window)+"\x00"...)
	}
	b := make([]byte, 1<<16)
	addr := netip.MustParseAddrPort(o.Addrs[0])
	for range o.Count {
		conn, err := listen()
		if err != nil {
			return err
		}
		c.open = append(c.open, silent{conn: conn})
		if err := conn.SetDeadline(time.Now().Add(smallTime)); err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort(request, addr); err != nil {
			return err
		}
		if c.open[len(c.open)-1].server, err = acceptOptions(conn, b); err != nil {
			return err
		}
	}
	return nil
}

// acceptOptions goes on until the first block has come.
func acceptOptions(conn *net.UDPConn, b []byte) (netip.AddrPort, error) {
	n, peer, err := conn.ReadFromUDPAddrPort(b)
	if err != nil {
		return peer, err
	}
	if n < 2 || b[1] != 6 {
		return peer, fmt.Errorf("got %q instead of an OACK", b[:min(n, 50)])
	}
	if _, err := conn.WriteToUDPAddrPort([]byte{0, 4, 0, 0}, peer); err != nil {
		return peer, err
	}
	for {
		n, _, err = conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return peer, err
		}
		switch {
		case n >= 2 && b[1] == 6: // a busy server has sent it again
		case n < 4 || b[1] != 3 || b[3] != 1:
			return peer, fmt.Errorf("got %q instead of block 1", b[:min(n, 50)])
		default:
			return peer, nil
		}
	}
}

// burst is how many packets fit into the buffer of a socket.
const burst = 100

// endTransfers ends the open transfers by an ERROR to where their blocks come from.
func (c *child) endTransfers() error {
	for i, s := range c.open {
		if _, err := s.conn.WriteToUDPAddrPort([]byte("\x00\x05\x00\x00enough\x00"), s.server); err != nil {
			return err
		}
		if i%burst == burst-1 {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// forgetTransfers closes their sockets.
func (c *child) forgetTransfers() error {
	var errs []error
	for _, s := range c.open {
		errs = append(errs, s.conn.Close())
	}
	c.open = nil
	return errors.Join(errs...)
}
