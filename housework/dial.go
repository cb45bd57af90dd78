package housework

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// How often a Client connects while nobody calls; with a call it does so at once.
var reconnect = grpc.ConnectParams{
	Backoff: backoff.Config{
		BaseDelay:  100 * time.Millisecond,
		Multiplier: 1.6,
		Jitter:     0.2,
		MaxDelay:   10 * time.Second,
	},
	MinConnectTimeout: 5 * time.Second,
}

const unixPrefix = "unix:"

// Dial connects to a server: host and port, or "unix:" and the path of a socket. It
// waits until the connection can be used, for the Timeout of o at most if ctx has no
// deadline, and returns why it cannot if so; then there is nothing to close.
func Dial(ctx context.Context, address string, o *ClientOptions) (*Client, error) {
	if o == nil {
		o = &ClientOptions{}
	}
	c := &Client{
		attempts: &attempts{dial: o.DialContext},
		timeout:  cmp.Or(o.Timeout, defaultTimeout),
	}
	if c.attempts.dial == nil {
		c.attempts.dial = new(net.Dialer).DialContext
	}
	// A target is a URL, in which some characters of paths and zones mean something else.
	target, host := url.URL{Scheme: "passthrough", Path: "/" + address}, ""
	if o.DialContext == nil && !strings.HasPrefix(address, unixPrefix) {
		target.Scheme = "dns"
		host, _, _ = net.SplitHostPort(address) // options returns the error
	}
	options, err := c.options(address, o)
	if err != nil {
		return nil, err
	}
	c.conn, err = grpc.NewClient(target.String(), options...)
	if err != nil {
		return nil, fmt.Errorf("housework: %w", err)
	}
	c.maid = houseworkv1.NewRobotMaidClient(c.conn)
	c.closed, c.close = context.WithCancel(context.Background())
	if err := c.connect(ctx, host); err != nil {
		_ = c.Close() // err says more
		return nil, err
	}
	return c, nil
}

// options returns what is asked of gRPC.
func (c *Client) options(address string, o *ClientOptions) ([]grpc.DialOption, error) {
	isUnix := strings.HasPrefix(address, unixPrefix)
	authority := "" // what gRPC makes of the address
	if isUnix {
		authority = "localhost" // it would make a name of the path
	} else {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("housework: %w", err)
		}
		// The zone of an address is this machine's affair: no certificate has it.
		if host, _, found := strings.Cut(host, "%"); found {
			authority = net.JoinHostPort(host, port)
		}
	}
	creds := insecure.NewCredentials()
	serverName := ""
	if !o.Insecure {
		config, err := modernTLS(cmp.Or(o.TLSConfig, &tls.Config{}))
		if err != nil {
			return nil, err
		}
		creds, serverName = credentials.NewTLS(config), config.ServerName
	} else if o.TLSConfig != nil {
		return nil, errors.New("housework: ClientOptions have a TLSConfig, but are Insecure")
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(&clientCreds{creds, c.attempts}),
		grpc.WithContextDialer(c.attempts.dialAddress),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                clientPing,
			Timeout:             clientPingTimeout,
			PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(reconnect),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithMaxHeaderListSize(maxHeader),
		// What is tried again is decided here, not by a TXT record.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
	}
	if authority != "" && serverName == "" {
		options = append(options, grpc.WithAuthority(authority)) // whom the certificate must be for
	}
	return append(options, o.Options...), nil
}

// connect waits until there is a connection, or the first attempt has failed. If the host
// is not empty, gRPC looks for its addresses.
func (c *Client) connect(ctx context.Context, host string) error {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	for {
		// A state that has changed would be seen before the end of ctx.
		if ctx.Err() != nil {
			return endedError(ctx, c.attempts.err())
		}
		state := c.conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			c.conn.Connect()
		case connectivity.TransientFailure:
			if err := c.attempts.err(); err != nil {
				return newConnError(err)
			}
			if err := c.noAttempt(ctx, host); err != nil {
				return err
			}
		case connectivity.Connecting, connectivity.Shutdown:
		}
		if !c.conn.WaitForStateChange(ctx, state) {
			return endedError(ctx, c.attempts.err())
		}
	}
}

// noAttempt returns why gRPC has not tried to connect, or nil if that has passed.
func (c *Client) noAttempt(ctx context.Context, host string) error {
	if host != "" {
		// Of a host without an address gRPC tells that much alone, and not why.
		if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil && ctx.Err() == nil {
			return newConnError(err)
		}
	}
	// What else it is, gRPC tells with the next call, which it does not send.
	if _, err := c.maid.List(ctx, &houseworkv1.ListRequest{}); err != nil {
		return c.explain(err)
	}
	return nil
}
