package tftp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/netparts/netparts/internal/udpio"
)

// errPanic is the cause of the end for an Upload whose hook panicked.
var errPanic = errors.New("tftp: a hook panicked")

// serve does what the request asks for.
func (t *transfer) serve(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanic, v)
			t.fail(err)
			t.listener.server.logger().Error("panic in a hook",
				"name", loggable(t.result.Request.Name), "panic", loggable(fmt.Sprint(v)), "stack", string(debug.Stack()))
		}
	}()
	t.stats.Size = -1
	if t.result.Write {
		err = t.takeUpload(ctx)
	} else {
		err = t.sendFile(ctx)
	}
	if err != nil {
		t.fail(err)
	}
	return err
}

// fail tells the peer of err. Shortage is not told, so that the client asks again.
func (t *transfer) fail(err error) {
	switch {
	case t.link != nil:
		t.tell(err)
	case !isPassing(err) && t.live():
		t.listener.refuse(t.id, report(err))
	}
}

// live reports whether nobody has stopped the transfer.
func (t *transfer) live() bool {
	s := t.listener.server
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.stopErr == nil
}

// sendFile serves a read request.
func (t *transfer) sendFile(ctx context.Context) error {
	s := t.listener.server
	if s.Open == nil {
		return errLocal(CodeAccess, "tftp: this server has no files to read")
	}
	file, err := s.Open(ctx, &t.result.Request)
	if err != nil {
		return err
	}
	defer file.Close()

	var reader io.Reader = file
	c := contentOf(file)
	if t.result.Request.Mode == ModeNetascii {
		reader, c = &netasciiEncoder{r: file}, content{size: -1}
	}
	t.agree(c.size)
	if err := t.connect(ctx, c.quick); err != nil {
		return err
	}
	if port, ok := t.link.(*port); ok {
		defer port.yield()
	}
	if len(t.taken) > 0 {
		if probe, err := t.offerOptions(); probe || err != nil {
			return err
		}
	}
	return t.sendBlocks(newBlocks(reader, c, t.terms.blockSize, t.terms.window))
}

func (t *transfer) sendBlocks(b blocks) error {
	out := sender{exchange: &t.exchange, blocks: b, size: t.terms.blockSize, window: t.terms.window}
	return out.send()
}

// offerOptions sends the OACK of a read request until it is accepted. It reports
// a probe if the client wanted nothing but the size.
func (t *transfer) offerOptions() (probe bool, err error) {
	packet, err := (&OptionAck{Options: t.taken}).AppendBinary(nil)
	if err != nil {
		return false, err
	}
	err = t.ask(packet, func(p []byte) (bool, error) {
		block, ok := ackBlock(p)
		return ok && block == 0, peerSaid(p)
	})
	peer, ok := errors.AsType[*peerError](err)
	if _, size := lookup(t.taken, OptionSize); ok && size && peer.said.Code == CodeOption {
		t.result.Probe = true
		return true, nil
	}
	return false, err
}

// takeUpload serves a write request.
func (t *transfer) takeUpload(ctx context.Context) (err error) {
	s := t.listener.server
	t.agree(-1)
	t.result.Request.Size = t.terms.size
	most := s.maxFileSize()
	switch {
	case s.Create == nil:
		return errLocal(CodeAccess, "tftp: this server takes no uploads")
	case most >= 0 && t.terms.size > most:
		return errLocal(CodeDiskFull, "tftp: upload of %d bytes exceeds the limit of %d", t.terms.size, most)
	}
	upload, err := s.Create(ctx, &t.result.Request)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			upload.Abort(cmp.Or(err, errPanic)) // without an error only a panic ends here
		}
	}()
	if err = t.connect(ctx, false); err != nil {
		return err
	}
	r := &receiver{
		exchange: &t.exchange, pending: pending{w: upload},
		size: t.terms.blockSize, window: t.terms.window, most: most,
	}
	var text *netasciiDecoder
	if t.result.Request.Mode == ModeNetascii {
		text = &netasciiDecoder{w: upload}
		r.pending.w = text
	}
	r.commit = func() error {
		if text != nil {
			if err := text.end(); err != nil {
				return err
			}
		}
		committed = true
		return upload.Commit()
	}
	if err = t.receiveBlocks(r); err == nil {
		t.stored = r
	}
	return err
}

