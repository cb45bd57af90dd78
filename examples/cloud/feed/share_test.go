package feed_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/examples/cloud/feed"
	"github.com/netparts/netparts/examples/cloud/internal/rig"
)

// A line is a transport on which a test answers by hand.
type line struct {
	requests chan *http.Request
	answers  chan string // documents; "" is a failure
}

func newLine() *line { return &line{make(chan *http.Request, 10), make(chan string)} }

// RoundTrip implements http.RoundTripper.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.requests <- r
	select {
	case document := <-l.answers:
		if document == "" {
			return nil, errors.New("the line is dead")
		}
		return &http.Response{
			StatusCode: http.StatusOK, Request: r,
			Header: http.Header{"Etag": {`"v1"`}},
			Body:   io.NopCloser(strings.NewReader(document)),
		}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (l *line) client() *feed.Client {
	return &feed.Client{URL: "http://comics.example/rss.xml", HTTPClient: &http.Client{Transport: l}}
}

// An outcome is what a caller got.
type outcome struct {
	items []feed.Item
	err   error
}

// call calls Items in a goroutine.
func call(ctx context.Context, c *feed.Client, refresh bool) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		got, err := c.Items(ctx, refresh)
		out <- outcome{got, err}
	}()
	return out
}

func isWalk(o outcome) bool { return o.err == nil && len(o.items) == 1 && o.items[0] == rig.Walk }

// Callers share a fetch, whoever began it, and one that leaves spoils nothing for the
// others.
func TestCallersShareAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		c := l.client()
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		first := call(ctx, c, false)
		synctest.Wait()
		var others []<-chan outcome
		for range 3 {
			others = append(others, call(t.Context(), c, false))
		}
		synctest.Wait()
		leave(gone)
		if o := <-first; !errors.Is(o.err, gone) || o.items != nil {
			t.Errorf("who left got %v", o)
		}
		l.answers <- rig.Document(rig.Walk)
		for _, other := range others {
			if o := <-other; !isWalk(o) {
				t.Errorf("who stayed got %v", o)
			}
		}
		if n := len(l.requests); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

// The slices of those who share are their own.
func TestSharedItemsAreCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		c := l.client()
		a, b := call(t.Context(), c, false), call(t.Context(), c, false)
		synctest.Wait()
		l.answers <- rig.Document(rig.Walk)
		first, second := <-a, <-b
		first.items[0].Title = "mine"
		if !isWalk(second) {
			t.Errorf("got %v", second)
		}
	})
}

// When the last caller leaves, the fetch ends before Items returns, and its end is nobody
// else's failure.
func TestFetchThatNobodyWantsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		c := l.client()
		c.MinInterval = time.Hour
		ctx, leave := context.WithCancel(t.Context())
		a, b := call(ctx, c, false), call(ctx, c, false)
		synctest.Wait()
		r := <-l.requests
		leave()
		for _, o := range []outcome{<-a, <-b} {
			if !errors.Is(o.err, context.Canceled) {
				t.Errorf("got %v", o)
			}
		}
		if r.Context().Err() == nil {
			t.Error("the fetch goes on")
		}
		next := call(t.Context(), c, false)
		l.answers <- rig.Document(rig.Walk)
		if o := <-next; !isWalk(o) {
			t.Errorf("the next caller got %v", o)
		}
	})
}

// A transport may take its time to end. Who comes meanwhile does not share what is being
// given up.
func TestFetchThatIsGivenUpIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		c := l.client()
		c.HTTPClient.Transport = deaf{l}
		ctx, leave := context.WithCancel(t.Context())
		first := call(ctx, c, false)
		synctest.Wait()
		leave()
		synctest.Wait()
		next := call(t.Context(), c, false)
		synctest.Wait()
		if n := len(l.requests); n != 1 {
			t.Errorf("%d requests at a time", n)
		}
		if len(first) != 0 {
			t.Error("Items returned while its fetch went on")
		}
		l.answers <- "" // the first, late
		if o := <-first; !errors.Is(o.err, context.Canceled) {
			t.Errorf("who left got %v", o)
		}
		l.answers <- rig.Document(rig.Walk)
		if o := <-next; !isWalk(o) {
			t.Errorf("who came got %v", o)
		}
	})
}

