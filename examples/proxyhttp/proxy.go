package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// newTransport returns what connects to the backend. The one that net/http has by default
// waits for a backend as long as that likes, and keeps two connections to it.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		ResponseHeaderTimeout: 30 * time.Second, // for the header alone: a body may be a stream
		// What the backend closes while a request is on its way fails that request, so that
		// connections end here before they do there.
		IdleConnTimeout:        time.Minute,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    64, // as there is one host
		MaxResponseHeaderBytes: 64 << 10,
		ExpectContinueTimeout:  time.Second,
		// Whether a body is compressed is between the client and the backend.
		DisableCompression: true,
		// Proxy is nil: no variable of the environment may lead requests elsewhere.
	}
}

// passTo returns a handler that passes requests on to the backend at addr, and its responses
// back as they come. When the client goes, so does the request to the backend.
func passTo(addr string, transport http.RoundTripper, logger *slog.Logger) http.Handler {
	backend := &url.URL{Scheme: "http", Host: addr}
	return &httputil.ReverseProxy{
		// The headers that are for one connection have been removed when Rewrite is called. A
		// Director would be called before, so that a client could have headers removed
		// that it sets, by naming them in Connection.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(backend)
			removeClaims(r.Out.Header)
			r.SetXForwarded()
			// An upgrade to HTTP/2 would carry requests that the front never sees.
			if !strings.EqualFold(r.Out.Header.Get("Upgrade"), "websocket") {
				r.Out.Header.Del("Upgrade")
				r.Out.Header.Del("Connection")
			}
			if r.Out.Body != nil {
				r.Out.Body = &clientBody{ReadCloser: r.Out.Body}
			}
		},
		Transport:      transport,
		FlushInterval:  -1, // what the backend has flushed goes on at once
		ModifyResponse: checkStatus,
		ErrorHandler:   refuse,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// removeClaims removes the headers by which proxies tell of a client, as a client may send
// them, too. ReverseProxy does so with the common ones. Some backends take "_" for "-".
func removeClaims(header http.Header) {
	for name := range header {
		plain := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if plain == "forwarded" || plain == "x-real-ip" || strings.HasPrefix(plain, "x-forwarded") {
			delete(header, name)
		}
	}
}

// checkStatus refuses what a ResponseWriter would panic for. A transport takes any three digits.
func checkStatus(resp *http.Response) error {
	if resp.StatusCode < 100 {
		return fmt.Errorf("status %03d of the backend", resp.StatusCode)
	}
	return nil
}

// refuse answers a request that could not be passed on. The client learns no more than whose
// fault it is: errors tell addresses of the network behind the front.
func refuse(w http.ResponseWriter, out *http.Request, err error) {
	var fault error
	if body, ok := out.Body.(*clientBody); ok {
		fault = body.failed()
	}
	httpmw.AddFields(out.Context(), slog.String("proxy_error", errors.Join(err, fault).Error()))
	status := http.StatusBadGateway
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(fault, os.ErrDeadlineExceeded):
		status = http.StatusRequestTimeout // the server has a limit on bodies
	case out.Context().Err() != nil:
		status = statusClientGone
	case fault != nil:
		status = http.StatusBadRequest
	case isNet && netErr.Timeout():
		status = http.StatusGatewayTimeout
	}
	http.Error(w, http.StatusText(status), status)
}

// statusClientGone is what other fronts log when the client did not wait. Nobody reads it, but
// the record of the request looks unlike that of a backend that has failed.
const statusClientGone = 499

// A clientBody is the body of a request that remembers what went wrong with it. The transport
// reports that as it does an error of the backend, or as the end of the context, which
// an error of the client's connection ends.
type clientBody struct {
	io.ReadCloser

	mu     sync.Mutex
	err    error
	closed bool
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	// What fails after Close does so because of it.
	if err != nil && err != io.EOF && !b.closed {
		b.err = err
	}
	return n, err
}

// Close is called by the transport when it needs no more of the body.
func (b *clientBody) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

func (b *clientBody) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