// receiveBlocks accepts the request and takes the blocks.
func (t *transfer) receiveBlocks(r *receiver) error {
	first := appendHeader(nil, OpAck, 0)
	if len(t.taken) > 0 {
		var err error
		if first, err = (&OptionAck{Options: t.taken}).AppendBinary(nil); err != nil {
			return err
		}
	}
	if err := r.begin(first); err != nil {
		return err
	}
	return r.receive()
}

// agree settles the terms of the transfer.
func (t *transfer) agree(size int64) {
	s := t.listener.server
	t.terms, t.taken = offer{
		maxBlockSize: s.maxBlockSize(), maxWindow: s.maxWindow(), timeout: s.timeout(),
		size: size, reading: !t.result.Write,
	}.agree(t.result.Request.Options)
	t.stats.BlockSize, t.stats.WindowSize = t.terms.blockSize, t.terms.window
	t.stats.Timeout, t.stats.Size = t.terms.timeout, t.terms.size
}

// connect makes the link to the peer. The source is quick if no read of it blocks
// for long.
func (t *transfer) connect(ctx context.Context, quick bool) error {
	l, s := t.listener, t.listener.server
	var way link
	if s.SinglePort {
		t.clamp(l.granted)
		room := 16
		if t.result.Write {
			room += 2 * t.terms.window
		}
		way = newPort(l, t.id, room, quick)
	} else {
		conn, err := l.listenPacket(ctx, t.id)
		if err != nil {
			return err
		}
		blockSize := 0
		if t.result.Write {
			blockSize = t.terms.blockSize
			if t.terms.window > 1 {
				t.clamp(udpio.SetReadBuffer(conn, windowCost(blockSize, t.terms.window)))
			}
		}
		way = newSocket(conn, t.id.peer, readerConfig(blockSize, t.terms.window))
	}
	t.init(way, t.terms.timeout, retriesOr(s.Retries))
	t.first = t.confirm

	s.mu.Lock()
	defer s.mu.Unlock()
	if t.stopErr != nil {
		way.stop(nil, t.stopErr)
	}
	t.way = way
	return t.stopErr
}

// confirm notes that the peer has answered.
func (t *transfer) confirm() {
	s := t.listener.server
	s.mu.Lock()
	defer s.mu.Unlock()
	t.heardOf()
}

// clamp makes the window of an upload fit into granted bytes of receive buffer.
func (t *transfer) clamp(granted int) {
	cost := windowCost(t.terms.blockSize, t.terms.window)
	if !t.result.Write || t.terms.window == 1 || granted <= 0 || cost <= granted {
		return
	}
	t.terms.window = max(1, int(int64(t.terms.window)*int64(granted)/int64(cost)))
	t.stats.WindowSize = t.terms.window
	for i := range t.taken {
		if strings.EqualFold(t.taken[i].Name, OptionWindowSize) {
			t.taken[i].Value = strconv.Itoa(t.terms.window)
		}
	}
}

// listenPacket opens the socket of a transfer, on the address that was asked.
func (l *listener) listenPacket(ctx context.Context, id tid) (net.PacketConn, error) {
	from := id.local
	network := "udp6"
	if id.peer.Addr().Is4() {
		network = "udp4"
	}
	if hook := l.server.ListenPacket; hook != nil {
		host := ""
		if from.IsValid() {
			host = from.String()
		}
		return hook(ctx, network, net.JoinHostPort(host, "0"))
	}
	return net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
}
