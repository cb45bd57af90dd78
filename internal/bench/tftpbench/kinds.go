//go:build linux

package tftpbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	pack "pack.ag/tftp"

	pin "github.com/pin/tftp/v3"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tftp"
)

// The kinds of servers and clients, besides [lab.Ours].
const (
	kindSingle = "ours-single" // with one port for all transfers
	kindStream = "ours-stream" // from a source that can only be read once
	kindPin    = "pin"
	kindPack   = "pack"
	kindBare   = "bare" // ping-pong of the same packets, with nothing of a protocol
)

// isOurs tells the kinds that must not fail.
func isOurs(kind string) bool {
	return kind == lab.Ours || kind == kindSingle || kind == kindStream
}

// serveKind serves file under each name, until it fails.
func serveKind(kind string, conn *net.UDPConn, file []byte) error {
	switch kind {
	case lab.Ours, kindSingle, kindStream:
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
			// In pieces, as a file is copied: of what is written at once it makes a copy.
			if _, err := io.CopyBuffer(r, struct{ io.Reader }{bytes.NewReader(file)}, make([]byte, min(len(file), 32<<10))); err != nil {
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
	w := &check{lab.Content(o.Size)}
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
	case <-ctx.Done():
	}
	if isOurs(o.Kind) {
		return <-done
	}
	return errSlow
}

func getKind(ctx context.Context, o *order, addr string, w *check) error {
	switch o.Kind {
	case lab.Ours, kindSingle, kindStream:
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

// patience is how long a transfer may last of which nobody expects a failure.
const patience = time.Minute
