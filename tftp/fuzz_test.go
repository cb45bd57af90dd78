package tftp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tftp"
)

// Whatever Parse accepts can be encoded again, and means the same then.
func FuzzParse(f *testing.F) {
	f.Add([]byte("\x00\x01test.svg\x00octet\x00"))                                     // RRQ
	f.Add([]byte("\x00\x01a\x00netascii\x00blksize\x001428\x00windowsize\x0016\x00"))  // RRQ with options
	f.Add([]byte("\x00\x02a\x00mail\x00tsize\x0099999999999999999999\x00\x00\x00"))    // WRQ with padding
	f.Add([]byte("\x00\x03\x00\x01payload"))                                           // DATA
	f.Add([]byte("\x00\x04\xff\xff"))                                                  // ACK
	f.Add([]byte("\x00\x05\x00\x01no such file\x00"))                                  // ERROR
	f.Add([]byte("\x00\x05\x00\x01not ended"))                                         // ERROR without its NUL
	f.Add([]byte("\x00\x06tsize\x0012\x00TIMEOUT\x001\x00"))                           // OACK
	f.Add([]byte("\x00\x01"))                                                          // what killed another server
	f.Add([]byte("\x00\x01a\x00octet\x00blksize\x0065464\x00windowsize\x0065535\x00")) // what asks for 4 GiB
	f.Fuzz(func(t *testing.T, b []byte) {
		packet, err := tftp.Parse(b)
		if err != nil {
			if !errors.Is(err, tftp.ErrMalformed) || packet != nil {
				t.Fatalf("Parse = %v, %v", packet, err)
			}
			return
		}
		wire, err := packet.AppendBinary(nil)
		if err != nil {
			t.Fatalf("%#v cannot be encoded: %v", packet, err)
		}
		again, err := tftp.Parse(wire)
		if said, ok := packet.(*tftp.Error); ok && (said.Message == "" || len(said.Message) > 500) {
			return // the text of the code was sent, or a part of the message
		}
		if err != nil || !reflect.DeepEqual(again, packet) {
			t.Fatalf("%#v became %#v, %v", packet, again, err)
		}
	})
}

// A peer is what the fuzzer makes of a script: each byte is a packet that is sent
// when another one came, or after silence.
type peer struct {
	conn   *memnet.PacketConn
	script []byte
	to     net.Addr
	last   []byte
}

// play answers packets until the script ends and nothing has come for a minute.
func (p *peer) play() {
	buf := make([]byte, 70_000)
	for {
		if p.conn.SetReadDeadline(time.Now().Add(time.Minute)) != nil {
			return
		}
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		p.to, p.last = from, bytes.Clone(buf[:n])
		if len(p.script) == 0 {
			continue
		}
		for range 1 + p.script[0]>>6 {
			p.step()
		}
	}
}

// step sends the next packet of the script: what a proper peer would answer, changed in
// block, length or kind.
func (p *peer) step() {
	if len(p.script) == 0 {
		return
	}
	c := p.script[0]
	p.script = p.script[1:]
	block := uint16(0)
	if len(p.last) >= 4 {
		block = binary.BigEndian.Uint16(p.last[2:])
	}
	var b []byte
	switch c & 15 {
	case 0, 1, 2: // the answer to a block
		b = append(b, 0, 4, byte(block>>8), byte(block))
	case 3, 4: // a block after an ACK
		block++
		b = append(append(b, 0, 3, byte(block>>8), byte(block)), make([]byte, 512)...)
	case 5: // the last block
		block++
		b = append(b, 0, 3, byte(block>>8), byte(block), 'x')
	case 6:
		b = append(b, 0, 4, byte((block-1)>>8), byte(block-1))
	case 7:
		b = append(append(b, 0, 3, byte(block>>8), byte(block)), make([]byte, 8)...)
	case 8:
		b = append(b, 0, 4, c)
	case 9:
		b = append(b, "\x00\x06blksize\x008\x00windowsize\x002\x00"...)
	case 10:
		b = append(b, "\x00\x06blksize\x0099\x00"...)
	case 11:
		b = append(b, 0, 5, 0, c>>4, 'e', 0)
	case 12:
		b = append(b, p.last...)
	case 13:
		b = append(append(b, 0, 3, 0, 1), make([]byte, 1000)...)
	case 14:
		b = append(b, "\x00\x01f\x00octet\x00tsize\x000\x00"...)
	default:
		b = append(b, p.script[:min(len(p.script), int(c>>4))]...)
	}
	_, _ = p.conn.WriteTo(b, p.to) // the other side may have gone
}

