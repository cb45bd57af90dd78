package proxy

import (
	"errors"
	"net"
	"time"
)

// A packetClient is what Dial gets to know of a client.
type packetClient struct{ remote, local net.Addr }

// RemoteAddr implements [net.Conn].
func (c *packetClient) RemoteAddr() net.Addr { return c.remote }

// LocalAddr implements [net.Conn].
func (c *packetClient) LocalAddr() net.Addr { return c.local }

// refuse is the error of what it cannot do.
func (c *packetClient) refuse(op string) error {
	return &net.OpError{Op: op, Net: c.remote.Network(), Source: c.local, Addr: c.remote, Err: errors.ErrUnsupported}
}

// Read implements [net.Conn].
func (c *packetClient) Read([]byte) (int, error) { return 0, c.refuse("read") }

// Write implements [net.Conn].
func (c *packetClient) Write([]byte) (int, error) { return 0, c.refuse("write") }

// Close implements [net.Conn].
func (c *packetClient) Close() error { return c.refuse("close") }

// SetDeadline implements [net.Conn].
func (c *packetClient) SetDeadline(time.Time) error { return c.refuse("set") }

// SetReadDeadline implements [net.Conn].
func (c *packetClient) SetReadDeadline(time.Time) error { return c.refuse("set") }

// SetWriteDeadline implements [net.Conn].
func (c *packetClient) SetWriteDeadline(time.Time) error { return c.refuse("set") }