// deaf does not look at the context of a request.
type deaf struct{ *line }

// RoundTrip implements http.RoundTripper.
func (d deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	return d.line.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

// A context that has ended asks for nothing, and does not hide what is known.
func TestContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		c := l.client()
		first := call(t.Context(), c, false)
		l.answers <- rig.Document(rig.Walk)
		<-first
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got, err := c.Items(ctx, true)
		if !errors.Is(err, context.Canceled) || len(l.requests) != 1 {
			t.Errorf("%v, %d requests", err, len(l.requests))
		}
		checkItems(t, got, rig.Walk)
	})
}

// Who wants the whole feed is not served by a question whether it has changed, and those
// who come meanwhile share the refresh.
func TestRefreshIsNotServedByAnOrdinaryFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		c := l.client()
		first := call(t.Context(), c, false)
		l.answers <- rig.Document(rig.Tea)
		<-first
		<-l.requests

		ordinary := call(t.Context(), c, false)
		synctest.Wait()
		refresh := call(t.Context(), c, true)
		synctest.Wait()
		if r := <-l.requests; r.Header.Get("If-None-Match") == "" || len(l.requests) != 0 {
			t.Errorf("the first is no question, or not alone: %v", r.Header)
		}
		l.answers <- rig.Document(rig.Tea)
		<-ordinary
		synctest.Wait()
		late := call(t.Context(), c, false)
		synctest.Wait()
		if r := <-l.requests; r.Header.Get("If-None-Match") != "" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("the second is no refresh: %v", r.Header)
		}
		l.answers <- rig.Document(rig.Walk)
		if o := <-refresh; !isWalk(o) {
			t.Errorf("the refresh got %v", o)
		}
		if o := <-late; !isWalk(o) || len(l.requests) != 0 {
			t.Errorf("who came meanwhile got %v, %d requests", o, len(l.requests))
		}
	})
}

// Whoever begins the fetch after the one that a refresh waits for makes it the refresh.
// Otherwise a caller that asks again at once, which mostly comes first, could begin one
// ordinary fetch after another.
func TestRefreshIsNextWhoeverBeginsIt(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			l := newLine()
			c := l.client()
			busy := make(chan struct{})
			go func() {
				defer close(busy)
				for range 2 {
					// A fault would show in the requests.
					_, _ = c.Items(t.Context(), false)
				}
			}()
			<-l.requests
			refresh := call(t.Context(), c, true)
			synctest.Wait()
			l.answers <- rig.Document(rig.Tea)
			if r := <-l.requests; r.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("the second fetch is no refresh: %v", r.Header)
			}
			synctest.Wait()
			close(l.answers) // all others fail
			<-refresh
			<-busy
		})
	}
}

// A fetch has a limit in time although no caller has.
func TestFetchHasALimitInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLine().client()
		begin := time.Now()
		_, err := c.Items(context.Background(), false)
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// Within the interval the outcome stands, also that of a failure: a server in trouble is
// not asked by everybody.
func TestMinInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		c := l.client()
		c.MinInterval = time.Minute
		for _, step := range []struct {
			after   time.Duration
			refresh bool
			answer  string // "none" if there is no request
			want    string // the title of the item
			failed  bool
		}{
			{0, false, "", "", true},
			{59 * time.Second, false, "none", "", true},
			{time.Second, false, rig.Document(rig.Tea), "Tea & toast", false},
			{59 * time.Second, false, "none", "Tea & toast", false},
			{0, true, rig.Document(rig.Walk), "A walk", false},
			{59 * time.Second, false, "none", "A walk", false},
			{time.Second, false, "", "A walk", true},
			{time.Second, false, "none", "A walk", true},
		} {
			time.Sleep(step.after)
			out := call(t.Context(), c, step.refresh)
			if step.answer != "none" {
				l.answers <- step.answer
				<-l.requests
			}
			o, title := <-out, ""
			if len(o.items) > 0 {
				title = o.items[0].Title
			}
			if title != step.want || (o.err != nil) != step.failed || len(l.requests) != 0 {
				t.Errorf("%+v: got %v, %d requests", step, o, len(l.requests))
			}
		}
	})
}
