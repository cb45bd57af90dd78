package tftp

import "time"

// A sender sends a file in windows of blocks (RFC 7440; plain RFC 1350 is a
// window of one). A window is sent whole, then its last ACK is waited for.
//
// Numbers of blocks count on beyond 65535 here; on the wire they roll over to 0.
type sender struct {
	*exchange
	blocks blocks
	size   int   // bytes a block
	window int   // blocks
	acked  int64 // all up to this block have arrived
	sent   int64 // the last block of the window under way
	most   int64 // the highest block that was ever sent
	before int64 // most, when the window was begun
	early  bool  // an ACK came too soon to be an answer to the window
}

// send sends everything and returns when the last block is acknowledged.
func (s *sender) send() error {
	for {
		if err := s.sendWindow(); err != nil {
			return err
		}
		if err := s.awaitAck(); err != nil {
			return err
		}
		last, known := s.blocks.last()
		if known && s.acked == last {
			return nil
		}
	}
}

// sendWindow sends what follows the last block acknowledged.
func (s *sender) sendWindow() error {
	end := s.acked + int64(s.window)
	s.before, s.early = s.most, false
	for next := s.acked + 1; next <= end; {
		n, err := s.sendRun(next, end)
		if err != nil {
			return err
		}
		s.stats.Resent += max(0, min(next+n-1, s.most)-next+1)
		next += n
		s.sent = next - 1
		s.most = max(s.most, s.sent)
		if last, known := s.blocks.last(); known {
			end = min(end, last)
		}
		if next <= end {
			s.since = time.Now()
		}
	}
	return nil
}

// sendRun sends blocks from next on, up to end at most, and returns how many.
func (s *sender) sendRun(next, end int64) (int64, error) {
	s.link.hold()
	defer s.link.letGo()
	packets, n, err := s.blocks.packets(next, end)
	if err != nil {
		return 0, err
	}
	defer s.blocks.release()
	if next == s.acked+1 && s.tries == 0 && s.asked == 0 {
		s.start() // not earlier: the source may have been slow
	}
	return n, s.link.send(packets, s.size+headerSize)
}

// awaitAck returns when a window must be sent: the next one, or what a gap or
// the timer asks for again.
func (s *sender) awaitAck() error {
	s.link.release()
	for {
		due := s.due()
		if usual := s.began.Add(s.trip.usual()); s.early && usual.Before(due) {
			due = usual
		}
		p, err := s.link.receive(due)
		if err == errTimeout {
			return s.sendAgain()
		}
		if err != nil {
			return err
		}
		if err := peerSaid(p); err != nil {
			return err
		}
		if block, ok := ackBlock(p); ok {
			if goOn, err := s.take(block); goOn || err != nil {
				return err
			}
		}
	}
}

// sendAgain notes that a window is sent again because its time is over. If an ACK
// was taken for too early to be its answer, that may have been wrong.
func (s *sender) sendAgain() error {
	if s.early && s.repeat() {
		s.trip.least /= 2
		return nil
	}
	if err := s.again(); err != nil {
		return err
	}
	s.trip.backOff()
	return nil
}

// take reports whether an ACK of block is a reason to send a window.
//
// An ACK of less than the whole window says that the block after it is missing.
// The same ACK may come twice, by the network or from a receiver that sends one
// for each block it cannot use, and must not cause the window to be sent twice:
// that would double all traffic from there on, the Sorcerer's Apprentice Syndrome
// of RFC 1123 section 4.2.3.1. With a window of one an ACK of the block before
// is therefore never an answer. With larger windows it is one only when it comes
// no sooner than an answer to the window can.
func (s *sender) take(block uint16) (bool, error) {
	forward := int64(block - uint16(s.acked))
	if forward > s.sent-s.acked {
		return false, nil // of the past, or never sent
	}
	whole := forward == s.sent-s.acked
	soon := s.acked+forward <= s.before && s.soon()
	if forward > 0 {
		s.clean = s.clean && !soon
		s.heard()
		s.progressTo(s.acked + forward)
	}
	switch {
	case whole:
		return true, nil
	case s.window == 1:
		return false, nil
	case soon:
		s.early = true
		if forward > 0 {
			s.trip.least -= s.trip.least / 4 // which is too long, if that goes on
		}
		return false, nil
	case forward > 0:
		return true, nil
	}
	return s.repeat(), nil // the same gap again
}

// soon reports whether an ACK that comes now cannot be an answer to the window
// under way. Half the shortest round trip leaves room for one that got shorter.
func (s *sender) soon() bool {
	return time.Since(s.began) < s.trip.least/2
}

func (s *sender) progressTo(block int64) {
	s.acked = block
	s.blocks.acked(block)
	bytes := block * int64(s.size)
	if last, known := s.blocks.last(); known && block == last {
		bytes = s.blocks.total()
	}
	s.done(block, bytes)
}
