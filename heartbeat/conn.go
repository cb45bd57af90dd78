package heartbeat

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// headerSize is the room for the beginning of a message, in bytes.
	headerSize = 1 << 10

	// writeSize is how much of a long Write is passed on at once, in bytes. A
	// peer that takes that much after having taken nothing for a while is
	// alive.
	writeSize = 64 << 10
	slowWrite = 10 * time.Millisecond
)

// A Kind is what a message is for.
type Kind uint8

const (
	// Data is for the application.
	Data Kind = iota

	// Ping asks for an answer.
	Ping

	// Pong is an answer.
	Pong
)

// ErrHeader says that the function Next of a Config could not tell what a message
// is from its first 1024 bytes.
var ErrHeader = errors.New("heartbeat: the header of a message is too long")

// A Config says what a [Conn] does.
type Config struct {
	// Interval is that of a Pinger.
	Interval time.Duration
	// Timeout is that of a Pinger.
	Timeout time.Duration
	// MaxMissed is that of a Pinger.
	MaxMissed int
	// Jitter is that of a Pinger.
	Jitter float64
	// Scheduler is that of a Pinger.
	Scheduler *Scheduler

	// Ping is sent when the peer is silent. If nil, nothing is sent, and a peer
	// that is silent all the same is found out in the same time.
	Ping []byte

	// Pong is sent when Next has found a ping. If nil, nothing is.
	Pong []byte

	// Next looks at the beginning of a message, and returns how many bytes long
	// it is, which may be more than there are in p, and what it is. If it
	// cannot tell yet, n is 0, and it is called again when there is more. It
	// must not keep p.
	//
	// Pings and Pongs do not come out of Read. If Next is nil, everything is
	// data.
	Next func(p []byte) (n int, kind Kind)

	// Enforce limits the pings of the peer. If nil, there is no limit, but
	// pings that come while one is being answered get no answer of their own.
	Enforce *Enforce
}

// A Conn is a connection with a heartbeat: what arrives is a sign of life, silence is
// answered by a ping, and a peer that stays silent ends Read and Write with
// [ErrPeerSilent]. It can be judged only while somebody reads, since answers come
// out of Read; a peer is also alive while it takes a long Write piece by piece.
//
// Its methods are those of a [net.Conn], with the same rules, except that a Write
// may have to wait for a ping that blocks, whatever its deadline. A ping never comes
// between the bytes of one Write, so that a message is to be written by one call.
type Conn struct {
	net.Conn
	config Config
	pinger Pinger
	raw    syscall.RawConn // what Conn is, if that is a socket

	reading atomic.Int32 // how many goroutines are in Read
	done    atomic.Bool  // the heartbeat has ended
	cause   error        // why; set before done

	writing turn           // held for a Write, a ping or a pong
	senders sync.WaitGroup // of pings and pongs that wait for writing

	mu         sync.Mutex // the fields below
	deadline   time.Time  // what the application has set for Write
	limited    bool       // a ping or pong has one of its own meanwhile
	aborted    bool       // the heartbeat ends, and no ping is to be written
	answering  bool       // a pong waits or is under way
	pinging    bool       // a ping waits for a Write of the application
	halfClosed bool
	closed     bool

	read   sync.Mutex // the fields below
	header []byte     // what was read of messages and not returned
	buffer []byte     // where header is, or nil if everything is data
	left   int        // bytes of the current message that were not returned
	kind   Kind
}

// NewConn gives conn, a stream, a heartbeat, which runs until Close or until it finds
// the peer silent. The Conn owns conn. Unix packets are no stream: their boundaries
// would be lost.
func NewConn(conn net.Conn, config Config) *Conn {
	c := &Conn{Conn: conn, config: config, raw: rawOf(conn), writing: make(turn, 1)}
	if config.Next != nil {
		c.buffer = make([]byte, headerSize)
	}
	c.pinger = Pinger{
		Message: config.Ping, Interval: config.Interval, Timeout: config.Timeout,
		MaxMissed: config.MaxMissed, Jitter: config.Jitter, Scheduler: config.Scheduler,
	}
	// It has not been started before, which is the only error.
	_ = c.pinger.start(connWriter{c}, func() bool { return c.reading.Load() > 0 }, c.fail)
	return c
}

// NetConn returns the connection that c was made of.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// fail ends what waits, because the heartbeat has ended.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cause = cause
	c.done.Store(true)
	if cause != ErrStopped {
		// It fails only if the connection has failed, which ends all as well.
		_ = c.Conn.SetDeadline(time.Unix(1, 0))
	}
}

// failed returns why the heartbeat has ended, but not that it was stopped.
func (c *Conn) failed() error {
	if !c.done.Load() || c.cause == ErrStopped {
		return nil
	}
	return c.cause
}

// reason returns err, or if that is about a deadline why it has passed.
func (c *Conn) reason(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return cmp.Or(c.failed(), err)
	}
	return err
}

// Close ends the heartbeat and closes the connection.
func (c *Conn) Close() error {
	c.pinger.Stop()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.Conn.Close()
	c.senders.Wait()
	return err
}

// Read reads data. Beyond the errors of the connection it returns ErrPeerSilent when
// the peer is, ErrTooManyPings if Enforce says so, and ErrHeader. The end of the
// stream within a message of which nothing came out of Read yet is
// [io.ErrUnexpectedEOF].
func (c *Conn) Read(p []byte) (int, error) {
	c.reading.Add(1)
	defer c.reading.Add(-1)
	if c.config.Next == nil {
		return c.receive(p)
	}
	c.read.Lock()
	defer c.read.Unlock()
	for {
		if c.left > 0 {
			n, err := c.rest(p)
			if n > 0 || err != nil || len(p) == 0 {
				return n, err
			}
			continue
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
}

// receive reads from the connection.
func (c *Conn) receive(p []byte) (int, error) {
	if err := c.failed(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.pinger.Touch()
	}
	return n, c.reason(err)
}

// rest returns the rest of a message, or passes over that of a ping or pong.
func (c *Conn) rest(p []byte) (n int, err error) {
	if c.kind == Data {
		p = p[:min(len(p), c.left)]
	} else {
		p = c.buffer[:min(len(c.buffer), c.left)] // header holds nothing then
	}
	if len(c.header) > 0 {
		if c.kind == Data {
			n = copy(p, c.header)
		} else {
			n = min(len(c.header), c.left)
		}
		c.header = c.header[n:]
	} else {
		n, err = c.receive(p)
		if err == io.EOF && c.left > n && c.kind != Data {
			err = io.ErrUnexpectedEOF
		}
	}
	c.left -= n
	if c.kind == Data {
		return n, err
	}
	if c.left > 0 || c.kind != Ping {
		return 0, err
	}
	if e := c.config.Enforce; e != nil {
		if refused := e.Ping(); refused != nil {
			return 0, refused
		}
	}
	c.answer()
	return 0, err
}

// next finds out what the next message is.
func (c *Conn) next() error {
	for {
		if len(c.header) > 0 {
			if n, kind := c.config.Next(c.header); n > 0 {
				c.left, c.kind = n, kind
				if kind == Data && c.config.Enforce != nil {
					c.config.Enforce.Data()
				}
				return nil
			}
			if len(c.header) == len(c.buffer) {
				return ErrHeader
			}
		}
		begun := copy(c.buffer, c.header)
		n, err := c.receive(c.buffer[begun:])
		c.header = c.buffer[:begun+n]
		if n == 0 && err != nil {
			if err == io.EOF && begun > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}
