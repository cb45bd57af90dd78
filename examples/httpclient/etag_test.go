package httpclient_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"
)

// A page is what a client has got, with the name that the server has given to this state
// of it, the entity tag (RFC 9110 section 8.8.3).
type page struct {
	body []byte
	etag string
}

// refresh returns the page of now, and whether it was transferred: if it is still the one
// that the client has, the server answers 304 without a body.
func refresh(ctx context.Context, client *http.Client, url string, have page) (now page, transferred bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return page{}, false, err
	}
	if have.etag != "" {
		req.Header.Set("If-None-Match", have.etag) // as it came, with its quotes
	}
	resp, err := client.Do(req)
	if err != nil {
		return page{}, false, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && have.etag != "":
		return have, false, nil
	case resp.StatusCode != http.StatusOK:
		return page{}, false, fmt.Errorf("the server answers %s", resp.Status)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, 1<<20))
	return page{body, resp.Header.Get("ETag")}, true, err
}

// Who asks for the same page again and again, as readers of feeds do, says which one it
// has, and gets it only if it is another by now.
func Example_conditionalGet() {
	text, etag := "old news", `"1"`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// ServeContent compares the tag that was set with that of the request.
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "news.txt", time.Time{}, bytes.NewReader([]byte(text)))
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	var have page
	for range 4 {
		now, transferred, err := refresh(ctx, server.Client(), server.URL, have)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s, transferred: %v\n", now.body, transferred)
		if have = now; !transferred {
			text, etag = "new news", `"2"`
		}
	}
	// Output:
	// old news, transferred: true
	// old news, transferred: false
	// new news, transferred: true
	// new news, transferred: false
}