// Whatever a client sends, the server neither panics nor goes on for ever, closes
// what it opened, and commits or aborts each upload once.
func FuzzServer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0}, false, uint8(1))                       // a whole read
	f.Add([]byte{3, 3, 5}, true, uint8(1))                           // a whole write
	f.Add([]byte{0, 0, 6, 6, 0x40, 0}, false, uint8(4))              // gaps and duplicates
	f.Add([]byte{11}, false, uint8(2))                               // a size probe
	f.Add([]byte{3, 13}, true, uint8(1))                             // a block that is too long
	f.Add([]byte{15, 8, 12, 14, 0xf0 | 15, 1, 2, 3}, true, uint8(8)) // nonsense
	f.Add([]byte{0xc0, 0xc0, 0xc3, 0xc3, 0xc5}, true, uint8(2))      // bursts
	f.Fuzz(func(t *testing.T, script []byte, write bool, window uint8) {
		synctest.Test(t, func(t *testing.T) {
			var s store
			p := newPath(nil, seekable{bytes.NewReader(random(1500))}, &s)
			opened, closed := 0, 0
			p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) {
				opened++
				return countedClose{bytes.NewReader(random(1500)), &closed}, nil
			}
			created := 0
			p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) {
				created++
				return &s, nil
			}
			conn, err := p.net.ListenPacket("udp", "192.0.2.2:2000")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			p.serve(t, func() {
				to := net.UDPAddrFromAddrPort(serverAddr)
				peer := &peer{conn: conn, script: script[:min(len(script), 64)], to: to}
				request := "\x00\x01f\x00octet\x00windowsize\x00" + string('0'+rune(window%10)) + "\x00tsize\x000\x00"
				if write {
					request = "\x00\x02" + request[2:]
				}
				if _, err := conn.WriteTo([]byte(request), to); err != nil {
					t.Fatal(err)
				}
				peer.play()
			})
			if opened != closed || s.committed+s.aborted != created {
				t.Errorf("%d files opened, %d closed; %d uploads, %d committed, %d aborted", opened, closed, created, s.committed, s.aborted)
			}
		})
	})
}

type countedClose struct {
	*bytes.Reader
	n *int
}

func (c countedClose) Close() error { *c.n++; return nil }

// Whatever a server sends, the client ends, and never takes less than the file for
// all of it.
func FuzzClient(f *testing.F) {
	f.Add([]byte{5}, false)                         // a file of one byte
	f.Add([]byte{9, 3, 3, 5}, false)                // with options
	f.Add([]byte{10}, false)                        // options that were not asked for
	f.Add([]byte{0, 0, 0, 0}, true)                 // a whole write
	f.Add([]byte{9, 0, 6, 6, 0}, true)              // with options and duplicates
	f.Add([]byte{0x4b, 0x4b, 0x8b}, false)          // errors
	f.Add([]byte{3, 12, 0xcc, 13, 15, 2, 7}, false) // nonsense
	f.Fuzz(func(t *testing.T, script []byte, write bool) {
		synctest.Test(t, func(t *testing.T) {
			p := newPath(nil, nil, nil)
			conn, err := p.net.ListenPacket("udp", serverAddr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				(&peer{conn: conn, script: script[:min(len(script), 64)]}).play()
			}()
			var out bytes.Buffer
			stats, err := p.client.Get(t.Context(), "f", &out)
			if write {
				stats, err = p.client.Put(t.Context(), "f", bytes.NewReader(random(1500)))
			}
			if err == nil && !write && (stats.Bytes != int64(out.Len()) || stats.Blocks != int64(out.Len()/stats.BlockSize+1)) {
				t.Errorf("Get = %+v with %d bytes", stats, out.Len())
			}
			if err := p.client.Wait(t.Context()); err != nil {
				t.Errorf("Wait: %v", err)
			}
			<-done
		})
	})
}
