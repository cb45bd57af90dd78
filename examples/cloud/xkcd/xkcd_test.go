package xkcd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/examples/cloud/feed"
	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

var (
	walk = xkcd.Response{Title: rig.Walk.Title, URL: rig.Walk.URL, Published: rig.Walk.Published}
	tea  = xkcd.Response{Title: rig.Tea.Title, URL: rig.Tea.URL, Published: rig.Tea.Published}
)

func TestPick(t *testing.T) {
	for _, tt := range []struct {
		items            []feed.Item
		latest, previous xkcd.Response
	}{
		{nil, xkcd.Default(), xkcd.Default()},
		{[]feed.Item{}, xkcd.Default(), xkcd.Default()},
		{[]feed.Item{rig.Walk}, walk, walk},
		{[]feed.Item{rig.Walk, rig.Tea}, walk, tea},
		{[]feed.Item{rig.Walk, rig.Tea, {Title: "old"}}, walk, tea},
	} {
		if got := xkcd.Pick(tt.items, false); got != tt.latest {
			t.Errorf("the latest of %v is %v", tt.items, got)
		}
		if got := xkcd.Pick(tt.items, true); got != tt.previous {
			t.Errorf("the previous of %v is %v", tt.items, got)
		}
	}
}

// What goes over the wire, key by key.
func TestJSON(t *testing.T) {
	for v, want := range map[any]string{
		xkcd.Request{}:                            `{"previous":false,"refresh":false}`,
		xkcd.Request{Previous: true}:              `{"previous":true,"refresh":false}`,
		xkcd.Default():                            `{"title":"xkcd.com","url":"https://xkcd.com/","published":""}`,
		xkcd.Response{Title: "a", Published: "b"}: `{"title":"a","url":"","published":"b"}`,
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%#v: %s, %v", v, got, err)
		}
	}
	var req xkcd.Request
	if err := json.Unmarshal([]byte(`{"previous":true,"colour":"red"}`), &req); err != nil || req != (xkcd.Request{Previous: true}) {
		t.Errorf("%v, %v", req, err)
	}
}

func TestNewService(t *testing.T) {
	for _, url := range []string{"", xkcd.DefaultFeed, "http://127.0.0.1:1/"} {
		if _, err := xkcd.NewService(url, nil); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{"xkcd.com/rss.xml", "file:///etc/hostname", "https://", "/rss.xml", "http://a b/", ":"} {
		if _, err := xkcd.NewService(url, nil); err == nil || !strings.HasPrefix(err.Error(), "xkcd: the URL of the feed") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// Programs print these errors and log them, also if the URL that is wrong has a password.
func TestErrorsDoNotShowTheURL(t *testing.T) {
	for _, url := range []string{"ftp://me:secret@a/", "http://me:secret@a b/", "http://me:sec/ret@a/", "https://?secret"} {
		if _, err := xkcd.NewService(url, nil); err == nil || strings.Contains(err.Error(), "sec") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// newService returns a service of f, and its log.
func newService(t *testing.T, f *rig.Feed) (*xkcd.Service, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	s, err := xkcd.NewService(f.URL, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

// A Lambda function says by its error that there is no answer, so a stale one comes
// without.
func TestLatest(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk, rig.Tea)
	s, log := newService(t, f)
	f.Fail(http.StatusInternalServerError)
	got, err := s.Latest(t.Context(), xkcd.Request{})
	unavailable, ok := errors.AsType[*xkcd.UnavailableError](err)
	if got != xkcd.Default() || !ok {
		t.Errorf("without a feed: %v, %v", got, err)
	}
	if _, ok := errors.AsType[*feed.StatusError](unavailable); !ok {
		t.Errorf("the error does not wrap that of the feed: %v", err)
	}
	f.Publish(rig.Walk, rig.Tea)
	for _, tt := range []struct {
		req  xkcd.Request
		want xkcd.Response
	}{
		{xkcd.Request{}, walk},
		{xkcd.Request{Previous: true}, tea},
		{xkcd.Request{Previous: true, Refresh: true}, tea},
	} {
		if got, err := s.Latest(t.Context(), tt.req); err != nil || got != tt.want {
			t.Errorf("%+v: %v, %v", tt.req, got, err)
		}
	}
	want := []string{"whole: 500", "whole: 200", `since "v2": 304`, "refresh: 200"}
	if asked := f.Requests(); !slices.Equal(asked, want) {
		t.Errorf("the feed was asked %q, want %q", asked, want)
	}
	if log.Len() != 0 {
		t.Errorf("the log is %s", log)
	}
	f.Fail(http.StatusInternalServerError)
	if got, err := s.Latest(t.Context(), xkcd.Request{Previous: true}); err != nil || got != tea {
		t.Errorf("stale: %v, %v", got, err)
	}
	if got := log.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "answered 500") || strings.Count(got, "\n") != 1 {
		t.Errorf("the log of a stale answer is %q", got)
	}
}

func TestLatestEndsWithItsContext(t *testing.T) {
	f := rig.NewFeed(t)
	f.Hang()
	s, _ := newService(t, f)
	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	f.OnRequest(func() { cancel(late) })
	if _, err := s.Latest(ctx, xkcd.Request{}); !errors.Is(err, late) {
		t.Errorf("%v", err)
	}
}

// A document is a transport that answers with itself.
type document string

// RoundTrip implements http.RoundTripper.
func (d document) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(string(d)))}, nil
}
