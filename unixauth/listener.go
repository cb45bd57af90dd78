package unixauth

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is a net.Listener that hands out only the connections of peers whom its policy
// allows. It is used where another listener would be: by [net/http.Server.Serve], by a gRPC
// server, or in an accept loop.
//
// The exported fields must not be changed after the first call to Accept. Its methods
// may be called by several goroutines.
type Listener struct {
	// Listener accepts the connections, which must be *net.UnixConn: others are denied,
	// so that what wraps connections belongs around this Listener and not below it.
	// The Listener owns it, and closes it.
	Listener net.Listener

	// Policy says who is allowed. If nil, nobody is.
	Policy *Policy

	// Timeout is how long it may take to decide about a peer, and then to write Message
	// to it. A peer about whom there is no decision by then is denied. If zero or
	// negative, it is 5 seconds.
	//
	// Only [DatabaseGroups] takes time. A question to the user database cannot be taken
	// back: its goroutine stays until it is answered, also after Close. There are at
	// most 64 of them. If all go unanswered, peers whom another rule does not allow are
	// denied when their time is over; or at once if 1024 others wait for an answer
	// already, have done so for a second, and there are other rules.
	Timeout time.Duration

	// Message is written to a peer that is denied before its connection is closed.
	// While 64 others are slow to take it, a peer gets no more of it than there is room
	// for in the socket. If empty, the connection is closed without a word.
	Message string

	// OnDeny is called for each peer that is denied, with a *DeniedError. It must not
	// block, or call Close, and may be called by several goroutines at once. If nil, it
	// is not called.
	OnDeny func(error)

	// Logger gets a record for each peer that is denied. If nil, nothing is logged.
	Logger *slog.Logger

	setup sync.Once
	state *listenerState
	close sync.Once
	err   error // of closing
}

// These are limits of what a Listener has under way at once.
const (
	maxAsking    = 1024 // peers about whom the database is or shall be asked
	maxQuestions = 64   // questions to the database
	maxMessages  = 64   // peers that may be slow to take a message

	// crowdPatience is how long those who need not ask wait because maxAsking is reached.
	crowdPatience = time.Second
)

// listenerState is what a Listener has from the first call on. The channels that are
// limits hold one for each that is under way.
type listenerState struct {
	accepted  chan accepted // has no buffer: what nobody asks for stays with the kernel
	stop      chan struct{} // closed by Close
	asking    chan struct{}
	questions chan struct{}
	messages  chan struct{}
	running   sync.WaitGroup

	quick  *Policy          // the rules that allow at once
	others bool             // there are such
	blocks bool             // there are rules that ask
	check  func(Cred) error // the whole policy

	full    time.Time    // since when there are too many who ask, or zero
	handing atomic.Int32 // those who have asked, and whom nobody accepts yet

	mu      sync.Mutex
	started bool
	stopped bool
	peers   map[*peer]struct{} // not handed out
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// A peer is a connection that has not been handed out.
type peer struct{ net.Conn }

func (l *Listener) get() *listenerState {
	l.setup.Do(func() {
		quick := l.Policy.quick()
		l.state = &listenerState{
			accepted:  make(chan accepted),
			stop:      make(chan struct{}),
			asking:    make(chan struct{}, maxAsking),
			questions: make(chan struct{}, maxQuestions),
			messages:  make(chan struct{}, maxMessages),
			quick:     quick,
			others:    quick != nil && quick.rule.kind != kindNobody,
			blocks:    l.Policy.blocks(),
			check:     l.Policy.Check,
			peers:     make(map[*peer]struct{}),
		}
	})
	return l.state
}

// Accept returns the next connection whose peer is allowed; it is a [*Conn]. Deciding
// about one peer delays no other, unless 1024 wait for the user database. Errors are those
// of the listener below, and after Close wrap [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	s := l.get()
	s.mu.Lock()
	if !s.started && !s.stopped {
		s.started = true
		s.running.Go(l.run)
	}
	s.mu.Unlock()
	select {
	case a := <-s.accepted:
		return a.conn, a.err
	case <-s.stop:
		return nil, &net.OpError{Op: "accept", Net: "unix", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close closes the listener below, and the connections that have not been handed out. It
// returns the error of the listener below, and each time the same.
func (l *Listener) Close() error {
	s := l.get()
	l.close.Do(func() {
		s.mu.Lock()
		s.stopped = true
		close(s.stop)
		peers := s.peers
		s.peers = nil
		s.mu.Unlock()
		l.err = l.Listener.Close()
		for p := range peers {
			p.Close() // nobody waits for it
		}
		s.running.Wait()
	})
	return l.err
}

// Addr returns the address of the listener below.
func (l *Listener) Addr() net.Addr { return l.Listener.Addr() }

// run accepts until Close. An error is one for Accept, and the listener below is asked again
// when Accept has returned it: the caller knows whether it goes on.
func (l *Listener) run() {
	s := l.state
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			select {
			case s.accepted <- accepted{nil, err}:
				continue
			case <-s.stop:
				return
			}
		}
		p := &peer{conn}
		if !s.hold(p) {
			conn.Close() // nobody waits for it
			return
		}
		l.judge(p)
	}
}

// hold adds p to what Close closes. It reports false after Close.
func (s *listenerState) hold(p *peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.peers[p] = struct{}{}
	return true
}

// release removes p from what Close closes.
func (s *listenerState) release(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}
