package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

// grace is how long calls may go on after a signal.
const grace = 10 * time.Second

// serve serves until ctx ends.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	if c.selfSigned != "" {
		if err := c.makePair(); err != nil {
			return err
		}
	}
	files, err := tlsutil.WatchFiles(tlsutil.Files{
		Cert: c.cert, Key: c.key, Roots: c.clientCA,
		Interval: c.reload,
		Logger:   logger,
	})
	if err != nil {
		return err
	}
	defer files.Close()
	config, err := c.tlsConfig(files)
	if err != nil {
		return err
	}
	store, err := c.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := &housework.Server{
		Rosie:      &housework.Rosie{Store: store},
		TLSConfig:  config,
		Reflection: c.reflection,
		Logger:     logger,
		Listening: func(a net.Addr) {
			pin := tlsutil.PinOf(files.Current().Certificate.Leaf)
			if _, err := fmt.Fprintf(stdout, "listening on tcp %v\npin %v\n", a, pin); err != nil {
				cancel(err) // nobody would know the port
			}
		},
	}
	return errors.Join(c.until(ctx, server), store.Close())
}

// until lets the server serve until ctx ends.
func (c *config) until(ctx context.Context, server *housework.Server) error {
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe("tcp", c.address) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return errors.Join(stop(server, served, grace), failure(ctx))
}

// tlsConfig requires certificates of the clients if -client-ca says so.
func (c *config) tlsConfig(files tlsutil.Source) (*tls.Config, error) {
	options := &tlsutil.Options{NextProtos: []string{"h2"}}
	if c.clientCA == "" {
		return tlsutil.ServerConfig(files, options)
	}
	return tlsutil.MutualServer(files, options)
}

// open opens the list.
func (c *config) open() (housework.Store, error) {
	if c.file == "" {
		return new(housework.MemoryStore), nil
	}
	return housework.OpenFile(c.file, nil)
}

// stop ends the server, after the calls that are open if these end in time.
func stop(server *housework.Server, served <-chan error, grace time.Duration) error {
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
