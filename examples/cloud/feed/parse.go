package feed

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/net/html/charset"
)

const (
	// maxItems is how many items are kept: a tag of seven bytes makes one of 48.
	maxItems = 1000
	// maxDepth is how deep elements may stand in each other. Those of a feed that are
	// looked at are at depth four; extensions have some more.
	maxDepth = 100
	// maxMessage bounds what an error quotes of an answer.
	maxMessage = 200
)

// An Item is an entry of a feed.
type Item struct {
	Title     string
	URL       string
	Published string // as in the feed, such as "Mon, 02 Jan 2006 15:04:05 -0000"
}

// ErrTooLarge is wrapped by the error of a document that is longer than a Client allows.
var ErrTooLarge = errors.New("the document is too large")

// errNotRSS is a document with another root, such as the page of a proxy.
var errNotRSS = errors.New("the document is no RSS 2.0 feed")

// parse reads a document to its end. A part of a feed is none: the server may have
// stopped in the middle.
func parse(r io.Reader) ([]Item, error) {
	d := xml.NewDecoder(r)
	// The decoder knows UTF-8 alone. It expands no entities but those of XML itself, so
	// that a document cannot blow itself up, and opens no files or URLs.
	d.CharsetReader = charset.NewReaderLabel
	p := parser{items: []Item{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && p.channel {
			return p.items, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("feed: %w", errNotRSS)
		}
		if err == nil {
			err = p.take(token)
		}
		if err != nil {
			return nil, fmt.Errorf("feed: %w", brief(err))
		}
	}
}

// A parser follows the tokens of one document.
type parser struct {
	path    []string // the open elements; "" is one of a namespace
	channel bool     // there was one
	items   []Item
	field   *string // of the last item, that text goes to
	text    strings.Builder
}

// take looks at one token. It goes through them by hand because xml.Unmarshal matches by
// the local name: it would take <media:title> and <atom:link> for title and link.
func (p *parser) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return p.open(t.Name)
	case xml.CharData:
		if p.field != nil && len(p.path) == 4 {
			p.text.Write(t)
		}
	case xml.EndElement:
		if p.field != nil && len(p.path) == 4 {
			*p.field = strings.TrimSpace(p.text.String())
			p.field = nil
		}
		p.path = p.path[:len(p.path)-1]
	}
	return nil
}

func (p *parser) open(name xml.Name) error {
	local := name.Local
	if name.Space != "" {
		local = "" // an extension
	}
	p.path = append(p.path, local)
	switch depth := len(p.path); {
	case depth == 1 && (local != "rss" || p.channel):
		return errNotRSS
	case depth > maxDepth:
		return fmt.Errorf("elements stand in each other more than %d deep", maxDepth)
	case depth == 2 && local == "channel":
		p.channel = true
	case depth == 3 && p.at("rss", "channel", "item"):
		if len(p.items) == maxItems {
			p.path[2] = "" // the rest is read and not kept
			return nil
		}
		p.items = append(p.items, Item{})
	case depth == 4 && p.at("rss", "channel", "item"):
		p.begin(local)
	}
	return nil
}

// at reports whether the path begins with these elements.
func (p *parser) at(path ...string) bool {
	for i, name := range path {
		if p.path[i] != name {
			return false
		}
	}
	return true
}

// begin lets the text that follows go to a field of the last item.
func (p *parser) begin(local string) {
	item := &p.items[len(p.items)-1]
	p.text.Reset()
	switch local {
	case "title":
		p.field = &item.Title
	case "link":
		p.field = &item.URL
	case "pubDate":
		p.field = &item.Published
	}
}

// brief shortens an error that quotes much of the answer, where a name may be as long as
// the whole.
func brief(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return ErrTooLarge
	}
	message := err.Error()
	if len(message) <= maxMessage {
		return err
	}
	return &briefError{strings.ToValidUTF8(message[:maxMessage], "") + "...", err}
}

// A briefError is an error with the beginning of its message.
type briefError struct {
	message string
	err     error
}

func (e *briefError) Error() string { return e.message }
func (e *briefError) Unwrap() error { return e.err }
