package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/unixauth"
)

// passUnixauth sends the file over a Unix socket that only this user can connect to, to a
// listener that lets in only this user.
func passUnixauth(ctx context.Context, f file) (arrival, error) {
	dir, err := os.MkdirTemp("", "tour")
	if err != nil {
		return arrival{}, err
	}
	got, err := throughSocket(ctx, filepath.Join(dir, "s"), unixauth.Self(), f)
	if errors.Is(err, errors.ErrUnsupported) {
		// Such a system has nothing that could be shown here; the tour goes on.
		got, err = untransferred(f)
	}
	return got, errors.Join(err, os.RemoveAll(dir))
}

// untransferred reads the file where it is, and says so.
func untransferred(f file) (arrival, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return arrival{}, err
	}
	defer r.Close()
	got := arrival{how: "not sent, because this system has no peer credentials"}
	got.size, got.sum, err = digest(r)
	return got, err
}

// throughSocket sends the file to a listener at path that the rule has to let it in to.
func throughSocket(ctx context.Context, path string, rule unixauth.Rule, f file) (arrival, error) {
	const mode = 0o600
	inner, err := unixauth.Listen(path, unixauth.Options{Mode: mode})
	if err != nil {
		return arrival{}, err
	}
	policy, err := unixauth.NewPolicy(rule)
	if err != nil {
		return arrival{}, errors.Join(err, inner.Close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := &unixauth.Listener{Listener: inner, Policy: policy, OnDeny: cancel}
	client, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return arrival{}, errors.Join(err, l.Close())
	}
	stop := func() {
		client.Close()
		l.Close()
	}
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	sent := make(chan error, 1)
	go func() {
		err := sendFile(client, f)
		if err != nil {
			stop() // so that the receiver ends too
		}
		sent <- err
	}()
	got, err := receiveAllowed(l)
	if err != nil {
		stop()
	}
	if err := errors.Join(err, <-sent); err != nil {
		return arrival{}, errors.Join(context.Cause(ctx), err) // if it was denied, that is why
	}
	got.how += fmt.Sprintf(", over a Unix socket of mode %#o", mode)
	return got, nil
}

// receiveAllowed reads what the first peer sends that the listener lets in.
func receiveAllowed(l *unixauth.Listener) (arrival, error) {
	conn, err := l.Accept()
	if err != nil {
		return arrival{}, err
	}
	defer conn.Close()
	cred, ok := unixauth.CredFrom(conn)
	if !ok {
		return arrival{}, errors.New("it is not known who connected")
	}
	got, err := receive(conn)
	got.how = fmt.Sprintf("from uid %d, as the kernel says", cred.UID)
	return got, err
}
