package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Blocks of 1428 bytes leave room in an Ethernet frame for the headers of
	// tunnels.
	defaultAskedBlockSize = 1428
	defaultAskedWindow    = 16
)

// A Client reads files from a server and writes files to it. Addr must be set; all
// other fields are good as they are.
//
// The exported fields must not be changed after the first call of a method. All
// methods are safe for concurrent use. A Client must not be copied after use.
type Client struct {
	// Addr is the server's address, such as "192.0.2.1:69" or "[2001:db8::1]:69".
	// The port may be left out, which means 69.
	Addr string

	// BlockSize is the block size in bytes that is asked for, 8 to 65464. Blocks
	// above 1468 bytes do not fit into one Ethernet frame. If zero, 1428; if
	// negative, it is not asked for, and blocks have 512 bytes.
	BlockSize int

	// WindowSize is the window in blocks that is asked for, 1 to 65535. It is
	// lowered to what the receive buffer of the socket holds. If zero, 16; if
	// negative, it is not asked for, and each block is acknowledged.
	WindowSize int

	// Timeout is the longest wait for an answer before a packet is sent again,
	// as in [Server]. If it is set, to 1 second or more, the server is asked for
	// the same by the option timeout, in whole seconds. If zero or negative, 6
	// seconds, which are not asked for.
	Timeout time.Duration

	// Retries is how often one packet or window is sent again before the
	// transfer fails. If zero, 10; if negative, nothing is sent again.
	Retries int

	// Netascii asks for the transfer of text, which is translated to and from
	// the text of this host, whose lines end with "\n".
	Netascii bool

	// Progress is called with the figures so far whenever blocks have arrived,
	// from the goroutine that called Get or Put. If nil, nothing is called.
	Progress func(Stats)

	// ListenPacket opens the socket of a transfer; network is "udp4" or "udp6".
	// If nil, a socket of the package net is opened.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)

	running  atomic.Int32 // transfers
	mu       sync.Mutex
	dallying map[*socket]chan struct{} // closed when the socket is
}

// Get reads the file called name from the server and writes it to w. It returns
// the figures of the transfer also when it fails.
//
// An ERROR of the server is an [*Error], which errors.Is compares with [fs.ErrNotExist]
// and the like; silence is [ErrNoAnswer]. If ctx ends, the server is told so, and
// the error is the cause of ctx. What had arrived by then has been written to w.
//
// If the server refuses the options, Get asks again without any.
//
// The server may not have got the last ACK. Get returns nevertheless, and its
// socket goes on repeating that while the server asks for it, for as long as
// Timeout; see [Client.Wait].
func (c *Client) Get(ctx context.Context, name string, w io.Writer) (*Stats, error) {
	return c.transfer(ctx, func(d *dialog) error { return d.get(name, w) })
}

// Put writes what r holds to the server, as a file called name. The server is told
// the size if r is an [fs.File] or has a method Size or Len. An [io.ReaderAt] is
// read without moving its position. Errors are as for [Client.Get].
func (c *Client) Put(ctx context.Context, name string, r io.Reader) (*Stats, error) {
	return c.transfer(ctx, func(d *dialog) error { return d.put(name, r) })
}

// Wait waits until no transfer of Get listens any more for a server that has not
// got its last ACK, or until ctx ends, whose cause it returns. A program that is
// about to end may give it a moment, so that the server does not report a failure.
func (c *Client) Wait(ctx context.Context) error {
	for _, closed := range c.lastAcks(nil) {
		select {
		case <-closed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Close ends what [Client.Wait] waits for. The Client can still be used.
func (c *Client) Close() error {
	for _, closed := range c.lastAcks(func(s *socket) { s.stop(nil, net.ErrClosed) }) {
		<-closed
	}
	return nil
}

// lastAcks calls f, if not nil, for all sockets that dally, and returns what
// tells of their end.
func (c *Client) lastAcks(f func(*socket)) []chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []chan struct{}
	for s, closed := range c.dallying {
		if f != nil {
			f(s)
		}
		all = append(all, closed)
	}
	return all
}

// dally lets r repeat its last ACK, and closes s after that.
func (c *Client) dally(s *socket, r *receiver) {
	closed := make(chan struct{})
	c.mu.Lock()
	if c.dallying == nil {
		c.dallying = make(map[*socket]chan struct{})
	}
	full := len(c.dallying) >= maxDallying
	if !full {
		c.dallying[s] = closed
	}
	c.mu.Unlock()
	if full {
		s.close()
		return
	}
	go func() { // which Wait and Close wait for
		r.dally(r.trip.most) // the longest time between two tries
		s.close()
		c.mu.Lock()
		delete(c.dallying, s)
		c.mu.Unlock()
		close(closed)
	}()
}

// transfer runs one transfer, and once more without options if they are refused.
func (c *Client) transfer(ctx context.Context, do func(*dialog) error) (*Stats, error) {
	c.running.Add(1)
	defer c.running.Add(-1)
	started := time.Now()
	server, err := c.resolve(ctx)
	if err != nil {
		return &Stats{Size: -1}, err
	}
	d := &dialog{client: c, server: server}
	d.started = started
	if d.asked, err = c.options(); err != nil {
		return &Stats{Size: -1}, err
	}
	err = d.run(ctx, do)
	if d.refused && ctx.Err() == nil {
		d = &dialog{client: c, server: server}
		d.started = started
		err = d.run(ctx, do)
	}
	if peer, ok := errors.AsType[*peerError](err); ok {
		err = peer.said
	}
	d.stats.Duration = time.Since(started)
	return &d.stats, err
}

// options returns what the fields ask for.
func (c *Client) options() ([]Option, error) {
	var list []Option
	add := func(name string, n, otherwise, least, most int) error {
		if n == 0 {
			n = otherwise
		}
		switch {
		case n < 0:
		case n < least || n > most:
			return fmt.Errorf("tftp: %s of %d is not between %d and %d", name, n, least, most)
		default:
			list = append(list, Option{name, strconv.Itoa(n)})
		}
		return nil
	}
	return list, errors.Join(
		add(OptionBlockSize, c.BlockSize, defaultAskedBlockSize, minBlockSize, maxBlockSize),
		add(OptionWindowSize, c.WindowSize, defaultAskedWindow, 1, maxWindowSize),
		add(OptionTimeout, int(min(c.Timeout, 255*time.Second)/time.Second), -1, 1, 255),
	)
}

// resolve returns the address of the server.
func (c *Client) resolve(ctx context.Context) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		host, port = c.Addr, "69"
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("tftp: address %q: %w", c.Addr, err)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(list) == 0 {
		return netip.AddrPort{}, fmt.Errorf("tftp: address %q: %w", c.Addr, err)
	}
	for _, addr := range list {
		if addr.Unmap().Is4() {
			return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
		}
	}
	return netip.AddrPortFrom(list[0], uint16(n)), nil
}
