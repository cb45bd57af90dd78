// Package feed reads RSS 2.0 from a server that wants to be asked politely: a Client
// remembers what the server said about its answer, and asks "has it changed?" the next
// time, so that a feed which has not costs a few bytes.
//
//	client := &feed.Client{URL: "https://xkcd.com/rss.xml"}
//	items, err := client.Items(ctx, false)
//	if err != nil && len(items) == 0 {
//		return err // there was never an answer
//	}
//	// With an error the items are stale: those of the last fetch that went well.
//
// A fetch reads at most 1 MiB, after decompression, and 64 KiB of header an answer, and takes
// at most 10 seconds. Its errors do not show the URL, which may hold a secret. Of the first
// 1,000 items it keeps the title, the link and the date, as they stand in the feed: whoever
// puts them on a page has to escape them. Atom and RSS 1.0 are other formats.
package feed

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	defaultMaxBytes = 1 << 20
	defaultTimeout  = 10 * time.Second
)

// A Client fetches one feed, and keeps what it had. With its URL alone it is ready. Its
// methods may be called at the same time: one fetch runs at a time, and all who want the
// same share it. The exported fields must not be changed after the first call.
type Client struct {
	// URL is where the feed is.
	URL string

	// HTTPClient sends the requests. If nil, it is one that follows three redirects at
	// most, none of them from https to http, and reads 64 KiB of header at most.
	HTTPClient *http.Client

	// MaxBytes is how long the document may be once it is decompressed. If zero, 1 MiB.
	MaxBytes int64

	// Timeout is how long a fetch may take in all. If zero, 10 seconds.
	Timeout time.Duration

	// MinInterval is how long the outcome of a fetch, also of one that failed, stands
	// in for another. If zero, each call fetches, or shares the fetch that runs.
	MinInterval time.Duration

	mu         sync.Mutex
	last       snapshot
	fetched    time.Time // when the last fetch that was not given up ended
	err        error     // of that fetch
	flight     *flight   // that runs, or nil
	refreshing int       // callers that want the whole feed
}

// A snapshot is an answer of the server, with what it is called by.
type snapshot struct {
	items        []Item
	etag         string
	lastModified string
}

// A flight is a fetch that runs. The mutex of the Client guards its fields.
type flight struct {
	refresh bool
	callers int
	cancel  context.CancelFunc
	done    chan struct{}
}

// Items asks the server whether the feed has changed, and returns its items, newest first
// if the server has them so. The slice is the caller's own. With refresh the server, and
// caches on the way, must send the whole feed, whatever was known of it.
//
// If the fetch fails, Items returns the error and the items of the last one that went
// well, so a caller that can do with stale items looks at both. The items are nil if there
// was none. If ctx ends first, the error wraps its cause, and others who wait for the same
// fetch still get it; when the last of them leaves, the fetch ends.
func (c *Client) Items(ctx context.Context, refresh bool) ([]Item, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return c.stale(fmt.Errorf("feed: %w", context.Cause(ctx)))
	}
	if refresh {
		// Whoever starts the next fetch makes it a refresh: otherwise this caller could
		// wait for one ordinary fetch after another.
		c.refreshing++
		defer func() { c.refreshing-- }()
	}
	for {
		f := c.flight
		switch {
		case f == nil && !refresh && c.recent():
			return c.stale(c.err)
		case f == nil:
			return c.join(ctx, c.start(ctx, c.refreshing > 0))
		case f.callers > 0 && (f.refresh || !refresh):
			return c.join(ctx, f)
		}
		// This fetch is not what the caller needs, or is being given up.
		c.mu.Unlock()
		err := wait(ctx, f.done)
		c.mu.Lock()
		if err != nil {
			return c.stale(err)
		}
	}
}

// stale returns a copy of the last items with err.
func (c *Client) stale(err error) ([]Item, error) { return slices.Clone(c.last.items), err }

// recent reports whether the outcome of the last fetch still stands.
func (c *Client) recent() bool {
	return !c.fetched.IsZero() && time.Since(c.fetched) < c.MinInterval
}

// wait waits for done, or for the end of ctx.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("feed: %w", context.Cause(ctx))
	}
}

// join waits for a fetch together with others.
func (c *Client) join(ctx context.Context, f *flight) ([]Item, error) {
	f.callers++
	c.mu.Unlock()
	err := wait(ctx, f.done)
	c.mu.Lock()
	f.callers--
	if err == nil {
		return c.stale(c.err)
	}
	if f.callers == 0 {
		// Nobody wants it any more. It must not outlive its callers: a cloud freezes what
		// still runs after the answer, and thaws it with the next request.
		f.cancel()
		c.mu.Unlock()
		<-f.done
		c.mu.Lock()
	}
	return c.stale(err)
}

// start begins a fetch. Its context has the values of the first caller's, but ends by
// itself: others may want the outcome when that caller has left.
func (c *Client) start(ctx context.Context, refresh bool) *flight {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout())
	f := &flight{refresh: refresh, cancel: cancel, done: make(chan struct{})}
	c.flight = f
	known := c.last
	if refresh {
		known.etag, known.lastModified = "", ""
	}
	go func() {
		next, err := c.fetch(ctx, known, refresh)
		c.mu.Lock()
		defer c.mu.Unlock()
		defer close(f.done)
		c.flight = nil
		cancel()
		if err == nil {
			c.last = next
		}
		if err == nil || f.callers > 0 {
			c.fetched, c.err = time.Now(), err
		}
	}()
	return f
}

func (c *Client) maxBytes() int64 {
	if c.MaxBytes == 0 {
		return defaultMaxBytes
	}
	return c.MaxBytes
}

func (c *Client) timeout() time.Duration {
	if c.Timeout == 0 {
		return defaultTimeout
	}
	return c.Timeout
}
