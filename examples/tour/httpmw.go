package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// An overseer is told of the requests of a server.
type overseer struct{ requests, bytes atomic.Int64 }

func (*overseer) Begin() {}

func (o *overseer) End(seen httpmw.Observation) {
	o.requests.Add(1)
	o.bytes.Add(seen.Bytes)
}

// passHTTPMW serves the file through a chain of middleware, and downloads it over HTTP/2
// without TLS. A copy of it with a name that is hidden must not be there.
func passHTTPMW(ctx context.Context, f file) (arrival, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return arrival{}, err
	}
	var seen overseer
	server := httpmw.NewServer(httpmw.Chain(
		httpmw.WideEvent(nil, nil),
		httpmw.Instrument(&seen, nil),
		httpmw.Recover(nil),
		httpmw.Timeout(time.Hour, nil),
		httpmw.DrainAndClose(nil),
		httpmw.RestrictPrefix(".", nil),
	)(serveFile(f)), nil)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- httpmw.Run(ctx, server, l, time.Second) }()

	got, err := download(ctx, "http://"+l.Addr().String())
	stop()
	if err := errors.Join(err, <-served); err != nil {
		return arrival{}, err
	}
	if n := seen.bytes.Load(); n < got.size {
		return arrival{}, fmt.Errorf("%d bytes were observed", n)
	}
	got.how += fmt.Sprintf(" through 6 middleware, %d requests observed", seen.requests.Load())
	return got, nil
}

// serveFile serves the file under a name and a hidden one.
func serveFile(f file) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/file", "/.file"} {
		mux.Handle(path, httpmw.Methods(map[string]http.Handler{
			http.MethodGet: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				file, err := os.Open(f.path)
				if err != nil {
					http.NotFound(w, r)
					return
				}
				defer file.Close()
				http.ServeContent(w, r, "", time.Time{}, file)
			}),
		}))
	}
	return mux
}

// download gets the file, after it has found that the hidden one is missing.
func download(ctx context.Context, url string) (arrival, error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	hidden, err := get(ctx, transport, url+"/.file")
	if err != nil {
		return arrival{}, err
	}
	err = hidden.Body.Close()
	if hidden.StatusCode != http.StatusNotFound {
		err = errors.Join(err, fmt.Errorf("the hidden file: %s", hidden.Status))
	}
	if err != nil {
		return arrival{}, err
	}
	resp, err := get(ctx, transport, url+"/file")
	if err != nil {
		return arrival{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		return arrival{}, fmt.Errorf("%s over %s", resp.Status, resp.Proto)
	}
	h := sha256.New()
	size, err := io.Copy(h, resp.Body)
	if err != nil {
		return arrival{}, err
	}
	got := arrival{how: "downloaded over h2c", size: size}
	h.Sum(got.sum[:0])
	return got, nil
}

func get(ctx context.Context, transport *http.Transport, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return transport.RoundTrip(req)
}
