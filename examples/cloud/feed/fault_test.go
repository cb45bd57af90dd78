package feed_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/netparts/netparts/examples/cloud/feed"
)

// What fails is logged, and told to the clients of a Lambda function. So it must neither grow
// with what a server sends, nor show the token in the URL of the feed.
func TestErrorsAreBriefAndKeepSecrets(t *testing.T) {
	long := strings.Repeat("a", 40<<10)
	for _, answer := range []string{
		"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:0/" + long,
		"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1:0/" + long,
		"HTTP/1.1 302 Found\r\nLocation: https://%zz/" + long,
		"HTTP/1.1 " + long,
		"HTTP/1.1 200 OK\r\n" + long,
		"HTTP/1.1 200 OK\r\nContent-Length: " + long,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + long,
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 80<<10),
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			hijacked(t, w, answer+"\r\n\r\n<rss><channel></channel></rss>")
		}))
		c := &feed.Client{URL: server.URL + "/?token=secret"}
		_, err := c.Items(t.Context(), false)
		server.Close()
		if err == nil || len(err.Error()) > 250 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60q: error %.400v", answer, err)
		}
	}
	c := &feed.Client{URL: "http://me:secret@a b/"}
	if _, err := c.Items(t.Context(), false); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a URL that is none: %v", err)
	}
}

// hijacked answers by what may be no HTTP.
func hijacked(t *testing.T, w http.ResponseWriter, answer string) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	// The client may not want all of it.
	_, _ = rw.WriteString(answer)
	_ = rw.Flush()
}

// longError is an error of a transport that says much.
type longError struct{}

func (longError) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.Join(errors.New(strings.Repeat("a", 1000)), context.DeadlineExceeded)
}

// A brief error still is the error.
func TestBriefErrorsAreStillThemselves(t *testing.T) {
	c := &feed.Client{URL: "http://127.0.0.1:1/", HTTPClient: &http.Client{Transport: longError{}}}
	_, err := c.Items(t.Context(), false)
	if !errors.Is(err, context.DeadlineExceeded) || len(err.Error()) > 250 {
		t.Errorf("error %v", err)
	}
}
