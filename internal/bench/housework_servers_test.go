//go:build linux

package bench

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
	"sync"

	rpc "connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// The kinds of chores servers, besides kindOurs and kindPlain, which is the generated code
// over a mutex and a slice, in a grpc.NewServer without options but the credentials and
// larger messages.
const (
	kindLogged  = "logged"  // ours with a Logger, to JSON that is discarded
	kindCopies  = "copies"  // the generated code, and List copies what others may complete meanwhile
	kindConnect = "connect" // connectrpc.com/connect over net/http, without compression
)

// A choreServer is a server of chores, of one kind.
type choreServer struct {
	ours  *housework.MemoryStore
	plain *plainMaid
}

// serve starts the server that the order says, which has an address, and the files of a
// certificate and its key.
func (s *choreServer) serve(o *order, a *answer) error {
	cert, err := tls.LoadX509KeyPair(o.Addrs[1], o.Addrs[2])
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	l, err := net.Listen("tcp", o.Addrs[0])
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	switch o.Kind {
	case kindOurs, kindLogged:
		s.ours = &housework.MemoryStore{MaxChores: math.MaxInt32}
		server := &housework.Server{Rosie: &housework.Rosie{Store: s.ours}, TLSConfig: config}
		if o.Kind == kindLogged {
			server.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
		}
		go serveOn(o.Kind, func() error { return server.Serve(l) })
	case kindPlain, kindCopies:
		s.plain = &plainMaid{copies: o.Kind == kindCopies}
		server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.MaxSendMsgSize(math.MaxInt32))
		houseworkv1.RegisterRobotMaidServer(server, s.plain)
		go serveOn(o.Kind, func() error { return server.Serve(l) })
	case kindConnect:
		s.plain = &plainMaid{}
		mux := http.NewServeMux()
		mux.Handle(houseworkv1.RobotMaid_Add_FullMethodName, rpc.NewUnaryHandlerSimple(
			houseworkv1.RobotMaid_Add_FullMethodName, s.plain.Add, rpc.WithCompression("gzip", nil, nil)))
		server := &http.Server{Handler: mux, TLSConfig: config}
		go serveOn(o.Kind, func() error { return server.ServeTLS(l, "", "") })
	default:
		return fmt.Errorf("no server of chores is called %q", o.Kind)
	}
	return nil
}

// fill adds the chores of choreList, without a client.
func (s *choreServer) fill(count int) error {
	chores := choreList(count, false)
	if s.ours != nil {
		_, err := s.ours.Add(context.Background(), "", chores)
		return err
	}
	s.plain.chores = choreMessages(chores)
	return nil
}

// check returns an error unless the list has so many chores, all of them choreText.
func (s *choreServer) check(count int) error {
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

// choreText is the description of the chores that are added.
const choreText = "Mop floors, then dust the tables"

// choreList returns chores for lists: with request ids, each of one request, or without.
func choreList(count int, withIDs bool) []housework.Chore {
	list := make([]housework.Chore, count)
	for i := range list {
		list[i] = housework.Chore{Complete: i%3 == 0, Description: fmt.Sprintf("Dust the table in room %d of \"7½\"", i)}
		if withIDs {
			list[i].RequestID = fmt.Sprintf("K5J2TQ5XKIXNJ7VXW%09d", i) // as long as what a Client makes up
		}
	}
	return list
}

func choreMessages(chores []housework.Chore) []*houseworkv1.Chore {
	list := make([]*houseworkv1.Chore, len(chores))
	for i, c := range chores {
		list[i] = &houseworkv1.Chore{}
		list[i].SetComplete(c.Complete)
		list[i].SetDescription(c.Description)
		list[i].SetRequestId(c.RequestID)
	}
	return list
}

func choresOf(messages []*houseworkv1.Chore) []housework.Chore {
	list := make([]housework.Chore, len(messages))
	for i, m := range messages {
		list[i] = housework.Chore{Complete: m.GetComplete(), Description: m.GetDescription(), RequestID: m.GetRequestId()}
	}
	return list
}
