package dns

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxUDP is what a message over UDP has at most, unless the two agree on more (RFC 1035,
	// section 4.2.1).
	maxUDP = 512

	// patience is how long a server has for its first answer, before it is asked once more. It
	// is twice as long each time, so that an answer that takes its time is heard in the end.
	patience = 500 * time.Millisecond

	// attempts is how many times it is asked.
	attempts = 4
)

// errOther is the error for a message that does not answer the question.
var errOther = errors.New("dns: the message is no answer to the question")

// SOA returns the record with which a zone starts: who is responsible for it, and how
// long others may keep what they know of it. Package net has no call for it.
func SOA(ctx context.Context, server, zone string) (*dnsmessage.SOAResource, error) {
	m, err := Ask(ctx, server, zone, dnsmessage.TypeSOA)
	if err != nil {
		return nil, err
	}
	for _, r := range m.Answers {
		if soa, ok := r.Body.(*dnsmessage.SOAResource); ok {
			return soa, nil
		}
	}
	return nil, &net.DNSError{Err: "no such record", Name: zone, Server: server, IsNotFound: true}
}

// Ask sends a server the question for the records of a name, which ends with a dot, and
// returns its answer. It asks over UDP, again when nothing comes, and over TCP when the
// answer did not fit. An answer that tells of a failure is a [*net.DNSError], as of
// package net.
func Ask(ctx context.Context, server, name string, kind dnsmessage.Type) (*dnsmessage.Message, error) {
	q := dnsmessage.Question{Type: kind, Class: dnsmessage.ClassINET}
	var err error
	if q.Name, err = dnsmessage.NewName(name); err != nil || !strings.HasSuffix(name, ".") {
		return nil, &net.DNSError{Err: "no name that ends with a dot", Name: name, Server: server}
	}
	m, err := exchange(ctx, server, q)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil:
		return m, failure(m, name, server)
	}
	timeout := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
	return nil, &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: name, Server: server, IsTimeout: timeout, IsTemporary: true}
}

// failure returns what the code of an answer means, in the words of package net.
func failure(m *dnsmessage.Message, name, server string) error {
	switch m.RCode {
	case dnsmessage.RCodeSuccess:
		return nil
	case dnsmessage.RCodeNameError:
		return &net.DNSError{Err: "no such host", Name: name, Server: server, IsNotFound: true}
	}
	temporary := m.RCode == dnsmessage.RCodeServerFailure
	return &net.DNSError{Err: "the server says " + m.RCode.String(), Name: name, Server: server, IsTemporary: temporary}
}

// exchange asks until there is an answer. It takes another number for each attempt, so that one
// who does not see the questions has to guess anew.
func exchange(ctx context.Context, server string, q dnsmessage.Question) (*dnsmessage.Message, error) {
	var err error
	for i := range attempts {
		var m *dnsmessage.Message
		m, err = once(ctx, "udp", server, q, patience<<i)
		if err == nil && m.Truncated {
			m, err = once(ctx, "tcp", server, q, patience<<i)
		}
		if err == nil || ctx.Err() != nil {
			return m, err
		}
	}
	return nil, err
}

// once sends a question and waits for the answer.
func once(ctx context.Context, network, server string, q dnsmessage.Question, wait time.Duration) (*dnsmessage.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var d net.Dialer
	// The socket is connected, so that nobody else can answer without forging an address.
	conn, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close() // nothing is to be written that could fail to be
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0)) // it fails when the connection is closed, and needs no deadline
	})
	defer stop()
	id := make([]byte, 2)
	_, _ = rand.Read(id) // never fails
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: binary.BigEndian.Uint16(id), RecursionDesired: true},
		Questions: []dnsmessage.Question{q},
	}
	packed, err := m.Pack()
	if err != nil {
		return nil, err
	}
	if network == "tcp" {
		return overTCP(conn, packed)
	}
	return overUDP(conn, packed)
}

// overUDP waits for the answer, and passes over what is none: it may be late, of an
// earlier question, or forged.
func overUDP(conn io.ReadWriter, question []byte) (*dnsmessage.Message, error) {
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	b := make([]byte, maxUDP)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return nil, err
		}
		if m, err := parse(b[:n], question); err == nil {
			return m, nil
		}
	}
}

// overTCP sends and reads one message. A stream has no boundaries, so that each message has its
// length before it, in two bytes.
func overTCP(conn io.ReadWriter, question []byte) (*dnsmessage.Message, error) {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(question)))
	if _, err := conn.Write(append(b, question...)); err != nil {
		return nil, err
	}
	answer, err := readMessage(conn, 1<<16)
	if err != nil {
		return nil, err
	}
	return parse(answer, question)
}

// readMessage reads a message with its length before it.
func readMessage(r io.Reader, limit int) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > limit {
		return nil, fmt.Errorf("dns: a message of %d bytes exceeds the limit of %d", n, limit)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("dns: cut message: %w", err)
	}
	return b, nil
}

// parse returns the message that answers a question: it has its number and repeats it. The
// case of letters does not matter in names.
func parse(answer, question []byte) (*dnsmessage.Message, error) {
	var q, m dnsmessage.Message
	if err := q.Unpack(question); err != nil {
		return nil, err
	}
	if len(answer) < 2 || !bytes.Equal(answer[:2], question[:2]) {
		return nil, errOther
	}
	if err := m.Unpack(answer); err != nil {
		return nil, err
	}
	if !m.Response || len(m.Questions) != 1 {
		return nil, errOther
	}
	got, want := m.Questions[0], q.Questions[0]
	if got.Type != want.Type || got.Class != want.Class || !strings.EqualFold(got.Name.String(), want.Name.String()) {
		return nil, errOther
	}
	return &m, nil
}
