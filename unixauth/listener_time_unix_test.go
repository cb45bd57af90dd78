//go:build linux || darwin || freebsd

package unixauth_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/unixauth"
)

// A feed is a listener of connections, or errors, that a test makes. Other than a socket,
// it lets the time of a bubble pass.
type feed struct {
	next   chan any
	closed chan struct{}
	err    error // of Close
}

func newFeed() *feed { return &feed{make(chan any, 2000), make(chan struct{}), nil} }

func (f *feed) Accept() (net.Conn, error) {
	select {
	case <-f.closed:
		return nil, net.ErrClosed
	case next := <-f.next:
		if err, ok := next.(error); ok {
			return nil, err
		}
		return next.(net.Conn), nil
	}
}

func (f *feed) Close() error {
	close(f.closed)
	return f.err
}

func (*feed) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "feed"} }

// A client connects through f.
func (f *feed) client(t *testing.T) net.Conn {
	t.Helper()
	server, client := connect(t, "unix")
	t.Cleanup(func() {
		server.Close()
		client.Close()
	})
	f.next <- server
	return client
}

// crowd lets n clients connect through f by one socket, and go away. It returns the servers'
// ends, which it closes at the end of the test.
func (f *feed) crowd(t *testing.T, n int) (servers []net.Conn) {
	t.Helper()
	source, err := net.Listen("unix", socketPath(t))
	must(t, err)
	defer source.Close()
	for range n {
		client, err := net.Dial("unix", source.Addr().String())
		must(t, err)
		server, err := source.Accept()
		must(t, err)
		t.Cleanup(func() { server.Close() })
		must(t, client.Close())
		servers = append(servers, server)
		f.next <- server
	}
	return servers
}

// guarded accepts from f in the background, for as long as a test goes on.
func guarded(t *testing.T, f *feed, l *unixauth.Listener) <-chan net.Conn {
	t.Helper()
	l.Listener = f
	conns := make(chan net.Conn, 2000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept: %v", err)
				}
				return
			}
			conns <- conn
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != f.err {
			t.Errorf("Close = %v, want %v", err, f.err)
		}
		<-ended
	})
	return conns
}

// Errors are those of the listener below, each is told once, and Accept goes on.
func TestErrorsOfAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.err = errors.New("the error of Close")
		l := &unixauth.Listener{Listener: f, Policy: policy(t, unixauth.Self())}
		server, client := connect(t, "unix")
		defer client.Close()
		for _, next := range []any{syscall.EMFILE, syscall.ENFILE, server} {
			f.next <- next
		}
		for _, want := range []error{syscall.EMFILE, syscall.ENFILE} {
			if conn, err := l.Accept(); conn != nil || err != want {
				t.Errorf("Accept = %v, %v, want %v", conn, err, want)
			}
		}
		conn, err := l.Accept()
		must(t, err)
		must(t, conn.Close())
		f.next <- syscall.EMFILE // that nobody asks for
		synctest.Wait()
		for range 2 {
			if err := l.Close(); err != f.err {
				t.Errorf("Close = %v, want %v", err, f.err)
			}
		}
	})
}

// A question to the database that is not answered ends in a denial, and keeps nobody
// waiting.
func TestQuestionWithoutAnAnswer(t *testing.T) {
	for _, tt := range []struct{ set, want time.Duration }{{0, 5 * time.Second}, {-1, 5 * time.Second}, {time.Minute, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFeed()
			answer := make(chan error)
			var asked atomic.Int32
			var deniedErr atomic.Value
			l := &unixauth.Listener{Timeout: tt.set, Message: "denied\n", OnDeny: func(err error) { deniedErr.Store(err) }}
			l.SetCheck(func(unixauth.Cred) error {
				if asked.Add(1) == 1 {
					return <-answer
				}
				return nil
			})
			conns := guarded(t, f, l)
			begin := time.Now()
			silent := f.client(t)
			synctest.Wait()
			f.client(t)
			conn := <-conns
			must(t, conn.Close())
			if waited := time.Since(begin); waited > 0 {
				t.Errorf("the second peer was handed out after %v", waited)
			}
			time.Sleep(tt.want - 1)
			synctest.Wait()
			if deniedErr.Load() != nil {
				t.Error("it is denied too early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			err, _ := deniedErr.Load().(error)
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, unixauth.ErrDenied) {
				t.Errorf("OnDeny has %v", err)
			}
			wantDenied(t, silent)
			answer <- nil // too late
			synctest.Wait()
			if len(conns) > 0 {
				t.Error("it is handed out after it was denied")
			}
		})
	}
}

