//go:build !linux

package udpio

import (
	"errors"
	"net"
	"net/netip"
)

type (
	scratch  struct{}
	sender   struct{}
	receiver struct{}
)

func (*scratch) link(int) {}

func newReceiver(net.PacketConn) receiver { return receiver{} }

func newSender(net.PacketConn) sender { return sender{} }

// Datagrams are read and written one at a time.
func (receiver) batches() bool { return false }

func (sender) batches() bool { return false }

// What follows is for those that batch.

func (*Reader) enable() {}

func (*Reader) load(int) {}

func (*Reader) readBatch() error { return errors.ErrUnsupported }

func (*Writer) writeBatch([]byte, int, netip.AddrPort, netip.Addr) error {
	return errors.ErrUnsupported
}

func (*Writer) writeMessages([]Message) error { return errors.ErrUnsupported }

func setReadBuffer(c *net.UDPConn, n int) int {
	if err := c.SetReadBuffer(n); err != nil {
		return 0
	}
	return n
}
