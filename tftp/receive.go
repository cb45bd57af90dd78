package tftp

import (
	"encoding/binary"
	"io"
	"time"
)

// settleTime is how long a receiver waits, when blocks come again, for new ones
// behind them.
const settleTime = time.Millisecond

// A receiver receives a file in windows of blocks. It acknowledges the last block
// of a window, and at once the last block in order when it sees that one is
// missing (RFC 7440 section 4).
type receiver struct {
	*exchange
	size     int          // bytes a block
	window   int          // blocks
	most     int64        // bytes that are taken, or -1
	commit   func() error // stores the file, before the last ACK
	received int64        // all up to this block are here
	bytes    int64
	inWindow int    // blocks in order since the last ACK
	agreed   bool   // the peer sends blocks: an OACK need not be sent again
	seen     uint16 // the block that came last, in order or not
	told     bool   // the sender was told of a gap, and has not gone back yet
	owed     bool   // blocks came again, and nothing new since
	answer   []byte // what is sent again while nothing comes
	ack      [headerSize]byte
	pending  pending
	finished bool
}

// begin sends what lets the blocks come: an ACK of block 0, or an OACK.
func (r *receiver) begin(answer []byte) error {
	r.answer = answer
	r.start()
	return r.link.send(answer, len(answer))
}

// receive takes blocks until the last one.
func (r *receiver) receive() error {
	defer r.pending.free()
	for !r.finished {
		if !r.link.buffered() {
			if err := r.pause(); err != nil {
				return err
			}
		}
		due := r.due()
		if r.owed {
			if settled := time.Now().Add(settleTime); settled.Before(due) {
				due = settled
			}
		}
		p, err := r.link.receive(due)
		switch {
		case err == errTimeout:
			err = r.remind()
		case err == nil:
			err = r.take(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pause prepares for a wait.
func (r *receiver) pause() error {
	r.link.release()
	if r.inWindow > 0 {
		r.since = time.Now()
	}
	return r.pending.flush()
}

// remind tells the sender again what has arrived.
func (r *receiver) remind() error {
	r.told = false
	if r.owed {
		r.owed = false // also when nothing more may be repeated
		return r.acknowledge()
	}
	if r.inWindow == 0 {
		r.stats.Resent++
	}
	if err := r.again(); err != nil {
		return err
	}
	r.trip.backOff()
	return r.sendAnswer()
}

// take handles one packet of the peer.
func (r *receiver) take(p []byte) error {
	if err := peerSaid(p); err != nil {
		return err
	}
	if opcode(p) == OpOptionAck && r.received == 0 {
		return r.acknowledge() // the ACK of block 0 was lost
	}
	if opcode(p) != OpData || len(p) < headerSize {
		return nil
	}
	block, payload := binary.BigEndian.Uint16(p[2:]), p[headerSize:]
	r.agreed = true
	if len(payload) > r.size {
		return errLocal(CodeIllegal, "tftp: block of %d bytes, more than the agreed %d", len(payload), r.size)
	}
	if block == r.seen || block-r.seen >= 1<<15 {
		r.told = false // the sender has gone back
	}
	r.seen = block
	switch ahead := int(block - uint16(r.received+1)); {
	case ahead == 0:
		return r.next(payload)
	case r.window == 1:
		if block == uint16(r.received) {
			return r.acknowledge()
		}
	case ahead >= r.window:
		r.owed = true // a block of before: an ACK was lost, unless new ones follow
	case !r.told:
		r.told = true
		return r.acknowledge()
	}
	return nil
}

// next takes the block that is next in order.
func (r *receiver) next(payload []byte) error {
	if r.inWindow > 0 {
		r.clean = false // only the first block answers an ACK
	}
	r.heard()
	r.owed = false
	r.received++
	r.inWindow++
	r.bytes += int64(len(payload))
	if r.most >= 0 && r.bytes > r.most {
		return errLocal(CodeDiskFull, "tftp: upload exceeds the limit of %d bytes", r.most)
	}
	last := len(payload) < r.size
	if !last && r.inWindow >= r.window {
		if err := r.acknowledge(); err != nil {
			return err
		}
	}
	if err := r.pending.write(payload, last || !r.link.buffered()); err != nil {
		return err
	}
	r.done(r.received, r.bytes)
	if !last {
		return nil
	}
	if r.commit != nil {
		if err := r.commit(); err != nil {
			return err
		}
	}
	r.finished = true
	return r.acknowledge()
}

// acknowledge sends the ACK of what is here, or repeats the last one.
func (r *receiver) acknowledge() error {
	if r.inWindow > 0 {
		r.start()
	} else if !r.repeat() {
		return nil
	} else {
		r.stats.Resent++
	}
	return r.sendAnswer()
}

// sendAnswer sends the ACK of what is here, and a new window begins.
func (r *receiver) sendAnswer() error {
	r.inWindow = 0
	r.owed = false
	if r.received > 0 || r.agreed {
		r.answer = appendHeader(r.ack[:0], OpAck, uint16(r.received))
	}
	return r.link.send(r.answer, len(r.answer))
}

// dally repeats the last ACK while the peer has not got it (RFC 1350 section 6). It
// returns when the peer has not sent the last block for long enough, or says that it is
// over.
func (r *receiver) dally(long time.Duration) {
	r.asked = 0
	end := time.Now().Add(long)
	for {
		r.link.release()
		p, err := r.link.receive(end)
		if err != nil || opcode(p) == OpError {
			return
		}
		again := opcode(p) == OpData && len(p) >= headerSize && binary.BigEndian.Uint16(p[2:]) == uint16(r.received)
		if !again {
			continue
		}
		if !r.repeat() || r.sendAnswer() != nil {
			return
		}
		end = time.Now().Add(long)
	}
}

// pending are blocks that arrived together, and are written together.
type pending struct {
	w   io.Writer
	run *run
	n   int
}

// write writes p, or keeps it until more has come or flush is set.
func (p *pending) write(b []byte, flush bool) error {
	if p.n == 0 && flush {
		return p.writeOut(b)
	}
	if p.n+len(b) > maxRunBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if p.run == nil {
		p.run = runs.Get().(*run)
	}
	p.n += copy(p.run[p.n:], b)
	if flush {
		return p.flush()
	}
	return nil
}

func (p *pending) flush() error {
	if p.n == 0 {
		return nil
	}
	n := p.n
	p.n = 0
	return p.writeOut(p.run[:n])
}

func (p *pending) writeOut(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return writeAll(p.w, b)
}

func (p *pending) free() {
	if p.run != nil {
		runs.Put(p.run)
		p.run = nil
	}
}