// As long as all questions go unanswered those who need one are denied in time, each in its
// own, and those whom another rule allows are let in.
func TestManyQuestionsWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		answer := make(chan error)
		var asked, denied atomic.Int32
		l := &unixauth.Listener{OnDeny: func(error) { denied.Add(1) }}
		l.SetCheck(func(unixauth.Cred) error {
			asked.Add(1)
			return <-answer
		})
		guarded(t, f, l)
		const peers = 300
		f.crowd(t, peers)
		synctest.Wait()
		if n := asked.Load(); n != 64 {
			t.Errorf("%d questions at once, want 64", n)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := denied.Load(); n != peers {
			t.Errorf("%d are denied after the timeout, want %d", n, peers)
		}
		// Answers make room for new questions.
		for range 64 {
			answer <- nil
		}
		f.client(t)
		synctest.Wait()
		if n := asked.Load(); n != 65 {
			t.Errorf("%d questions, want 65", n)
		}
		answer <- nil
	})
}

// Where the database does not answer, those who need it do not keep those waiting who
// do not, for longer than a second.
func TestCrowdThatAsks(t *testing.T) {
	const peers = 1100
	others := unixauth.UIDs(uint32(os.Geteuid()) + 1)
	for _, tt := range []struct {
		name            string
		rule            unixauth.Rule
		first, at1, at5 int32 // how many are denied before a second, then, and after the timeout
	}{
		{"other rules", unixauth.Any(others, unixauth.DatabaseGroups("0")), 0, peers - 1024 + 1, peers + 1},
		{"the database alone", unixauth.DatabaseGroups("0"), 0, 0, 1024 + 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFeed()
			answer := make(chan error)
			defer close(answer)
			var denied atomic.Int32
			l := &unixauth.Listener{Policy: policy(t, tt.rule), OnDeny: func(error) { denied.Add(1) }}
			l.SetCheck(func(unixauth.Cred) error { return <-answer })
			guarded(t, f, l)
			f.crowd(t, peers)
			_, far := net.Pipe() // which is denied without a question
			f.next <- far
			for _, step := range []struct {
				pause time.Duration
				want  int32
			}{{time.Second - 1, tt.first}, {1, tt.at1}, {4 * time.Second, tt.at5}} {
				time.Sleep(step.pause)
				synctest.Wait()
				if n := denied.Load(); n != step.want {
					t.Errorf("%s: %d are denied, want %d", tt.name, n, step.want)
				}
			}
		})
	}
}

// The rules that need no question are looked at first, and do not wait for others.
func TestRuleThatNeedsNoQuestion(t *testing.T) {
	asks, self := unixauth.DatabaseGroups("0"), unixauth.Self()
	for _, tt := range []struct {
		name string
		rule unixauth.Rule
		at   int // how many are let in at once
	}{
		{"beside one that does", unixauth.Any(asks, self), 1},
		{"beside one that does, further in", unixauth.Any(asks, unixauth.Any(asks, unixauth.All(self, self))), 1},
		{"together with one that does", unixauth.All(self, asks), 0},
		{"together with one further in", unixauth.Any(unixauth.All(self, unixauth.Any(asks))), 0},
		{"none", asks, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFeed()
			answer := make(chan error)
			defer close(answer)
			l := &unixauth.Listener{Policy: policy(t, tt.rule)}
			l.SetCheck(func(unixauth.Cred) error { return <-answer })
			conns := guarded(t, f, l)
			f.client(t)
			synctest.Wait()
			if len(conns) != tt.at {
				t.Errorf("%s: %d are let in at once, want %d", tt.name, len(conns), tt.at)
			}
		})
	}
}

// Close does not wait for what goes unanswered.
func TestCloseOfListenerThatAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		answer := make(chan error)
		l := &unixauth.Listener{OnDeny: func(err error) { t.Errorf("denied: %v", err) }}
		l.SetCheck(func(unixauth.Cred) error { return <-answer })
		guarded(t, f, l)
		client := f.client(t)
		synctest.Wait()
		begin := time.Now()
		must(t, l.Close())
		if waited := time.Since(begin); waited > 0 {
			t.Errorf("Close has waited for %v", waited)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection: %v, want its end", err)
		}
		answer <- nil // or it would stay for good
	})
}

