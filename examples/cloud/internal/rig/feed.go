// Package rig is what the tests of this module share: a feed that is played, and a
// program that runs as a process of its own.
package rig

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/netparts/netparts/examples/cloud/feed"
)

// Walk and Tea are two items, of a feed that exists nowhere else.
var (
	Walk = feed.Item{Title: "A walk", URL: "https://comics.example/2/", Published: "Tue, 03 Mar 2026 08:00:00 +0000"}
	Tea  = feed.Item{Title: "Tea & toast", URL: "https://comics.example/1/", Published: "Mon, 02 Mar 2026 08:00:00 +0000"}
)

// Document returns a feed with these items.
func Document(items ...feed.Item) string {
	var b strings.Builder
	element := func(name, text string) {
		b.WriteString("<" + name + ">")
		if err := xml.EscapeText(&b, []byte(text)); err != nil {
			panic(err) // a Builder takes everything
		}
		b.WriteString("</" + name + ">")
	}
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<rss version="2.0"><channel>`)
	element("title", "A feed")
	element("link", "https://comics.example/")
	for _, item := range items {
		b.WriteString("<item>")
		element("title", item.Title)
		element("link", item.URL)
		element("pubDate", item.Published)
		b.WriteString("</item>")
	}
	b.WriteString("</channel></rss>\n")
	return b.String()
}

// A Feed is a server of one, on the loopback. Its methods may be called at the same time.
type Feed struct {
	// URL is where it is.
	URL string

	mu       sync.Mutex
	document string
	version  int // of the document, which makes the entity tag
	status   int // to fail with, or 0
	hangs    bool
	requests []string
	asked    func()
}

// NewFeed starts a feed with these items. It ends with the test.
func NewFeed(tb testing.TB, items ...feed.Item) *Feed {
	tb.Helper()
	f := new(Feed)
	f.Publish(items...)
	server := httptest.NewServer(f)
	tb.Cleanup(server.Close)
	f.URL = server.URL + "/rss.xml"
	return f
}

// Publish sets the items, and lets the feed answer again.
func (f *Feed) Publish(items ...feed.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.document = Document(items...)
	f.version++
	f.status, f.hangs = 0, false
}

// Fail lets the feed answer with status alone.
func (f *Feed) Fail(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = status
}

// Hang lets the feed take requests and not answer them.
func (f *Feed) Hang() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hangs = true
}

// OnRequest lets the feed call asked when there is a request, before it answers.
func (f *Feed) OnRequest(asked func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = asked
}

// Requests returns what the feed was asked so far, and what it answered: "whole: 200" if
// the request named no version, "since V: 304" if it did, "refresh: 200" if it wanted no
// cache to answer, and 0 for no answer.
func (f *Feed) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// ServeHTTP implements http.Handler.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	document, tag, status := f.take(r)
	switch status {
	case 0:
		<-r.Context().Done() // until the client gives up
	case http.StatusOK:
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "text/xml; charset=UTF-8")
		fmt.Fprint(w, document) // a client that leaves has its reasons
	default:
		w.WriteHeader(status)
	}
}

// take notes a request, and says what to answer.
func (f *Feed) take(r *http.Request) (document, tag string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tag = fmt.Sprintf(`"v%d"`, f.version)
	switch {
	case f.hangs:
	case f.status != 0:
		status = f.status
	case r.Header.Get("If-None-Match") == tag:
		status = http.StatusNotModified
	default:
		status = http.StatusOK
	}
	question := "whole"
	if since := r.Header.Get("If-None-Match"); since != "" {
		question = "since " + since
	}
	if r.Header.Get("Cache-Control") == "no-cache" {
		question = strings.Replace(question, "whole", "refresh", 1)
	}
	if f.asked != nil {
		f.asked()
	}
	f.requests = append(f.requests, fmt.Sprintf("%s: %d", question, status))
	return f.document, tag, status
}
