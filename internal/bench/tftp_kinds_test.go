//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	pack "pack.ag/tftp"

	pin "github.com/pin/tftp/v3"

	"github.com/netparts/netparts/tftp"
)

// The kinds of servers and clients.
const (
	kindOurs   = "ours"
	kindSingle = "ours-single" // with one port for all transfers
	kindStream = "ours-stream" // from a source that can only be read once
	kindPin    = "pin"
	kindPack   = "pack"
	kindBare   = "bare" // ping-pong of the same packets, with nothing of a protocol
)

// serveKind serves file under each name, until it fails.
func serveKind(kind string, conn *net.UDPConn, file []byte) error {
	switch kind {
	case kindOurs, kindSingle, kindStream:
		s := tftp.Server{
			Open: tftp.Payload(file), SinglePort: kind == kindSingle,
			MaxPerPeer: -1, MaxTransfers: -1,
		}
		if kind == kindStream {
			s.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) {
				return io.NopCloser(struct{ io.Reader }{bytes.NewReader(file)}), nil
			}
		}
		return s.Serve(conn)
	case kindPin:
		s := pin.NewServer(func(_ string, r io.ReaderFrom) error {
			_, err := r.ReadFrom(bytes.NewReader(file))
			return err
		}, nil)
		return s.Serve(conn)
	case kindPack:
		s, err := pack.NewServer("127.0.0.1:0")
		if err != nil {
			return err
		}
		s.ReadHandler(pack.ReadHandlerFunc(func(r pack.ReadRequest) {
			r.WriteSize(int64(len(file)))
			if _, err := r.Write(file); err != nil {
				r.WriteError(pack.ErrCodeNotDefined, err.Error())
			}
		}))
		return s.Serve(conn)
	case kindBare:
		return serveBare(conn, file)
	}
	return fmt.Errorf("no server is called %q", kind)
}

// A check is an io.Writer that compares what is written with a file.
type check struct {
	rest []byte
}

func (c *check) Write(p []byte) (int, error) {
	if len(p) > len(c.rest) || !bytes.Equal(p, c.rest[:len(p)]) {
		return 0, errors.New("what arrived differs")
	}
	c.rest = c.rest[len(p):]
	return len(p), nil
}

// getWithin reads the file and compares it. Clients that cannot be stopped are
// left alone after the limit.
func getWithin(o *order, addr string) error {
	w := &check{content(o.Size)}
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), o.Limit)
	defer cancel()
	go func() {
		err := getKind(ctx, o, addr, w)
		if err == nil && len(w.rest) > 0 {
			err = fmt.Errorf("%d bytes are missing", len(w.rest))
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(o.Limit + time.Second):
		return errors.New("it takes too long")
	}
}

func getKind(ctx context.Context, o *order, addr string, w *check) error {
	switch o.Kind {
	case kindOurs, kindSingle:
		c := &tftp.Client{Addr: addr, BlockSize: o.Block, WindowSize: o.Window}
		_, err := c.Get(ctx, "file", w)
		return errors.Join(err, c.Close())
	case kindPin:
		c, err := pin.NewClient(addr)
		if err != nil {
			return err
		}
		c.SetBlockSize(o.Block)
		r, err := c.Receive("file", "octet")
		if err != nil {
			return err
		}
		_, err = r.WriteTo(w)
		return err
	case kindPack:
		c, err := pack.NewClient(pack.ClientBlocksize(o.Block), pack.ClientWindowsize(o.Window))
		if err != nil {
			return err
		}
		r, err := c.Get("tftp://" + addr + "/file")
		if err != nil {
			return err
		}
		_, err = io.Copy(w, r)
		return err
	case kindBare:
		return getBare(addr, o.Block, w)
	}
	return fmt.Errorf("no client is called %q", o.Kind)
}

// bareTime is how long a bare transfer may last.
const bareTime = time.Minute

// serveBare answers a request, which says the block size, with the blocks of file,
// each after an ACK. Both sides write to and read from connected sockets.
func serveBare(conn *net.UDPConn, file []byte) error {
	request := make([]byte, 100)
	for {
		n, peer, err := conn.ReadFromUDPAddrPort(request)
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(string(request[:n]))
		if err != nil {
			return err
		}
		out, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(peer))
		if err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort([]byte(out.LocalAddr().String()), peer); err != nil {
			return err
		}
		if err := errors.Join(sendBare(out, file, size), out.Close()); err != nil {
			return err
		}
	}
}

func sendBare(conn *net.UDPConn, file []byte, size int) error {
	if err := conn.SetDeadline(time.Now().Add(bareTime)); err != nil {
		return err
	}
	packet, ack := make([]byte, 4+size), make([]byte, 10)
	for rest := file; ; {
		if _, err := conn.Read(ack); err != nil || len(rest) == 0 {
			return err
		}
		n := copy(packet[4:], rest)
		rest = rest[n:]
		if _, err := conn.Write(packet[:4+n]); err != nil {
			return err
		}
	}
}

func getBare(addr string, block int, w *check) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	b := make([]byte, 4+max(block, 100))
	n, err := requestBare(conn, addr, block, b)
	if err = errors.Join(err, conn.Close()); err != nil {
		return err
	}
	server := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(string(b[:n])))
	conn, err = net.DialUDP("udp4", conn.LocalAddr().(*net.UDPAddr), server)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(bareTime)); err != nil {
		return err
	}
	for ack := []byte{0, 4, 0, 0}; ; {
		if _, err := conn.Write(ack); err != nil || len(w.rest) == 0 {
			return err
		}
		n, err := conn.Read(b)
		if err != nil {
			return err
		}
		if _, err := w.Write(b[4:n]); err != nil {
			return err
		}
	}
}

// requestBare asks for the address that the blocks come from.
func requestBare(conn *net.UDPConn, addr string, block int, b []byte) (int, error) {
	if err := conn.SetDeadline(time.Now().Add(bareTime)); err != nil {
		return 0, err
	}
	if _, err := conn.WriteToUDPAddrPort(fmt.Append(nil, block), netip.MustParseAddrPort(addr)); err != nil {
		return 0, err
	}
	return conn.Read(b)
}
