package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"

	"github.com/netparts/netparts/housework"
)

const (
	// choreBytes are as many bytes of the file as the longest description holds.
	choreBytes = housework.MaxDescription / 4 * 3

	// batch is how many chores go in one call.
	batch = 500

	// maxListBytes is how much of the file one list takes, so that a long file does not
	// have to fit into memory.
	maxListBytes = 32 << 20
)

// An errand is a file on its way through lists of chores.
type errand struct {
	sum           hash.Hash
	size          int64 // of what was listed
	chores, calls int
}

// passHousework adds the file to a list of chores over gRPC and mutual TLS, a
// description for each few bytes, and puts together what is listed.
func passHousework(ctx context.Context, f file) (arrival, error) {
	return throughLists(ctx, f, maxListBytes)
}

// throughLists sends the file through as many lists as it takes, one after the other.
func throughLists(ctx context.Context, f file, listBytes int64) (arrival, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return arrival{}, err
	}
	defer r.Close()
	e := &errand{sum: sha256.New()}
	for sent := int64(0); ; sent += listBytes {
		if err := e.useList(ctx, io.NewSectionReader(r, sent, listBytes)); err != nil {
			return arrival{}, err
		}
		if e.size < sent+listBytes {
			break // this list was not filled
		}
	}
	got := arrival{how: fmt.Sprintf("%d chores in %d calls of gRPC over mutual TLS", e.chores, e.calls), size: e.size}
	e.sum.Sum(got.sum[:0])
	return got, nil
}

// useList serves a list, and sends one part of the file through it.
func (e *errand) useList(ctx context.Context, part io.Reader) error {
	clientConfig, serverConfig, err := mutual()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &housework.Server{
		Rosie:     &housework.Rosie{Store: new(housework.MemoryStore)},
		TLSConfig: serverConfig,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	err = e.useServer(ctx, l.Addr().String(), &housework.ClientOptions{TLSConfig: clientConfig}, part)
	err = errors.Join(err, server.Close())
	if end := <-served; !errors.Is(end, housework.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// useServer adds the part to the list of a server, and reads it back.
func (e *errand) useServer(ctx context.Context, addr string, o *housework.ClientOptions, part io.Reader) error {
	client, err := housework.Dial(ctx, addr, o)
	if err != nil {
		return err
	}
	err = e.add(ctx, client, part)
	if err == nil {
		err = e.list(ctx, client)
	}
	return errors.Join(err, client.Close())
}

// add adds what r holds, in batches.
func (e *errand) add(ctx context.Context, store housework.Store, r io.Reader) error {
	for b := make([]byte, batch*choreBytes); ; {
		n, err := io.ReadFull(r, b)
		if n > 0 {
			var chores []housework.Chore
			for rest := b[:n]; len(rest) > 0; rest = rest[min(len(rest), choreBytes):] {
				text := base64.StdEncoding.EncodeToString(rest[:min(len(rest), choreBytes)])
				chores = append(chores, housework.Chore{Description: text})
			}
			e.chores += len(chores)
			e.calls++
			if _, err := store.Add(ctx, "", chores); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// list takes the descriptions of a list, by pages.
func (e *errand) list(ctx context.Context, store housework.Store) error {
	for first := 1; ; {
		e.calls++
		page, err := store.List(ctx, first, batch)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, chore := range page {
			b, err := base64.StdEncoding.DecodeString(chore.Description)
			if err != nil {
				return err
			}
			e.size += int64(len(b))
			e.sum.Write(b) // a hash.Hash never fails
		}
		first += len(page)
	}
}
