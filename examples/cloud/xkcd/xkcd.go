// Package xkcd answers which comic is the latest, or the one before it. Three clouds
// serve it: as an [http.Handler], which Google and Azure want, and as a function of a
// request, which AWS Lambda wants. What a cloud needs stands in a package of its own.
package xkcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/netparts/netparts/examples/cloud/feed"
)

// DefaultFeed is where the feed is if nobody says otherwise.
const DefaultFeed = "https://xkcd.com/rss.xml"

// FeedVariable is the environment variable that says otherwise.
const FeedVariable = "XKCD_FEED_URL"

// A Request is what a client asks for. Keys that it does not know are ignored.
type Request struct {
	// Previous asks for the comic before the latest.
	Previous bool `json:"previous"`

	// Refresh asks for the whole feed, whatever was known of it.
	Refresh bool `json:"refresh"`
}

// A Response tells about one comic.
type Response struct {
	// Title is that of the comic.
	Title string `json:"title"`

	// URL is its page.
	URL string `json:"url"`

	// Published is the date as the feed has it.
	Published string `json:"published"`
}

// Default returns the response if there is no comic to tell of.
func Default() Response { return Response{Title: "xkcd.com", URL: "https://xkcd.com/"} }

// Pick returns the latest of items, which are sorted from new to old, or the one before
// it. If there is one alone, that is both, and if there is none, it is Default.
func Pick(items []feed.Item, previous bool) Response {
	i := 0
	if previous && len(items) > 1 {
		i = 1
	}
	if i >= len(items) {
		return Default()
	}
	return Response{Title: items[i].Title, URL: items[i].URL, Published: items[i].Published}
}

// An UnavailableError says that there was no answer of the feed yet. Lambda's clients see
// the name of this type as "errorType".
type UnavailableError struct {
	// Err is why the last fetch failed.
	Err error
}

// Error implements error.
func (e *UnavailableError) Error() string { return fmt.Sprintf("xkcd: no comics: %v", e.Err) }

// Unwrap returns Err.
func (e *UnavailableError) Unwrap() error { return e.Err }

// A Service answers requests from one feed, whose items it keeps from request to request:
// a cloud lets an instance live on for the next ones. Its methods may be called at the
// same time.
type Service struct {
	feed   feed.Client
	logger *slog.Logger
}

// NewService returns a service of the feed at feedURL, or at DefaultFeed if that is empty.
// A nil logger is silent.
func NewService(feedURL string, logger *slog.Logger) (*Service, error) {
	if feedURL == "" {
		feedURL = DefaultFeed
	}
	// The error does not show it: what nearly is a URL may have a password in it.
	u, err := url.Parse(feedURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("xkcd: the URL of the feed is no http or https URL")
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Service{feed: feed.Client{URL: feedURL}, logger: logger}, nil
}

// Latest answers a request. It has the form that the library of AWS Lambda calls. If the
// feed fails, the answer is that of the last fetch that went well, and the failure is
// logged; an *UnavailableError, with Default, says that there was none.
func (s *Service) Latest(ctx context.Context, req Request) (Response, error) {
	items, err := s.feed.Items(ctx, req.Refresh)
	resp := Pick(items, req.Previous)
	switch {
	case err == nil:
		return resp, nil
	case items == nil:
		return resp, &UnavailableError{Err: err}
	}
	s.logger.WarnContext(ctx, "the answer is stale", "error", err)
	return resp, nil
}
