package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/netparts/netparts/examples/observability/metrics"
	"github.com/netparts/netparts/httpmw"
)

// grace is how long requests may go on after a signal.
const grace = 10 * time.Second

// A gauge is a ConnGauge that can be waited for.
type gauge struct {
	httpmw.ConnGauge
	changed chan struct{}
}

// ConnState is for the field of that name of http.Server.
func (g *gauge) ConnState(conn net.Conn, state http.ConnState) {
	g.ConnGauge.ConnState(conn, state)
	select {
	case g.changed <- struct{}{}:
	default: // the one that waits has yet to look
	}
}

// empty waits until no connection is open.
func (g *gauge) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for g.Open() > 0 {
		select {
		case <-g.changed:
		case <-ctx.Done():
			return fmt.Errorf("%d connections are still open: %w", g.Open(), context.Cause(ctx))
		}
	}
	return nil
}

// demonstrate serves, and shows what the servers tell.
func (c *config) demonstrate(ctx context.Context, stdout, stderr io.Writer) error {
	if err := c.checkFiles(openFiles()); err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	connections := &gauge{changed: make(chan struct{}, 1)}
	registry, err := metrics.NewRegistry()
	if err != nil {
		return err
	}
	observer, err := c.observer(registry, connections)
	if err != nil {
		return err
	}
	webServer := httpmw.NewServer(httpmw.Instrument(observer, nil)(greeting(c.latency)), logger)
	webServer.ConnState = connections.ConnState
	metricsServer := httpmw.NewServer(metrics.Handler(registry, logger), logger)

	web, err := net.Listen("tcp", c.web)
	if err != nil {
		return err
	}
	scraped, err := net.Listen("tcp", c.metrics)
	if err != nil {
		return errors.Join(err, web.Close())
	}
	ctx, stop := context.WithCancelCause(ctx)
	ended := make([]error, 2)
	var servers sync.WaitGroup
	serve := func(i int, server *http.Server, l net.Listener) {
		servers.Go(func() {
			ended[i] = httpmw.Run(ctx, server, l, grace)
			stop(ended[i]) // one without the other would be of no use
		})
	}
	serve(0, webServer, web)
	serve(1, metricsServer, scraped)
	err = c.show(ctx, connections, "http://"+web.Addr().String(), "http://"+scraped.Addr().String(), stdout)
	stop(nil)
	servers.Wait()
	if failed := errors.Join(ended...); failed != nil {
		return failed // which is what ended the demonstration
	}
	return err
}

// observer is the one place that says which platform the metrics are for.
func (c *config) observer(reg prometheus.Registerer, connections *gauge) (httpmw.Observer, error) {
	return metrics.New(reg, c.namespace, c.subsystem, &metrics.Options{
		Connections: &connections.ConnGauge,
		Summary:     c.summary,
	})
}

// greeting answers after some time up to the longest.
func greeting(longest time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if longest > 0 {
			select {
			case <-time.After(rand.N(longest)):
			case <-r.Context().Done():
				return // there is nobody to answer any more
			}
		}
		io.WriteString(w, "Hello!") // an error is counted by what instruments the handler
	})
	return mux
}

// show is the demonstration against servers that run.
func (c *config) show(ctx context.Context, connections *gauge, web, scraped string, stdout io.Writer) error {
	if _, err := fmt.Fprintf(stdout, "listening on %s\nlistening on %s\n", web, scraped); err != nil {
		return err // nobody would know the ports
	}
	fmt.Fprintf(stdout, "%d clients send %d requests each\n", c.clients, c.requests)
	clients := newClients(c.clients)
	defer closeIdle(clients)
	if err := c.load(ctx, clients, web); err != nil {
		return err
	}
	page, err := scrape(ctx, scraped+"/metrics")
	if err != nil {
		return err
	}
	stdout.Write(linesOf(page, c.prefix(), "open_connections", "request_", "write_errors_count")) // what cannot be shown is still checked
	if err := c.checkPage(page, c.clients); err != nil {
		return err
	}

	// A client keeps its connection for the next request until it is told not to.
	closeIdle(clients)
	if err := connections.empty(ctx); err != nil {
		return err
	}
	if page, err = scrape(ctx, scraped+"/metrics"); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "the clients have closed their connections")
	stdout.Write(linesOf(page, c.prefix(), "open_connections"))
	if err := c.checkPage(page, 0); err != nil {
		return err
	}
	if c.serve {
		fmt.Fprintln(stdout, "serving until a signal comes")
		<-ctx.Done() // which may be a server that has failed, and says so itself
	}
	return nil
}

// newClients returns clients that share nothing: with one transport they would share
// its idle connections, of which it keeps two for each host.
func newClients(n int) []*http.Client {
	clients := make([]*http.Client, n)
	for i := range clients {
		clients[i] = &http.Client{Transport: new(http.Transport), Timeout: time.Minute}
	}
	return clients
}

func closeIdle(clients []*http.Client) {
	for _, client := range clients {
		client.CloseIdleConnections()
	}
}

// load lets all clients send their requests, at the same time.
func (c *config) load(ctx context.Context, clients []*http.Client, url string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, client := range clients {
		wg.Go(func() {
			for range c.requests {
				if err := greet(ctx, client, url); err != nil {
					cancel(err) // one is enough to end all
					return
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("not all requests were sent: %w", err)
	}
	return nil
}

// greet sends a request and reads the answer to its end, without which the connection would
// not serve the next one.
func greet(ctx context.Context, client *http.Client, url string) error {
	b, err := get(ctx, client, url, 1<<10)
	if err == nil && !bytes.Equal(b, []byte("Hello!")) {
		err = fmt.Errorf("the greeting is %.100q", b)
	}
	return err
}

// get returns the body of a good answer, of at most limit bytes.
func get(ctx context.Context, client *http.Client, url string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %.100q", url, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s answers with more than %d bytes", url, limit)
	}
	return b, err
}
