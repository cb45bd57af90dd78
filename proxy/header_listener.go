package proxy

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/netparts/netparts/internal/serve"
)

// defaultMaxPending is how many connections may wait for their header.
const defaultMaxPending = 256

// A HeaderListener is a [net.Listener] for servers behind a proxy that speaks the
// PROXY protocol, as those of net/http. Its connections have the addresses that
// the header tells; what is read from them is what follows. Accept returns a
// connection when its header is there, so that neither RemoteAddr nor Read waits
// for that, and a client that is slow to send it delays no other.
//
// The exported fields must not be changed after the first Accept.
type HeaderListener struct {
	net.Listener // which must be set

	// Policy says for each source address whether a header must, may or must not
	// come first. It must be set: a header can claim any address.
	Policy func(source net.Addr) HeaderPolicy

	// Timeout is how long a header may take. If zero or negative, ten seconds.
	Timeout time.Duration

	// MaxPending is how many connections may wait for their header, or for Accept,
	// at once. At the limit no more are accepted. If zero or negative, 256.
	MaxPending int

	// Logger gets a record of each connection that is closed because of its header.
	// If nil, nothing is logged.
	Logger *slog.Logger

	once    sync.Once
	ready   chan accepted
	places  chan struct{} // one for each that is pending
	closed  chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex
	begun   bool
	pending map[*waiting]struct{}
	closing bool
}

// An accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// A waiting is a connection that has not been accepted yet.
type waiting struct{ net.Conn }

// init makes what the zero value lacks.
func (l *HeaderListener) init() {
	l.once.Do(func() {
		most := l.MaxPending
		if most <= 0 {
			most = defaultMaxPending
		}
		l.ready, l.closed = make(chan accepted), make(chan struct{})
		l.places = make(chan struct{}, most)
		l.pending = make(map[*waiting]struct{})
	})
}

// begin starts the goroutine that accepts, once.
func (l *HeaderListener) begin() bool {
	l.init()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	if !l.begun {
		l.begun = true
		l.running.Go(l.accept)
	}
	return true
}

// Accept implements net.Listener. Errors of accepting are those of the Listener.
func (l *HeaderListener) Accept() (net.Conn, error) {
	if l.begin() {
		select {
		case a := <-l.ready:
			return a.conn, a.err
		case <-l.closed:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
}

// Close closes the Listener and the connections that wait for their header or for
// Accept.
func (l *HeaderListener) Close() error {
	l.init()
	err := l.Listener.Close()
	l.mu.Lock()
	first := !l.closing
	l.closing = true
	for w := range l.pending {
		_ = serve.Reset(w.Conn) // whoever sent it cannot be helped
	}
	l.mu.Unlock()
	if first {
		close(l.closed)
	}
	l.running.Wait()
	return err
}

// accept accepts until Close.
func (l *HeaderListener) accept() {
	for {
		select {
		case l.places <- struct{}{}:
		case <-l.closed:
			return
		}
		conn, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			if !l.hand(nil, err) { // whoever calls Accept knows whether to go on
				return
			}
			continue
		}
		w := &waiting{conn}
		if !l.add(w) {
			_ = serve.Reset(conn) // the listener is closed
			return
		}
		l.running.Go(func() {
			l.take(w)
			<-l.places
		})
	}
}

// hand gives a connection or an error to a caller of Accept, or reports false after
// Close.
func (l *HeaderListener) hand(conn net.Conn, err error) bool {
	select {
	case l.ready <- accepted{conn, err}:
		return true
	case <-l.closed:
		return false
	}
}

// take takes the header off one connection and hands it to Accept.
func (l *HeaderListener) take(w *waiting) {
	conn, err := l.header(w.Conn)
	l.remove(w) // not later: Close must not reset what Accept has returned
	if err == nil && l.hand(conn, nil) {
		return
	}
	_ = serve.Reset(w.Conn) // the cause is logged
	if err != nil && l.Logger != nil && !l.isClosing() {
		attrs := append([]slog.Attr{slog.String("remote", addrString(w.RemoteAddr()))}, errorAttrs(err)...)
		l.Logger.LogAttrs(context.Background(), slog.LevelWarn, "no connection because of its header", attrs...)
	}
}

// header takes the header off conn as the policy wants.
func (l *HeaderListener) header(conn net.Conn) (net.Conn, error) {
	var policy HeaderPolicy
	if err := safely("Policy", func() { policy = l.Policy(conn.RemoteAddr()) }); err != nil {
		return conn, err
	}
	return takeHeader(conn, policy, headerTimeout(l.Timeout))
}

func (l *HeaderListener) add(w *waiting) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.pending[w] = struct{}{}
	}
	return !l.closing
}

func (l *HeaderListener) remove(w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, w)
}

func (l *HeaderListener) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}