// A thousand denied peers do not take the message. They keep nobody waiting, and are closed
// in time.
func TestDeniedPeersThatDoNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		var denied atomic.Int32
		l := &unixauth.Listener{
			Policy: policy(t, unixauth.Self()), Message: "denied\n", Timeout: time.Second,
			OnDeny: func(error) { denied.Add(1) },
		}
		conns := guarded(t, f, l)
		var silent []net.Conn
		for range 1000 {
			near, far := net.Pipe() // which has no buffer, and no credentials
			silent = append(silent, near)
			f.next <- far
		}
		f.client(t)
		synctest.Wait()
		if len(conns) != 1 || denied.Load() != 1000 {
			t.Errorf("%d are let in, %d denied", len(conns), denied.Load())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, c := range silent {
			if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
				t.Errorf("a peer that was late reads %q, %v", b, err)
			}
		}
	})
}

// Nor do those who are denied after a question, and whose sockets are full.
func TestPeersDeniedByTheDatabaseThatDoNotRead(t *testing.T) {
	const peers = 1100
	f := newFeed()
	var asked atomic.Int32
	l := &unixauth.Listener{Message: strings.Repeat("denied\n", 10_000), Timeout: time.Hour}
	l.SetCheck(func(unixauth.Cred) error {
		if asked.Add(1) <= peers {
			return errors.New("stranger")
		}
		return nil
	})
	conns := guarded(t, f, l)
	source, err := net.Listen("unix", socketPath(t))
	must(t, err)
	defer source.Close()
	connect := func() {
		client, err := net.Dial("unix", source.Addr().String())
		must(t, err)
		t.Cleanup(func() { client.Close() })
		server, err := source.Accept()
		must(t, err)
		must(t, server.(*net.UnixConn).SetWriteBuffer(1)) // the least that there is
		f.next <- server
	}
	for range peers + 1 { // of whom the one that is asked about last is allowed
		connect()
	}
	select {
	case conn := <-conns:
		must(t, conn.Close())
	case <-time.After(20 * time.Second):
		t.Error("an allowed peer waits for those who do not read")
	}
}

// A peer gets the message also while others are slow to take theirs.
func TestDeniedPeerAmongThoseThatDoNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		guarded(t, f, &unixauth.Listener{Message: "denied\n"})
		for range 100 {
			_, far := net.Pipe()
			f.next <- far
		}
		client := f.client(t)
		synctest.Wait()
		begin := time.Now()
		wantDenied(t, client)
		if waited := time.Since(begin); waited > 0 {
			t.Errorf("it was told after %v", waited)
		}
	})
}

// A connection that is closed before it is looked at, as Close does, is not reported as
// that of a denied peer.
func TestPeerIsNotDeniedBecauseOfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		l := &unixauth.Listener{Policy: policy(t, unixauth.Self()), OnDeny: func(err error) { t.Errorf("denied: %v", err) }}
		conns := guarded(t, f, l)
		server, client := connect(t, "unix")
		defer client.Close()
		must(t, server.Close())
		f.next <- server
		f.client(t)
		synctest.Wait()
		if len(conns) != 1 {
			t.Errorf("%d are handed out, want the one that is open", len(conns))
		}
	})
}

// Close does not wait for peers that do not read, either.
func TestCloseOfListenerThatWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		l := &unixauth.Listener{Message: "denied\n"}
		guarded(t, f, l)
		near, far := net.Pipe()
		f.next <- far
		synctest.Wait()
		begin := time.Now()
		must(t, l.Close())
		if waited := time.Since(begin); waited > 0 {
			t.Errorf("Close has waited for %v", waited)
		}
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection: %v, want its end", err)
		}
	})
}

// Those who are allowed and whom nobody accepts are held to some number, and the others wait
// where they are. Close closes them.
func TestAllowedPeersThatNobodyAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.next <- syscall.EMFILE // so that Accept returns
		l := &unixauth.Listener{
			Listener: f, Policy: policy(t, unixauth.UIDs(uint32(os.Geteuid())+1), unixauth.DatabaseGroups("0")),
			OnDeny: func(err error) { t.Errorf("denied: %v", err) },
		}
		l.SetCheck(func(unixauth.Cred) error { return nil })
		if _, err := l.Accept(); err != syscall.EMFILE {
			t.Fatalf("Accept: %v", err)
		}
		const peers = 1100
		servers := f.crowd(t, peers)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := peers - len(f.next); n != 1024+1 {
			t.Errorf("%d peers are held", n)
		}
		must(t, l.Close())
		for _, server := range servers[:1024+1] {
			if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Fatalf("one that was held is open: %v", err)
			}
		}
	})
}
