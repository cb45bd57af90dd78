package housework

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

const (
	defaultTimeout = 10 * time.Second

	// maxClientPage is how many chores a Client asks for at once: whatever a server
	// sends, no more are decoded.
	maxClientPage = 10_000
)

// ClientOptions are the options of Dial. The zero value, and nil, are the defaults.
type ClientOptions struct {
	// TLSConfig says which servers are trusted, and has the client's certificate if it
	// shows one; package tlsutil makes such. TLS 1.3 is required. If nil, those are
	// trusted that the system trusts, unless Insecure is set.
	TLSConfig *tls.Config

	// Insecure connects without TLS, for Unix sockets and tests.
	Insecure bool

	// Timeout is how long a call may take whose context has no deadline, tries
	// included. If zero, it is 10 seconds. If negative, there is no limit.
	Timeout time.Duration

	// DialContext makes the connections: for network "tcp" and the address that Dial
	// was given, or for "unix" and a path. If nil, it is that of a net.Dialer, for each
	// address of the host.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Options are further options of the *grpc.ClientConn, which come last.
	Options []grpc.DialOption
}

// A Client is a Store that a server keeps. When the connection is lost, it connects
// again.
//
// Errors match those that the store of the server returned, as far as Rosie tells, and
// status.Code gives their code; what is refused before it is sent has none. A call that failed because the server could not be
// reached (codes.Unavailable) is tried again, up to three times within its deadline;
// for Add there is a request id that makes that safe, made up if the caller gave
// none. A try lasts until the deadline of its call, since a second one beside it would
// make a slow server slower: that a server is gone is noticed by its connection, within
// 15 seconds, or 5 where the system tells that nothing is acknowledged.
//
// That a server is not trusted, or does not trust this client, is told at once:
// errors.Is and errors.As see through to what the TLS configuration has returned, and
// tlsutil.Explain explains it.
//
// Its methods may be called by several goroutines. The server of the book takes calls,
// too, but has no pages and no request ids: what a second try adds there is added
// twice, only the first of several numbers is completed, and a List beyond the first
// page is an error.
type Client struct {
	conn     *grpc.ClientConn
	maid     houseworkv1.RobotMaidClient
	attempts *attempts
	timeout  time.Duration
	closed   context.Context // ends with Close
	close    context.CancelFunc
	pages    atomic.Bool // the server is known to have pages
}

// Conn returns the connection, for other services of the server and the generated
// clients. It is closed with the Client.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Add implements [Store]. With a server that does not know request ids it returns 0
// as the number.
func (c *Client) Add(ctx context.Context, requestID string, chores []Chore) (first int, err error) {
	if err := c.usable(ctx); err != nil {
		return 0, err
	}
	// Rosie would say the same; but what is not UTF-8 gRPC refuses with less of an error.
	if err := ValidateAdd(requestID, chores); err != nil {
		return 0, err
	}
	in, err := addRequest(cmp.Or(requestID, rand.Text()), chores)
	if err != nil {
		return 0, err
	}
	var out *houseworkv1.Response
	err = c.call(ctx, func(ctx context.Context) (err error) {
		out, err = c.maid.Add(ctx, in)
		return err
	})
	if err != nil {
		return 0, err
	}
	n := out.GetFirstNumber()
	if n < 0 {
		return 0, fmt.Errorf("housework: server says that the chores begin with number %d", n)
	}
	if n > 0 {
		c.pages.Store(true)
	}
	return int(n), nil
}

// addRequest returns the message for an Add.
func addRequest(requestID string, chores []Chore) (*houseworkv1.Chores, error) {
	size := protowire.SizeTag(fieldRequestID) + protowire.SizeBytes(len(requestID))
	list := newChores(len(chores))
	for i, chore := range chores {
		size += encodedSize(chore)
		list[i].SetComplete(chore.Complete)
		list[i].SetDescription(chore.Description)
	}
	if size > maxMessage {
		return nil, fmt.Errorf("%w: %d bytes of message, the limit is %d", ErrTooMany, size, maxMessage)
	}
	in := &houseworkv1.Chores{}
	in.SetChores(list)
	in.SetRequestId(requestID)
	return in, nil
}

