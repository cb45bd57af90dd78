package tftp

import (
	"context"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

// holdTime is for how long the only transfer of a client may hold the only
// processor while it waits for a block. In lock step the way of a goroutine to
// sleep and back costs a third of the time; with more processors it costs less
// than to wake a thread.
const holdTime = 2 * time.Millisecond

// A dialog is one request of a client, and the transfer that follows.
type dialog struct {
	exchange
	client  *Client
	server  netip.AddrPort
	asked   []Option // none if they were refused before
	refused bool     // because of the options
	terms   terms
	first   []byte    // the DATA that answered a request without options
	agreed  bool      // an OACK came
	stored  *receiver // of a Get that has ended well
}

// run opens the socket, does the transfer and closes it.
func (d *dialog) run(ctx context.Context, do func(*dialog) error) error {
	d.stats = Stats{Size: -1}
	conn, err := d.listen(ctx)
	if err != nil {
		return err
	}
	config := d.readerConfig(conn)
	if runtime.GOMAXPROCS(0) == 1 && d.client.running.Load() == 1 {
		config.Hold = holdTime
	}
	s := newSocket(conn, d.server, config)
	s.anyPort = true
	d.progress = d.client.Progress
	d.init(s, timeoutOr(d.client.Timeout), retriesOr(d.client.Retries))
	d.firstRetries = d.retries
	ended := context.AfterFunc(ctx, func() {
		s.stop(&Error{Code: CodeUndefined, Message: "transfer was aborted"}, context.Cause(ctx))
	})
	if err = do(d); err != nil {
		d.tell(err)
	}
	if ended() && d.stored != nil {
		d.client.dally(s, d.stored)
	} else {
		s.close()
	}
	return err
}

// listen opens the socket.
func (d *dialog) listen(ctx context.Context) (net.PacketConn, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	network := "udp6"
	if d.server.Addr().Is4() {
		network = "udp4"
	}
	if d.client.ListenPacket != nil {
		return d.client.ListenPacket(ctx, network, ":0")
	}
	return net.ListenUDP(network, nil)
}

// readerConfig makes room for the blocks that are asked for, and asks for no
// larger window than there is room for.
func (d *dialog) readerConfig(conn net.PacketConn) udpio.Config {
	blockSize, window := defaultBlockSize, 1
	for i, o := range d.asked {
		n, _ := strconv.Atoi(o.Value) // which options made
		switch o.Name {
		case OptionBlockSize:
			blockSize = n
		case OptionWindowSize:
			window = min(n, max(1, maxWindowBytes/blockSize))
			if cost := windowCost(blockSize, window); window > 1 {
				if granted := udpio.SetReadBuffer(conn, cost); granted > 0 && granted < cost {
					window = max(1, int(int64(window)*int64(granted)/int64(cost)))
				}
			}
			d.asked[i].Value = strconv.Itoa(window)
		}
	}
	return readerConfig(blockSize, window)
}

// get reads a file.
func (d *dialog) get(name string, w io.Writer) error {
	r := &receiver{exchange: &d.exchange, pending: pending{w: w}, most: -1}
	mode := ModeOctet
	if d.client.Netascii {
		mode = ModeNetascii
		text := &netasciiDecoder{w: w}
		r.pending.w, r.commit = text, text.end
	}
	if err := d.request(&ReadReq{Name: name, Mode: mode, Options: d.options(0)}); err != nil {
		return err
	}
	r.size, r.window = d.terms.blockSize, d.terms.window
	var err error
	if d.agreed {
		err = r.begin(appendHeader(nil, OpAck, 0))
	} else {
		err = r.take(d.first)
	}
	if err == nil {
		err = r.receive()
	}
	if err == nil {
		d.stored = r
	}
	return err
}

// put writes a file.
func (d *dialog) put(name string, file io.Reader) error {
	c := contentOf(file)
	mode := ModeOctet
	if d.client.Netascii {
		mode, c, file = ModeNetascii, content{size: -1}, &netasciiEncoder{r: file}
	}
	if err := d.request(&WriteReq{Name: name, Mode: mode, Options: d.options(c.size)}); err != nil {
		return err
	}
	out := sender{
		exchange: &d.exchange, size: d.terms.blockSize, window: d.terms.window,
		blocks: newBlocks(file, c, d.terms.blockSize, d.terms.window),
	}
	return out.send()
}

// options returns those to ask for, tsize among them if size is known.
func (d *dialog) options(size int64) []Option {
	if len(d.asked) > 0 && size >= 0 && !d.client.Netascii {
		d.asked = append(d.asked, Option{OptionSize, strconv.FormatInt(size, 10)})
	}
	return d.asked
}

// request sends the request until the server answers.
func (d *dialog) request(p Packet) error {
	packet, err := p.AppendBinary(nil)
	if err != nil {
		return err
	}
	d.terms = terms{blockSize: defaultBlockSize, window: 1, timeout: d.trip.most, size: -1}
	reading := p.Opcode() == OpReadReq
	err = d.ask(packet, func(p []byte) (bool, error) { return d.answer(p, reading) })
	d.stats.BlockSize, d.stats.WindowSize = d.terms.blockSize, d.terms.window
	d.stats.Timeout, d.stats.Size = d.terms.timeout, d.terms.size
	d.trip.most = d.terms.timeout
	return err
}

// answer handles a packet that may be the answer to the request.
func (d *dialog) answer(p []byte, reading bool) (bool, error) {
	switch op := opcode(p); {
	case op == OpError:
		err := peerSaid(p)
		if peer, ok := err.(*peerError); ok && len(d.asked) > 0 {
			// What servers answer that know no options, or not these.
			code := peer.said.Code
			d.refused = code == CodeOption || code == CodeIllegal || code == CodeUndefined
		}
		return false, err
	case op == OpOptionAck && len(d.asked) > 0:
		o, err := parseOptionAck(p)
		if err != nil {
			return false, nil
		}
		d.agreed = true
		return true, d.settle(o.Options)
	case op == OpData && reading && len(p) >= headerSize && p[2] == 0 && p[3] == 1:
		d.first = p
		return true, nil
	case op == OpAck && !reading:
		block, ok := ackBlock(p)
		return ok && block == 0, nil
	}
	return false, nil
}

// settle takes the options of an OACK. A server may lower a block size and a window,
// and agree to nothing that it was not asked for (RFC 2347, 2348, 7440).
func (d *dialog) settle(agreed []Option) error {
	for i, o := range agreed {
		value, ok := lookup(d.asked, o.Name)
		if _, again := lookup(agreed[:i], o.Name); again || !ok {
			return errLocal(CodeOption, "tftp: server agrees to the option %q, which was not asked for", o.Name)
		}
		most, _ := strconv.ParseInt(value, 10, 64) // which options made
		least := int64(0)
		switch strings.ToLower(o.Name) {
		case OptionBlockSize:
			least = minBlockSize
		case OptionWindowSize:
			least = 1
		case OptionTimeout:
			least = most
		case OptionSize:
			most = maxSize
		}
		n, ok := parseNumber(o.Value, least, most)
		if !ok {
			return errLocal(CodeOption, "tftp: server agrees to %s %q, asked for %s", strings.ToLower(o.Name), o.Value, value)
		}
		switch strings.ToLower(o.Name) {
		case OptionBlockSize:
			d.terms.blockSize = int(n)
		case OptionWindowSize:
			d.terms.window = int(n)
		case OptionTimeout:
			d.terms.timeout = time.Duration(n) * time.Second
		case OptionSize:
			d.terms.size = n
		}
	}
	return nil
}
