package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netparts/netparts/examples/housework-etcd/etcdstore"
	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

const (
	// grace is how long calls may go on after a signal.
	grace = 10 * time.Second
	// patience is how long the members may take to answer at the start.
	patience = 5 * time.Second
)

// serve serves until ctx ends.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	store := &etcdstore.Store{Client: client, Prefix: c.prefix}
	if err := c.reach(ctx, store); err != nil {
		return err
	}
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelInfo
	}
	server := &housework.Server{
		Rosie:    &housework.Rosie{Store: store},
		Insecure: c.insecure,
		Logger:   slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	}
	if !c.insecure {
		files, err := tlsutil.WatchFiles(tlsutil.Files{Cert: c.cert, Key: c.key, Roots: c.clientCA, Logger: server.Logger})
		if err != nil {
			return err
		}
		defer files.Close()
		if server.TLSConfig, err = c.tlsConfig(files); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	announce(server, stdout, "tcp", cancel)
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe("tcp", c.address) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		err = errors.Join(stop(server, served), failure(ctx))
	}
	return errors.Join(err, store.Close())
}

// connect returns a client of the cluster, which connects when it is used.
func (c *config) connect() (*clientv3.Client, error) {
	config := etcdstore.Config(c.endpoints...)
	if c.etcdTLS() {
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.etcdCA != "" {
		pool, err := tlsutil.LoadPool(c.etcdCA)
		if err != nil {
			return nil, err
		}
		config.TLS.RootCAs = pool
	}
	if c.etcdCert != "" {
		cert, err := tls.LoadX509KeyPair(c.etcdCert, c.etcdKey)
		if err != nil {
			return nil, err
		}
		config.TLS.Certificates = []tls.Certificate{cert}
	}
	return clientv3.New(config)
}

func (c *config) etcdTLS() bool { return c.etcdCA != "" || c.etcdCert != "" }

// reach returns why the cluster cannot be used, if so.
func (c *config) reach(ctx context.Context, store housework.Store) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := store.List(ctx, 1, 1); err != nil {
		return fmt.Errorf("the cluster at %s cannot be used: %w", strings.Join(c.endpoints, ","), err)
	}
	return nil
}

// tlsConfig requires certificates of the clients if -client-ca says so.
func (c *config) tlsConfig(files tlsutil.Source) (*tls.Config, error) {
	options := &tlsutil.Options{NextProtos: []string{"h2"}}
	if c.clientCA == "" {
		return tlsutil.ServerConfig(files, options)
	}
	return tlsutil.MutualServer(files, options)
}

// announce has the first line written when the server listens.
func announce(server *housework.Server, stdout io.Writer, network string, cancel context.CancelCauseFunc) {
	server.Listening = func(a net.Addr) {
		if _, err := fmt.Fprintf(stdout, "listening on %s %v\n", network, a); err != nil {
			cancel(err) // nobody would know the address
		}
	}
}

// stop ends the server, in time if it can.
func stop(server *housework.Server, served <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if end := <-served; !errors.Is(end, housework.ErrServerClosed) {
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
