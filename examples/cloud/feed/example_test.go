package feed_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/netparts/netparts/examples/cloud/feed"
)

const exampleFeed = `<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0">
  <channel>
    <title>Walks</title>
    <item><title>Over the hill</title><link>https://walks.example/2</link><pubDate>Tue, 03 Mar 2026 08:00:00 +0000</pubDate></item>
    <item><title>Along the river</title><link>https://walks.example/1</link><pubDate>Mon, 02 Mar 2026 08:00:00 +0000</pubDate></item>
  </channel>
</rss>`

// A server says by an entity tag which version of its feed an answer is. A client that
// keeps the tag asks the next time whether there is another, and a server that has none
// answers 304, without a body.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("If-None-Match is %q\n", r.Header.Get("If-None-Match"))
		if r.Header.Get("If-None-Match") == `"7"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"7"`)
		io.WriteString(w, exampleFeed)
	}))
	defer server.Close()

	client := &feed.Client{URL: server.URL}
	for range 2 {
		items, err := client.Items(context.Background(), false)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(items), "items, the first is", items[0].Title)
	}
	// Output:
	// If-None-Match is ""
	// 2 items, the first is Over the hill
	// If-None-Match is "\"7\""
	// 2 items, the first is Over the hill
}

// A feed that fails now and then need not fail those who read it: there is an error, and
// there are the items of before.
func ExampleClient_Items() {
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, exampleFeed)
	}))
	defer server.Close()

	client := &feed.Client{URL: server.URL}
	for range 2 {
		items, err := client.Items(context.Background(), false)
		if err != nil && len(items) == 0 {
			log.Fatal(err)
		}
		if err != nil {
			fmt.Println("stale:", err)
		}
		fmt.Println(items[0].Title, items[0].URL)
		broken.Store(true)
	}
	// Output:
	// Over the hill https://walks.example/2
	// stale: feed: the server answered 503 Service Unavailable
	// Over the hill https://walks.example/2
}
