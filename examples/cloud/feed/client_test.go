package feed_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/cloud/feed"
	"github.com/netparts/netparts/examples/cloud/internal/rig"
)

// items asks for items, and fails the test with an error.
func items(t *testing.T, c *feed.Client, refresh bool) []feed.Item {
	t.Helper()
	got, err := c.Items(t.Context(), refresh)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func checkItems(t *testing.T, got []feed.Item, want ...feed.Item) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A tag in a header ETag of the request is what servers ignore: the feed would come again
// and again.
func TestEntityTagIsSentAsIfNoneMatch(t *testing.T) {
	requests := make(chan http.Header, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Header
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, rig.Document(rig.Walk, rig.Tea))
	}))
	defer server.Close()
	c := &feed.Client{URL: server.URL}
	for range 3 {
		checkItems(t, items(t, c, false), rig.Walk, rig.Tea)
	}
	if len(requests) != 3 {
		t.Fatalf("%d requests, want 3", len(requests))
	}
	for i, want := range []string{"", `"v1"`, `"v1"`} {
		h := <-requests
		if h.Get("If-None-Match") != want || h.Values("ETag") != nil || h.Get("Cache-Control") != "" {
			t.Errorf("request %d: %v", i, h)
		}
	}
}

// Decoding into what was there appends: the oldest fetch would stay in front for ever.
func TestSecondFetchReplacesTheItems(t *testing.T) {
	f := rig.NewFeed(t, rig.Tea)
	c := &feed.Client{URL: f.URL}
	checkItems(t, items(t, c, false), rig.Tea)
	f.Publish(rig.Walk, rig.Tea)
	checkItems(t, items(t, c, false), rig.Walk, rig.Tea)
	f.Publish()
	checkItems(t, items(t, c, false))
}

func TestItemsAreCopies(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk)
	c := &feed.Client{URL: f.URL}
	first := items(t, c, false)
	first[0].Title = "mine"
	checkItems(t, items(t, c, false), rig.Walk)
}

// A refresh names nothing that was known, and asks caches not to answer.
func TestRefresh(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk)
	c := &feed.Client{URL: f.URL}
	for _, refresh := range []bool{false, false, true, false} {
		checkItems(t, items(t, c, refresh), rig.Walk)
	}
	want := []string{"whole: 200", `since "v1": 304`, "refresh: 200", `since "v1": 304`}
	if got := f.Requests(); !slices.Equal(got, want) {
		t.Errorf("the feed was asked %q, want %q", got, want)
	}
}

// The tag must be that of the items that are kept, or the server would say "not modified"
// of items that are not.
func TestEntityTagBelongsToTheItems(t *testing.T) {
	answers := []struct{ tag, document, sent string }{
		{`"v1"`, rig.Document(rig.Tea), ""},
		{`"v2"`, "<rss><channel>", `"v1"`}, // is not kept
		{"", rig.Document(rig.Walk), `"v1"`},
		{`"v4"`, rig.Document(rig.Walk), ""},
		{"", rig.Document(rig.Walk), `"v4"`},
	}
	next := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := <-next
		if got := r.Header.Get("If-None-Match"); got != answers[i].sent {
			t.Errorf("request %d with tag %q, want %q", i, got, answers[i].sent)
		}
		w.Header().Set("ETag", answers[i].tag)
		io.WriteString(w, answers[i].document)
	}))
	defer server.Close()
	c := &feed.Client{URL: server.URL}
	for i := range answers {
		next <- i
		if _, err := c.Items(t.Context(), false); (err != nil) != (i == 1) {
			t.Errorf("answer %d: %v", i, err)
		}
	}
}

// A tag that cannot be sent back would make every later request fail.
func TestEntityTagsThatAreNone(t *testing.T) {
	for tag, ok := range map[string]bool{
		`"v1"`: true, `W/"v1"`: true, `""`: true, `"` + strings.Repeat("a", 254) + `"`: true, "\"\xe4\"": true,
		"": false, `v1`: false, `"`: false, `W/`: false, `w/"v1"`: false, `"a"b"`: false,
		"\"a\x01\"": false, "\"a b\"": false, "\"a\x7f\"": false, `"` + strings.Repeat("a", 255) + `"`: false,
	} {
		want := ""
		if ok {
			want = tag
		}
		if got := feed.EntityTag(http.Header{"Etag": {tag}}); got != want {
			t.Errorf("the tag %q became %q", tag, got)
		}
	}
}

