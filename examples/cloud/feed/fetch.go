package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const (
	maxRedirects = 3
	// maxTag is how long an entity tag may be that is sent back. Those of real servers
	// have some dozens of bytes.
	maxTag = 256
	// maxHeader bounds the header of an answer, which net/http lets have 10 MiB.
	maxHeader = 64 << 10
)

// A StatusError says that the server answered with a status that is neither 200 nor, to a
// question whether the feed has changed, 304.
type StatusError struct {
	// Code is the status.
	Code int
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("feed: the server answered %d %s", e.Code, http.StatusText(e.Code))
}

var defaultClient = &http.Client{CheckRedirect: checkRedirect, Transport: newTransport()}

// newTransport is the default one of net/http, with a limit for headers.
func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // the program has put its own there
	}
	t = t.Clone()
	t.MaxResponseHeaderBytes = maxHeader
	return t
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case req.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https":
		return errors.New("a redirect from https to http")
	}
	return nil
}

func (c *Client) httpClient() *http.Client {
	if c.HTTPClient == nil {
		return defaultClient
	}
	return c.HTTPClient
}

// fetch asks the server for what is newer than known.
func (c *Client) fetch(ctx context.Context, known snapshot, refresh bool) (snapshot, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return known, fmt.Errorf("feed: %w", cause(err))
	}
	// RFC 9110 section 13.1. A server that knows both looks at the tag alone.
	if known.etag != "" {
		req.Header.Set("If-None-Match", known.etag)
	}
	if known.lastModified != "" {
		req.Header.Set("If-Modified-Since", known.lastModified)
	}
	if refresh {
		req.Header.Set("Cache-Control", "no-cache") // for caches on the way
	}
	resp, err := c.httpClient().Do(req)
	if err != nil {
		return known, fmt.Errorf("feed: %w", brief(cause(err)))
	}
	// A body that is not read to its end costs the connection, and no more.
	defer resp.Body.Close()
	asked := known.etag != "" || known.lastModified != ""
	switch {
	case resp.StatusCode == http.StatusNotModified && asked:
		return known, nil
	case resp.StatusCode != http.StatusOK:
		return known, &StatusError{Code: resp.StatusCode}
	}
	// The transport has decompressed the body, so that the limit holds for what a few
	// bytes of gzip grow to.
	items, err := parse(http.MaxBytesReader(nil, resp.Body, c.maxBytes()))
	if err != nil {
		return known, err
	}
	// Both are of this answer or of none: an old tag with new items would let the server
	// say "not modified" of what is no longer here.
	return snapshot{items: items, etag: entityTag(resp.Header), lastModified: modified(resp.Header)}, nil
}

// cause takes the URL off an error: it may hold a password or a token, and that of a redirect
// is what the server wrote.
func cause(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		return of.Err
	}
	return err
}

// entityTag returns the ETag of an answer if it is one (RFC 9110 section 8.8.3). What
// could not be sent back would make each later request fail.
func entityTag(h http.Header) string {
	tag := h.Get("ETag")
	opaque := strings.TrimPrefix(tag, "W/")
	if len(tag) > maxTag || len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' {
		return ""
	}
	for _, b := range []byte(opaque[1 : len(opaque)-1]) {
		if b <= ' ' || b == '"' || b == 0x7f {
			return ""
		}
	}
	return tag
}

// modified returns the Last-Modified of an answer if it is a date.
func modified(h http.Header) string {
	date := h.Get("Last-Modified")
	if _, err := http.ParseTime(date); err != nil {
		return ""
	}
	return date
}
