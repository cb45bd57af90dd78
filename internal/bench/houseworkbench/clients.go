//go:build linux

package houseworkbench

import (
	"bytes"
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
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlsutil"
)

// pageSize is how many chores a page has. [housework.All] asks for as many.
const pageSize = 1000

// A client is one of a server. What it cannot do is nil.
type client struct {
	// add adds a chore and returns its number.
	add func(ctx context.Context) (int, error)

	// list gets the whole list, and has each chore seen.
	list func(ctx context.Context, see func(complete bool, description string)) error

	conn *grpc.ClientConn
}

// dial makes a client of a server. Its kinds are lab.Ours, plain, deadline, paged and
// connect.
func (c *child) dial(o *order) error {
	pool, err := tlsutil.LoadPool(o.CertificateFile)
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	var made *client
	switch o.Kind {
	case lab.Ours:
		made, err = dialOurs(o.Addr, config)
	case plain, deadline, paged:
		made, err = dialPlain(o.Kind, o.Addr, config)
	case connect:
		made = dialConnect(o.Addr, config)
	default:
		err = fmt.Errorf("no client of chores is called %q", o.Kind)
	}
	if c.clients == nil {
		c.clients = make(map[string]*client)
	}
	c.clients[o.Addr] = made
	return err
}

func dialOurs(addr string, config *tls.Config) (*client, error) {
	ours, err := housework.Dial(context.Background(), addr, &housework.ClientOptions{TLSConfig: config})
	if err != nil {
		return nil, err
	}
	return &client{
		add: func(ctx context.Context) (int, error) {
			return ours.Add(ctx, "", []housework.Chore{{Description: choreText}})
		},
		list: func(ctx context.Context, see func(bool, string)) error {
			for c, err := range housework.All(ctx, ours) {
				if err != nil {
					return err
				}
				see(c.Complete, c.Description)
			}
			return nil
		},
	}, nil
}

func dialPlain(kind, addr string, config *tls.Config) (*client, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	maid := houseworkv1.NewRobotMaidClient(conn)
	size := 0 // all at once
	if kind == paged {
		size = pageSize
	}
	return &client{
		conn: conn,
		add: func(ctx context.Context) (int, error) {
			if kind == deadline {
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

func dialConnect(addr string, config *tls.Config) *client {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: config, Protocols: &protocols, ForceAttemptHTTP2: true}
	over := rpc.NewClient[houseworkv1.Chores, houseworkv1.Response](&http.Client{Transport: transport},
		"https://"+addr+houseworkv1.RobotMaid_Add_FullMethodName, rpc.WithAcceptCompression("gzip", nil, nil))
	return &client{add: func(ctx context.Context) (int, error) {
		out, err := over.CallUnary(ctx, rpc.NewRequest(oneChore()))
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
func (c *client) adds(o *order, a *answer) error {
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
	a.Took = time.Since(begin)
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

// lists gets a list, and compares it.
func (c *client) lists(wanted []housework.Chore, a *answer) error {
	seen, same := 0, true
	begin := time.Now()
	err := c.list(context.Background(), func(complete bool, description string) {
		same = same && seen < len(wanted) && wanted[seen].Complete == complete && wanted[seen].Description == description
		seen++
	})
	a.Took = time.Since(begin)
	if err == nil && (!same || seen != len(wanted)) {
		err = fmt.Errorf("the list of %d chores is another one than that of %d", seen, len(wanted))
	}
	return err
}

// hostile adds so many chores without a description in one call, of two bytes each, as
// nobody does who means well. It tells the code of the status.
func (c *client) hostile(o *order, a *answer) error {
	in := &houseworkv1.Chores{}
	// On the wire there is no difference between fields that are known and others.
	in.ProtoReflect().SetUnknown(bytes.Repeat(emptyChore, o.Count))
	begin := time.Now()
	out, err := houseworkv1.NewRobotMaidClient(c.conn).Add(context.Background(), in)
	a.Took = time.Since(begin)
	a.Code = status.Code(err).String()
	if err == nil && out.GetFirstNumber() != 1 {
		return fmt.Errorf("the first chore is number %d, want 1", out.GetFirstNumber())
	}
	return nil
}

// emptyChore is the field of a chore that has no fields.
var emptyChore = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), nil)