func TestLastModified(t *testing.T) {
	const date = "Tue, 03 Mar 2026 08:00:00 GMT"
	for value, want := range map[string]string{date: date, "yesterday": "", "": ""} {
		asked := make(chan string, 10)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			since := r.Header.Get("If-Modified-Since")
			asked <- since
			w.Header().Set("Last-Modified", value)
			if since != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			io.WriteString(w, rig.Document(rig.Walk))
		}))
		c := &feed.Client{URL: server.URL}
		checkItems(t, items(t, c, false), rig.Walk)
		checkItems(t, items(t, c, false), rig.Walk)
		server.Close()
		if first, second := <-asked, <-asked; first != "" || second != want {
			t.Errorf("%q: the server was asked with %q and %q", value, first, second)
		}
	}
}

// bomb returns a feed whose title is 2 MiB of one character, in some KiB of gzip.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	// A bytes.Buffer takes everything.
	_, _ = io.WriteString(w, "<rss><channel><item><title>"+strings.Repeat("a", 2<<20)+"</title></item></channel></rss>")
	_ = w.Close()
	return b.Bytes()
})

// faults are answers that are none, and what the error says or is.
var faults = []struct {
	name   string
	answer http.HandlerFunc
	check  func(error) bool
}{
	{"a failure of the server", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, isStatus(503)},
	{"no such page", http.NotFound, isStatus(404)},
	{"a part", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206) }, isStatus(206)},
	{"HTML", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html><body>log in</body></html>") }, says("no RSS")},
	{"half a document", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, rig.Document(rig.Tea)[:200])
	}, says("EOF")},
	{"half a body", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, rig.Document(rig.Tea))
	}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	{"too much", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, rig.Document(rig.Tea)+strings.Repeat(" ", 1<<20))
	}, func(err error) bool { return errors.Is(err, feed.ErrTooLarge) }},
	{"too much after decompression", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb())
	}, func(err error) bool { return errors.Is(err, feed.ErrTooLarge) }},
	{"redirects without end", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/", http.StatusFound)
	}, says("more than 3 redirects")},
	{"a connection that ends", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(err error) bool { return errors.Is(err, io.EOF) }},
	{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
}

func isStatus(code int) func(error) bool {
	return func(err error) bool {
		status, ok := errors.AsType[*feed.StatusError](err)
		return ok && status.Code == code && strings.Contains(err.Error(), strconv.Itoa(code))
	}
}

func says(part string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), part) }
}

// A moody server answers with a fault while it has one.
type moody struct {
	healthy http.Handler
	fault   atomic.Pointer[http.HandlerFunc]
}

// ServeHTTP implements http.Handler.
func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := m.fault.Load(); fault != nil {
		(*fault)(w, r)
		return
	}
	m.healthy.ServeHTTP(w, r)
}

// Whatever the server does, the caller gets the last items and is told, and the next good
// answer is taken, by the tag of those items.
func TestStaleItemsAfterAFault(t *testing.T) {
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			f := rig.NewFeed(t, rig.Walk)
			m := &moody{healthy: f}
			server := httptest.NewServer(m)
			defer server.Close()
			c := &feed.Client{URL: server.URL, Timeout: rig.Limit}
			fail := func() ([]feed.Item, error) {
				m.fault.Store(&tt.answer)
				defer m.fault.Store(nil)
				ctx := t.Context()
				if tt.name == "no answer" {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
					defer cancel()
				}
				return c.Items(ctx, false)
			}

			got, err := fail()
			if got != nil || err == nil || !tt.check(err) {
				t.Fatalf("before there are items: %v, %v", got, err)
			}
			checkItems(t, items(t, c, false), rig.Walk)

			got, err = fail()
			if err == nil || !tt.check(err) || !strings.HasPrefix(err.Error(), "feed: ") {
				t.Errorf("%v", err)
			}
			checkItems(t, got, rig.Walk)
			checkItems(t, items(t, c, false), rig.Walk)
			if requests := f.Requests(); requests[len(requests)-1] != `since "v1": 304` {
				t.Errorf("the last request is %v", requests[len(requests)-1])
			}
		})
	}
}