// Complete implements [Store]. Numbers beyond int32 are not found.
func (c *Client) Complete(ctx context.Context, numbers ...int) error {
	if err := c.usable(ctx); err != nil {
		return err
	}
	if len(numbers) == 0 {
		return nil // an empty request is one for number 0
	}
	wire := make([]int32, len(numbers))
	for i, n := range numbers {
		if n < 1 || n > math.MaxInt32 {
			return &ChoreError{Number: n, Err: ErrNotFound}
		}
		wire[i] = int32(n)
	}
	in := &houseworkv1.CompleteRequest{}
	in.SetChoreNumber(wire[0])
	in.SetMoreNumbers(wire[1:])
	return c.call(ctx, func(ctx context.Context) error {
		_, err := c.maid.Complete(ctx, in)
		return err
	})
}

// List implements [Store]. It returns a page of the server.
func (c *Client) List(ctx context.Context, first, limit int) ([]Chore, error) {
	if err := c.usable(ctx); err != nil {
		return nil, err
	}
	if err := validatePage(first, limit); err != nil {
		return nil, err
	}
	if first > math.MaxInt32 {
		return nil, nil // Rosie numbers no chores like that
	}
	chores, next, err := c.page(ctx, first, min(limit, maxClientPage))
	if err != nil {
		return nil, err
	}
	if next != 0 || len(chores) == 0 && first > 1 {
		c.pages.Store(true)
	}
	if first > 1 && !c.pages.Load() {
		if err := c.wantPages(ctx); err != nil {
			return nil, err
		}
	}
	return chores, nil
}

// wantPages makes sure that the server has pages: that of the book returns its whole
// list, whatever page it is asked for.
func (c *Client) wantPages(ctx context.Context) error {
	chores, _, err := c.page(ctx, math.MaxInt32, 1)
	if err != nil {
		return err
	}
	if len(chores) > 0 {
		return fmt.Errorf("housework: server has no pages")
	}
	c.pages.Store(true)
	return nil
}

// page asks for a page of at most size chores, and returns it with the number of the
// next, 0 if there is none.
func (c *Client) page(ctx context.Context, first, size int) (chores []Chore, next int, err error) {
	in := &houseworkv1.ListRequest{}
	in.SetFirstNumber(int32(first))
	in.SetPageSize(int32(size))
	err = c.call(ctx, func(ctx context.Context) error {
		page := &houseworkv1.Chores{} // stays empty: chores need no messages
		out := &guarded[*houseworkv1.Chores]{Message: page.ProtoReflect(), in: page, limit: size}
		out.decode = func(data []byte, limit int, _ *houseworkv1.Chores) (err error) {
			chores, next, err = decodePage(data, limit)
			return err
		}
		err := c.conn.Invoke(ctx, houseworkv1.RobotMaid_List_FullMethodName, in, out, grpc.StaticMethod())
		if err == nil && out.err != nil {
			// Not wrapped: that the server is at fault is not what the caller does.
			return fmt.Errorf("housework: page of the server: %v", out.err)
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if next != 0 && (len(chores) == 0 || int64(next) != int64(first)+int64(len(chores))) {
		return nil, 0, fmt.Errorf("housework: server says that number %d is next after %d chores from number %d", next, len(chores), first)
	}
	return chores, next, nil
}

// decodePage decodes a message Chores, and returns the number of the next page. Whatever
// data claims, it makes room for no more chores than limit. Their descriptions are
// parts of one text.
func decodePage(data []byte, limit int) (chores []Chore, next int, err error) {
	chores, text := make([]Chore, 0, min(limit, countFields(data))), string(data)
	list, err := scanChores(data, skipUnknown, func(c wireChore) error {
		if len(chores) == limit {
			return fmt.Errorf("more than the %d chores that it was asked for", limit)
		}
		chores = append(chores, Chore{
			Complete:    c.complete,
			Description: text[c.descriptionEnd-len(c.description) : c.descriptionEnd],
		})
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return chores, int(list.nextNumber), nil
}

// Close implements [Store]. It closes the connection, not the store of the server; calls
// that are under way fail with [ErrClosed].
func (c *Client) Close() error {
	c.close()
	_ = c.conn.Close() // an error says that it is closed
	return nil
}
