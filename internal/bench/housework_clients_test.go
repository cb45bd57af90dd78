//go:build linux

package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	rpc "connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/tlsutil"
)

// The kinds of chores clients, besides kindOurs, kindPlain, which is the generated code,
// and kindConnect.
const (
	kindDeadline = "deadline" // the generated code, and each call has a deadline
	kindPages    = "pages"    // the generated code, and a list comes in pages
)

// pageOfChores is how many chores a page has.
const pageOfChores = 1000

// A choreChild is what a child keeps for its orders: a server, or clients.
type choreChild struct {
	server  choreServer
	clients map[string]*choreClient // by the address of the server
	wanted  []housework.Chore       // what a list has to be
}

// A choreClient is a client of one server.
type choreClient struct {
	// add adds a chore and returns its number.
	add func(ctx context.Context) (int, error)

	// list gets the whole list, and has each chore seen.
	list func(ctx context.Context, see func(complete bool, description string)) error
}

// obeyHousework does what is for chores.
func (c *child) obeyHousework(o *order, a *answer) error {
	h := &c.chores
	switch o.Do {
	case "housework-serve":
		return h.server.serve(o, a)
	case "housework-fill":
		return h.server.fill(o.Count)
	case "housework-check":
		return h.server.check(o.Count)
	case "housework-dial":
		return h.dial(o)
	case "housework-add":
		return h.clients[o.Addrs[0]].adds(o, a)
	case "housework-list":
		return h.lists(o, a)
	}
	return fmt.Errorf("nobody knows how to %q", o.Do)
}

// dial makes a client of a server, of which the order has the address and the file of
// the certificate.
func (h *choreChild) dial(o *order) error {
	pool, err := tlsutil.LoadPool(o.Addrs[1])
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	var c *choreClient
	switch o.Kind {
	case kindOurs:
		c, err = ourChores(o.Addrs[0], config)
	case kindPlain, kindDeadline, kindPages:
		c, err = plainChores(o.Kind, o.Addrs[0], config)
	case kindConnect:
		c = connectChores(o.Addrs[0], config)
	default:
		err = fmt.Errorf("no client of chores is called %q", o.Kind)
	}
	if h.clients == nil {
		h.clients = make(map[string]*choreClient)
	}
	h.clients[o.Addrs[0]] = c
	return err
}

func ourChores(addr string, config *tls.Config) (*choreClient, error) {
	client, err := housework.Dial(context.Background(), addr, &housework.ClientOptions{TLSConfig: config})
	if err != nil {
		return nil, err
	}
	return &choreClient{
		add: func(ctx context.Context) (int, error) {
			return client.Add(ctx, "", []housework.Chore{{Description: choreText}})
		},
		list: func(ctx context.Context, see func(bool, string)) error {
			for c, err := range housework.All(ctx, client) {
				if err != nil {
					return err
				}
				see(c.Complete, c.Description)
			}
			return nil
		},
	}, nil
}

func plainChores(kind, addr string, config *tls.Config) (*choreClient, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	maid := houseworkv1.NewRobotMaidClient(conn)
	size := 0 // all at once
	if kind == kindPages {
		size = pageOfChores
	}
	return &choreClient{
		add: func(ctx context.Context) (int, error) {
			if kind == kindDeadline {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
			}
			out, err := maid.Add(ctx, oneChore())
			return int(out.GetFirstNumber()), err
		},
		list: func(ctx context.Context, see func(bool, string)) error {
			in := &houseworkv1.ListRequest{}
			in.SetPageSize(int32(size))
			for {
				out, err := maid.List(ctx, in)
				if err != nil {
					return err
				}
				for _, m := range out.GetChores() {
					see(m.GetComplete(), m.GetDescription())
				}
				if out.GetNextNumber() == 0 {
					return nil
				}
				in.SetFirstNumber(out.GetNextNumber())
			}
		},
	}, nil
}

func connectChores(addr string, config *tls.Config) *choreClient {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: config, Protocols: &protocols, ForceAttemptHTTP2: true}
	client := rpc.NewClient[houseworkv1.Chores, houseworkv1.Response](&http.Client{Transport: transport},
		"https://"+addr+houseworkv1.RobotMaid_Add_FullMethodName, rpc.WithAcceptCompression("gzip", nil, nil))
	return &choreClient{add: func(ctx context.Context) (int, error) {
		out, err := client.CallUnary(ctx, rpc.NewRequest(oneChore()))
		if err != nil {
			return 0, err
		}
		return int(out.Msg.GetFirstNumber()), nil
	}}
}

func oneChore() *houseworkv1.Chores {
	chore, chores := &houseworkv1.Chore{}, &houseworkv1.Chores{}
	chore.SetDescription(choreText)
	chores.SetChores([]*houseworkv1.Chore{chore})
	return chores
}

// adds makes so many calls, some at once, and compares the numbers that come back: each
// chore has one of its own, and there are no others.
func (c *choreClient) adds(o *order, a *answer) error {
	numbers, errs := make([]int, o.Count), make([]error, o.Workers)
	var next atomic.Int64
	var workers sync.WaitGroup
	begin := time.Now()
	for w := range errs {
		workers.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= o.Count {
					return
				}
				numbers[i], errs[w] = c.add(context.Background())
			}
		})
	}
	workers.Wait()
	a.All, a.Done = time.Since(begin), o.Count
	if err := errors.Join(errs...); err != nil {
		return err
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != numbers[0]+i || n < 1 {
			return fmt.Errorf("chore %d follows %d", n, numbers[max(i-1, 0)])
		}
	}
	return nil
}

// lists gets a list of so many chores, and compares it.
func (h *choreChild) lists(o *order, a *answer) error {
	if len(h.wanted) != o.Count {
		h.wanted = choreList(o.Count, false) // the first time, which is not measured
	}
	seen, same := 0, true
	begin := time.Now()
	err := h.clients[o.Addrs[0]].list(context.Background(), func(complete bool, description string) {
		same = same && seen < o.Count && h.wanted[seen].Complete == complete && h.wanted[seen].Description == description
		seen++
	})
	a.All, a.Done = time.Since(begin), o.Count
	if err == nil && (!same || seen != o.Count) {
		err = fmt.Errorf("the list of %d chores is another one than that of %d", seen, o.Count)
	}
	return err
}