// A 304 to a question that was none has no items to stand for.
func TestNotModifiedWithoutAQuestion(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotModified)
	}))
	defer server.Close()
	c := &feed.Client{URL: server.URL}
	if got, err := c.Items(t.Context(), false); got != nil || !isStatus(304)(err) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestURLThatIsNone(t *testing.T) {
	for _, url := range []string{"", "ftp://127.0.0.1/", "http://", ":"} {
		if got, err := (&feed.Client{URL: url}).Items(t.Context(), false); got != nil || err == nil {
			t.Errorf("%q: %v, %v", url, got, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk)
	mux := http.NewServeMux()
	mux.Handle("/3", http.RedirectHandler("/2", http.StatusFound))
	mux.Handle("/2", http.RedirectHandler("/1", http.StatusFound))
	mux.Handle("/1", http.RedirectHandler(f.URL, http.StatusMovedPermanently))
	server := httptest.NewServer(mux)
	defer server.Close()
	checkItems(t, items(t, &feed.Client{URL: server.URL + "/3"}, false), rig.Walk)

	secure := httptest.NewTLSServer(mux)
	defer secure.Close()
	client := secure.Client()
	client.CheckRedirect = feed.CheckRedirect
	got, err := (&feed.Client{URL: secure.URL + "/1", HTTPClient: client}).Items(t.Context(), false)
	if got != nil || err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("%v, %v", got, err)
	}
}

// A counter counts the bodies that are open.
type counter struct{ open atomic.Int64 }

type countedBody struct {
	io.ReadCloser
	once sync.Once
	c    *counter
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.c.open.Add(-1) })
	return b.ReadCloser.Close()
}

// RoundTrip implements http.RoundTripper.
func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		c.open.Add(1)
		resp.Body = &countedBody{ReadCloser: resp.Body, c: c}
	}
	return resp, err
}

// A body that is left open keeps its connection for ever.
func TestBodiesAreClosed(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk)
	m := &moody{healthy: f}
	server := httptest.NewServer(m)
	defer server.Close()
	var bodies counter
	c := &feed.Client{URL: server.URL, HTTPClient: &http.Client{Transport: &bodies, CheckRedirect: feed.CheckRedirect}, Timeout: rig.Limit}
	check := func(name string) {
		if n := bodies.open.Load(); n != 0 {
			t.Errorf("%s: %d bodies are open", name, n)
			bodies.open.Store(0)
		}
	}
	items(t, c, false)
	check("200")
	items(t, c, false)
	check("304")
	for _, tt := range faults {
		if tt.name == "no answer" {
			continue // and no body
		}
		m.fault.Store(&tt.answer)
		if _, err := c.Items(t.Context(), false); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
		check(tt.name)
	}
}

// Many callers, while the feed changes and fails: the race detector looks on, and each of
// them gets items that the feed had.
func TestManyCallers(t *testing.T) {
	f := rig.NewFeed(t, rig.Tea)
	c := &feed.Client{URL: f.URL}
	items(t, c, false)
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			for j := range 10 {
				got, err := c.Items(t.Context(), (i+j)%7 == 0)
				if err != nil && !isStatus(500)(err) {
					t.Error(err)
				}
				if !slices.Equal(got, []feed.Item{rig.Tea}) && !slices.Equal(got, []feed.Item{rig.Walk, rig.Tea}) {
					t.Errorf("got %v", got)
				}
				switch {
				case i == 0 && j == 3:
					f.Fail(http.StatusInternalServerError)
				case i == 0 && j == 6:
					f.Publish(rig.Walk, rig.Tea)
				}
			}
		})
	}
	callers.Wait()
	checkItems(t, items(t, c, false), rig.Walk, rig.Tea)
}
