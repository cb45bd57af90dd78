// Tcpproxy passes TCP connections and Unix streams on to upstreams.
//
//	tcpproxy -listen NETWORK:ADDR -to NETWORK:ADDR [-to NETWORK:ADDR ...] [flags]
//
//	-listen NETWORK:ADDR  where clients connect, as tcp:127.0.0.1:8080
//	-to NETWORK:ADDR      an upstream; may be given several times
//	-policy P             how to choose one: first (dial all, keep the one that
//	                      answers first), failover (the first that answers, in the
//	                      order given) or roundrobin (in turn) (failover)
//	-dial-timeout D       how long dialing may take, all upstreams together (10s)
//	-idle D               end pairs in which nothing moves for so long; 0 is never (1h)
//	-half-close D         the same once one side has ended its stream; 0 is as -idle
//	                      says (1m)
//	-max-conns N          how many clients are served at once; more of them wait; 0 is
//	                      any number (0)
//	-send-proxy V         begin with a header of the PROXY protocol to upstreams, v1 or v2
//	-accept-proxy CIDR    expect a header from clients in CIDR; may be given several times
//	-tap FILE             append what passes to FILE; - is the standard error
//	-grace D              how long connections may go on after a signal (10s)
//	-v                    log each connection
//
// A NETWORK is tcp, tcp4, tcp6 or unix, whose ADDR is the path of a socket, or a name
// that begins with @ in Linux's abstract namespace. The first line on the standard
// output is "listening on NETWORK ADDR", so that port 0 can be used.
//
// With -accept-proxy, clients in one of the CIDRs must send a header: what begins
// otherwise is reset, as it would pass under the address of the proxy before this one.
// Nothing is looked for in what other clients send, so that they can claim no address,
// and protocols in which the server speaks first work: a header from them
// is payload. The clients of a Unix socket have no address; for them the CIDR is
// "unix", which holds for all: the mode of the socket file says who they are.
//
// With -tap each line of the traffic becomes one of FILE, after the number of the
// connection, its client, and > for what goes to the upstream or < for what comes back.
// What cannot be printed is escaped. A FILE that is made can be read by its owner
// alone. Traffic does not wait for FILE: up to 1024 pieces of 16 KiB do, and
// what comes when they are that many is dropped, counted, and told at the end.
//
// Connections that reach no upstream are logged on the standard error, with -v all of
// them: the client, the upstream, the bytes each way, how long it took, and the cause
// of the end if it was not an orderly one.
//
// SIGINT and SIGTERM stop the listening, remove the file of a Unix socket, and let the
// connections end that are open; those that are left after -grace are reset. The second
// signal does not wait. The exit status is 0 then, 1 after a failure and 2 for wrong
// usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/netparts/netparts/proxy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that the second signal ends the program
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c config
	switch err := c.parse(args, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := c.serve(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "tcpproxy: %v\n", err)
		return 1
	}
	return 0
}

// serve serves until ctx ends.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	server := c.server()
	server.Logger = log
	if c.tap != "" {
		t, err := openTap(c.tap, stderr, log)
		if err != nil {
			return err
		}
		defer t.close(max(c.grace, time.Second))
		server.Tap = t.of
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server.Listening = func(a net.Addr) {
		if _, err := fmt.Fprintf(stdout, "listening on %s %s\n", c.listen.network, a); err != nil {
			cancel(err) // nobody would know the port
		}
	}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe(c.listen.network, c.listen.address) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return errors.Join(c.stop(server, served), failure(ctx))
}

// server returns the server that the flags describe.
func (c *config) server() *proxy.Server {
	server := &proxy.Server{
		Dial:             c.dial(),
		DialTimeout:      c.dialTimeout,
		IdleTimeout:      c.idle,
		HalfCloseTimeout: c.halfClose,
		MaxConns:         c.maxConns,
		SendHeader:       versions[c.sendProxy],
	}
	if c.idle == 0 {
		server.IdleTimeout = -1 // where 0 is the default
	}
	if c.halfClose == 0 {
		server.HalfCloseTimeout = -1
	}
	if len(c.accept) > 0 {
		server.Header = c.accept.policy
	}
	return server
}

// dial returns what chooses the upstream.
func (c *config) dial() proxy.DialFunc {
	var upstreams []proxy.DialFunc
	for _, to := range c.to {
		upstreams = append(upstreams, proxy.To(to.network, to.address))
	}
	return policies[c.policy](upstreams...)
}

// stop ends the server, in time if it can.
func (c *config) stop(server *proxy.Server, served <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		server.Logger.Warn("connections are cut", "after", c.grace, "relayed", server.Stats().Active)
		err = server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // lets them be logged; its error is that of Close
	}
	if end := <-served; !errors.Is(end, proxy.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// failure returns why ctx ended, if that was not a signal.
func failure(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
