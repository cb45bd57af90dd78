package xkcd_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/netparts/netparts/examples/cloud/feed"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

// The rule of the service is a function of its own, which needs no cloud, no server and
// no feed to be tried.
func ExamplePick() {
	items := []feed.Item{{Title: "new"}, {Title: "old"}, {Title: "older"}}
	fmt.Println(xkcd.Pick(items, false).Title)
	fmt.Println(xkcd.Pick(items, true).Title)
	fmt.Println(xkcd.Pick(items[:1], true).Title)
	fmt.Println(xkcd.Pick(nil, true).Title)
	// Output:
	// new
	// old
	// new
	// xkcd.com
}

// A handler is served by whatever a cloud brings, and by a test server here.
func ExampleService_Handler() {
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `<rss version="2.0"><channel>
			<item><title>Two</title><link>https://comics.example/2/</link></item>
			<item><title>One</title><link>https://comics.example/1/</link></item>
		</channel></rss>`)
	}))
	defer source.Close()
	service, err := xkcd.NewService(source.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(service.Handler())
	defer server.Close()

	for _, body := range []string{`{}`, `{"previous":true}`} {
		resp, err := http.Post(server.URL, "application/json", strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s (%s) %s", resp.Status, resp.Header.Get(xkcd.FeedHeader), answer)
	}
	// Output:
	// 200 OK (fresh) {"title":"Two","url":"https://comics.example/2/","published":""}
	// 200 OK (fresh) {"title":"One","url":"https://comics.example/1/","published":""}
}
