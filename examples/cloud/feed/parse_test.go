package feed_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/examples/cloud/feed"
	"github.com/netparts/netparts/examples/cloud/internal/rig"
)

// wrap puts the inside of a channel into a feed.
func wrap(inside string) string {
	return `<rss version="2.0"><channel>` + inside + `</channel></rss>`
}

var parseTests = []struct {
	name, document string
	want           []feed.Item
}{
	{"two items", rig.Document(rig.Walk, rig.Tea), []feed.Item{rig.Walk, rig.Tea}},
	{"no items", wrap(""), []feed.Item{}},
	{"an empty item", wrap("<item/>"), []feed.Item{{}}},
	{"white space", wrap("<item><title>\n a b\t</title></item>"), []feed.Item{{Title: "a b"}}},
	{"characters as data", wrap("<item><title><![CDATA[<b> & ]]>c</title></item>"), []feed.Item{{Title: "<b> & c"}}},
	{"a comment in between", wrap("<item><title>a<!-- no -->b</title></item>"), []feed.Item{{Title: "ab"}}},
	{"an element in a title", wrap("<item><title>a<i>no</i>b</title></item>"), []feed.Item{{Title: "ab"}}},
	{"entities of XML", wrap("<item><title>&lt;&amp;&#8212;&gt;</title></item>"), []feed.Item{{Title: "<&—>"}}},
	{"a byte order mark", "\ufeff" + rig.Document(rig.Walk), []feed.Item{rig.Walk}},
	{"the title of the channel is none of an item", wrap("<title>no</title><item><link>a</link></item><title>no</title>"), []feed.Item{{URL: "a"}}},
	{"items elsewhere", `<rss><item><title>no</title></item><channel><image><item><title>no</title></item></image></channel></rss>`, []feed.Item{}},
	{
		"Latin-1", `<?xml version="1.0" encoding="ISO-8859-1"?>` + wrap("<item><title>caf\xe9</title></item>"),
		[]feed.Item{{Title: "café"}},
	},
	{
		"the charset of Windows", `<?xml version="1.0" encoding="windows-1252"?>` + wrap("<item><title>\x80 5</title></item>"),
		[]feed.Item{{Title: "€ 5"}},
	},
	{
		// xml.Unmarshal would take each of these for the item's own.
		"extensions have elements of the same name",
		`<rss xmlns:atom="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/"><channel>` +
			`<atom:item><title>no</title></atom:item><item><title>a</title><media:title>no</media:title><link>b</link><atom:link href="no"/></item></channel></rss>`,
		[]feed.Item{{Title: "a", URL: "b"}},
	},
}

func TestParse(t *testing.T) {
	for _, tt := range parseTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := feed.Parse(strings.NewReader(tt.document))
			if err != nil || got == nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			got, err = feed.Parse(iotest.OneByteReader(strings.NewReader(tt.document)))
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("byte by byte: got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

var badDocuments = []struct{ name, document, want string }{
	{"nothing", "", "the document is no RSS 2.0 feed"},
	{"a page of HTML", "<!DOCTYPE html><html><body>log in</body></html>", "the document is no RSS 2.0 feed"},
	{"Atom", `<feed xmlns="http://www.w3.org/2005/Atom"><entry/></feed>`, "the document is no RSS 2.0 feed"},
	{"no channel", "<rss></rss>", "the document is no RSS 2.0 feed"},
	{"two feeds", wrap("") + wrap(""), "the document is no RSS 2.0 feed"},
	{"half a feed", rig.Document(rig.Walk, rig.Tea)[:250], "unexpected EOF"},
	{"tags that do not match", wrap("<item></link>"), "closed by"},
	{"a charset that nobody knows", `<?xml version="1.0" encoding="x-none"?>` + wrap(""), "x-none"},
	{"bytes that are no UTF-8", wrap("<item><title>\xff</title></item>"), "UTF-8"},
	{"an entity of HTML", wrap("<item><title>&nbsp;</title></item>"), "entity"},
	{"an entity of its own", `<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + wrap("<item><title>&b;</title></item>"), "entity"},
	{"a file as an entity", `<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/hostname">]>` + wrap("<item><title>&a;</title></item>"), "entity"},
	{"deep nesting", wrap(strings.Repeat("<a>", feed.MaxDepth)), "100 deep"},
	{"a long name that is not closed", wrap("<" + strings.Repeat("a", 1<<16) + "></b>"), "..."},
	{"a long charset", `<?xml version="1.0" encoding="` + strings.Repeat("a", 1<<16) + `"?>` + wrap(""), "..."},
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range badDocuments {
		t.Run(tt.name, func(t *testing.T) {
			items, err := feed.Parse(strings.NewReader(tt.document))
			if err == nil || items != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %q, %.300v, want an error with %q", items, err, tt.want)
			}
			if n := len(err.Error()); n > 300 || !strings.HasPrefix(err.Error(), "feed: ") {
				t.Errorf("the error has %d bytes: %.300s", n, err)
			}
		})
	}
}

// Of more items than anybody wants, the first are kept, and the rest still has to be XML.
func TestParseKeepsTheFirstItems(t *testing.T) {
	many := strings.Repeat("<item><title>a</title></item>", feed.MaxItems) + "<item><title>b</title></item>"
	got, err := feed.Parse(strings.NewReader(wrap(many)))
	if err != nil || len(got) != feed.MaxItems || got[feed.MaxItems-1].Title != "a" {
		t.Errorf("%d items, %v", len(got), err)
	}
	if _, err := feed.Parse(strings.NewReader(wrap(many + "<item>"))); err == nil {
		t.Error("the rest was not read")
	}
}

// A document costs some multiple of its size, whatever it is made of.
func TestParseCostsBoundedMemory(t *testing.T) {
	const size, limit = 1 << 18, 20 << 20
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	for name, document := range map[string]string{
		"items":      wrap(fill("<item/>")),
		"attributes": wrap("<item " + fill(`a="" `) + "/>"),
		"namespaces": wrap("<item " + fill(`xmlns:a="" `) + "/>"),
		"depth":      fill("<a>"),
		"text":       wrap("<item><title>" + fill("a")),
		"text parts": wrap("<item><title>" + fill("a<!---->")),
		"comment":    "<!--" + fill("a"),
		"directive":  "<!" + fill("<a>"),
		"name":       "<" + fill("a"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		// Which of them are feeds is not the question here.
		_, _ = feed.Parse(strings.NewReader(document))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > limit {
			t.Errorf("%s: %d MiB in all", name, got>>20)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range parseTests {
		f.Add(tt.document)
	}
	for _, tt := range badDocuments {
		f.Add(tt.document[:min(len(tt.document), 1000)])
	}
	f.Fuzz(func(t *testing.T, document string) {
		items, err := feed.Parse(strings.NewReader(document))
		if err != nil {
			if items != nil || len(err.Error()) > 300 {
				t.Fatalf("%d items and an error of %d bytes", len(items), len(err.Error()))
			}
			return
		}
		if len(items) > feed.MaxItems {
			t.Fatalf("%d items", len(items))
		}
		again, err := feed.Parse(strings.NewReader(rig.Document(items...)))
		if err != nil || !slices.Equal(again, items) {
			t.Fatalf("%q became %q, %v", items, again, err)
		}
	})
}
