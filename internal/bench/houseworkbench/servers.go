//go:build linux

package houseworkbench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"sync"

	rpc "connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/internal/bench/lab"
)

// kindLogged is a kind of server: ours with a Logger, to JSON that is discarded. The others
// are lab.Ours, plain, copying and connect.
const kindLogged = "logged"

// A server is one of chores.
type server struct {
	ours  *housework.MemoryStore
	plain *plainMaid
}

// serve starts the server that the order says.
func (s *server) serve(o *order, a *answer) error {
	cert, err := tls.LoadX509KeyPair(o.CertificateFile, o.KeyFile)
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	run, err := s.prepare(o.Kind, config)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	// It ends with the process, unless something is wrong.
	go func() { fmt.Fprintf(os.Stderr, "%s: %v\n", o.Kind, run(l)) }()
	return nil
}

// prepare returns what serves.
func (s *server) prepare(kind string, config *tls.Config) (run func(net.Listener) error, err error) {
	switch kind {
	case lab.Ours, kindLogged:
		s.ours = newStore()
		ours := &housework.Server{Rosie: &housework.Rosie{Store: s.ours}, TLSConfig: config}
		if kind == kindLogged {
			ours.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
		}
		return ours.Serve, nil
	case plain, copying:
		s.plain = &plainMaid{copies: kind == copying}
		generated := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
		houseworkv1.RegisterRobotMaidServer(generated, s.plain)
		return generated.Serve, nil
	case connect:
		s.plain = &plainMaid{}
		mux := http.NewServeMux()
		mux.Handle(houseworkv1.RobotMaid_Add_FullMethodName, rpc.NewUnaryHandlerSimple(
			houseworkv1.RobotMaid_Add_FullMethodName, s.plain.Add, rpc.WithCompression("gzip", nil, nil)))
		over := &http.Server{Handler: mux, TLSConfig: config}
		return func(l net.Listener) error { return over.ServeTLS(l, "", "") }, nil
	}
	return nil, fmt.Errorf("no server of chores is called %q", kind)
}

func newStore() *housework.MemoryStore { return &housework.MemoryStore{MaxChores: math.MaxInt32} }

// fill adds chores without a client.
func (s *server) fill(chores []housework.Chore) error {
	if s.ours != nil {
		_, err := s.ours.Add(context.Background(), "", chores)
		return err
	}
	s.plain.mu.Lock()
	defer s.plain.mu.Unlock()
	s.plain.chores = choreMessages(chores)
	return nil
}

// empty forgets the chores of a server that is not ours.
func (s *server) empty() error {
	if s.plain == nil {
		return errors.New("the chores of ours cannot be forgotten")
	}
	return s.fill(nil)
}

// check returns an error unless the list has so many chores, all of them choreText.
func (s *server) check(count int) error {
	var texts []string
	if s.ours != nil {
		chores, err := s.ours.List(context.Background(), 1, math.MaxInt32)
		if err != nil {
			return err
		}
		for _, c := range chores {
			texts = append(texts, c.Description)
		}
	} else {
		s.plain.mu.Lock()
		defer s.plain.mu.Unlock()
		for _, c := range s.plain.chores {
			texts = append(texts, c.GetDescription())
		}
	}
	if len(texts) != count {
		return fmt.Errorf("the server has %d chores, want %d", len(texts), count)
	}
	for i, text := range texts {
		if text != choreText {
			return fmt.Errorf("chore %d is %q, want %q", i+1, text, choreText)
		}
	}
	return nil
}

// A plainMaid is the service as somebody writes it who needs no more than this contest.
type plainMaid struct {
	houseworkv1.UnimplementedRobotMaidServer

	copies bool

	mu     sync.Mutex
	chores []*houseworkv1.Chore
}

// Add implements the method of the service.
func (m *plainMaid) Add(_ context.Context, in *houseworkv1.Chores) (*houseworkv1.Response, error) {
	m.mu.Lock()
	first := len(m.chores) + 1
	m.chores = append(m.chores, in.GetChores()...)
	m.mu.Unlock()
	out := &houseworkv1.Response{}
	out.SetMessage("ok")
	out.SetFirstNumber(int32(first))
	return out, nil
}

// List returns all of the list at once if no page size is asked for.
func (m *plainMaid) List(_ context.Context, in *houseworkv1.ListRequest) (*houseworkv1.Chores, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := max(int(in.GetFirstNumber()), 1) - 1
	if from > len(m.chores) {
		return nil, errors.New("no such page")
	}
	end := len(m.chores)
	out := &houseworkv1.Chores{}
	if size := int(in.GetPageSize()); size > 0 && end-from > size {
		end = from + size
		out.SetNextNumber(int32(end + 1))
	}
	list := m.chores[from:end:end]
	if m.copies {
		list = make([]*houseworkv1.Chore, end-from)
		for i, c := range m.chores[from:end] {
			list[i] = &houseworkv1.Chore{}
			list[i].SetComplete(c.GetComplete())
			list[i].SetDescription(c.GetDescription())
		}
	}
	// Otherwise the slice is shared, which is right here alone, as no chore is changed.
	out.SetChores(list)
	return out, nil
}
