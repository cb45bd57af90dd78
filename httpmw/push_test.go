package httpmw_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/netparts/netparts/httpmw"
)

// A pushPeer speaks HTTP/2 frame by frame.
type pushPeer struct {
	t      *testing.T
	framer *http2.Framer
}

// pushDial starts a server that speaks HTTP/2 without TLS, and connects to it with settings.
func pushDial(t *testing.T, h http.Handler, settings ...http2.Setting) *pushPeer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	conn := connect(t, "tcp", l.Addr().String())
	p := &pushPeer{t: t, framer: http2.NewFramer(conn, conn)}
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(conn, http2.ClientPreface)
	p.must(err)
	p.must(p.framer.WriteSettings(settings...))
	return p
}

func (p *pushPeer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// get asks for a path on stream 1, with pairs of headers.
func (p *pushPeer) get(path string, headers ...string) {
	p.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	headers = append([]string{":method", "GET", ":scheme", "http", ":authority", "example.com", ":path", path}, headers...)
	for pair := range slices.Chunk(headers, 2) {
		p.must(encoder.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]}))
	}
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
}

// events reads until every stream that has begun has ended, and tells of promises, headers
// and data, each with its stream.
func (p *pushPeer) events() []string {
	p.t.Helper()
	var events []string
	open := map[uint32]bool{1: true}
	for len(open) > 0 {
		f, err := p.framer.ReadFrame()
		if err != nil {
			p.t.Fatalf("after %q: %v", events, err)
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				p.must(p.framer.WriteSettingsAck())
			}
		case *http2.PushPromiseFrame:
			open[f.PromiseID] = true
			fields, err := p.framer.ReadMetaHeaders.DecodeFull(f.HeaderBlockFragment())
			p.must(err)
			events = append(events, fmt.Sprintf("%d promises %d: %s", id, f.PromiseID, pushFields(fields)))
		case *http2.MetaHeadersFrame:
			events = append(events, fmt.Sprintf("%d headers %s", id, f.PseudoValue("status")))
			if f.StreamEnded() {
				delete(open, id)
			}
		case *http2.DataFrame:
			if len(f.Data()) > 0 {
				events = append(events, fmt.Sprintf("%d data %s", id, f.Data()))
			}
			if f.StreamEnded() {
				delete(open, id)
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			p.t.Fatalf("after %q: %v", events, f)
		}
	}
	return events
}

// pushFields shows headers in the order of their names.
func pushFields(fields []hpack.HeaderField) string {
	var s []string
	for _, f := range fields {
		s = append(s, f.Name+"="+f.Value)
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

// of returns the events of a stream, in order.
func pushOf(events []string, stream int) []string {
	prefix := fmt.Sprint(stream) + " "
	return slices.DeleteFunc(slices.Clone(events), func(e string) bool { return !strings.HasPrefix(e, prefix) })
}

// pushSite pushes targets with every page, and answers with its path and what it got of
// the headers.
func pushSite(t *testing.T, targets ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := httpmw.Push(w, r, targets...); err != nil {
			t.Errorf("Push for %s: %v", r.URL, err)
		}
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("Accept-Encoding"), r.Header.Get("Cookie"))
	})
}

const pushPseudo = ":authority=example.com :method=GET :path=%s :scheme=http"

// A promise comes before what may make the client ask for the resource, the pushed
// requests are pushed nothing, and each resource is pushed once.
func TestPush(t *testing.T) {
	for name, wrap := range bodyWrappers {
		t.Run(name, func(t *testing.T) {
			site := bodyWrap(pushSite(t, "/a.css", "/b.js?v=1", "/a.css", "http://example.com/a.css"), wrap)
			p := pushDial(t, site)
			p.get("/page", "accept-encoding", "br", "accept-language", "de", "user-agent", "test", "cookie", "secret", "authorization", "secret",
				"accept", "text/html", "referer", "secret", "range", "bytes=0-1", "if-none-match", "\"x\"")
			events := p.events()
			want := []string{
				"1 promises 2: " + fmt.Sprintf(pushPseudo, "/a.css") + " accept-encoding=br accept-language=de user-agent=test",
				"1 promises 4: " + fmt.Sprintf(pushPseudo, "/b.js?v=1") + " accept-encoding=br accept-language=de user-agent=test",
				"1 headers 200", "1 data GET /page br secret",
			}
			if got := pushOf(events, 1); !slices.Equal(got, want) {
				t.Errorf("stream 1: %q, want %q", got, want)
			}
			for stream, data := range map[int]string{2: "GET http://example.com/a.css br ", 4: "GET http://example.com/b.js?v=1 br "} {
				got := pushOf(events, stream)
				want := []string{fmt.Sprint(stream, " headers 200"), fmt.Sprint(stream, " data ", data)}
				want[1] = strings.Replace(want[1], "http://example.com", "", 1)
				if !slices.Equal(got, want) {
					t.Errorf("stream %d: %q, want %q", stream, got, want)
				}
			}
		})
	}
}

// The page is served also where pushes are not wanted, and Push is silent about it.
func TestPushWhereItIsNotWanted(t *testing.T) {
	for name, settings := range map[string][]http2.Setting{
		"off":        {{ID: http2.SettingEnablePush, Val: 0}},
		"no streams": {{ID: http2.SettingMaxConcurrentStreams, Val: 0}},
	} {
		p := pushDial(t, pushSite(t, "/a.css", "/b.js"), settings...)
		p.get("/page")
		if got, want := p.events(), []string{"1 headers 200", "1 data GET /page  "}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}

	// Some, but not all.
	p := pushDial(t, pushSite(t, "/a.css", "/b.js"), http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	p.get("/page")
	if got := pushOf(p.events(), 1); len(got) < 3 || !strings.Contains(got[0], "promises 2: "+fmt.Sprintf(pushPseudo, "/a.css")) || got[len(got)-1] != "1 data GET /page  " {
		t.Errorf("one stream: %q, want a promise and the page", got)
	}

	conn := bodyServeTCP(t, pushSite(t, "/a.css"))()
	if _, err := io.WriteString(conn, "GET /page HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(got), "\r\n\r\nGET /page  ") {
		t.Errorf("HTTP/1.0: %q, %v, want the page", got, err)
	}
}

// The time-out handler of net/http claims to push over any connection.
func TestPushThroughAWriterThatOnlyClaimsTo(t *testing.T) {
	conn := bodyServeTCP(t, http.TimeoutHandler(pushSite(t, "/a.css"), time.Minute, ""))()
	if _, err := io.WriteString(conn, "GET /page HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(got), "\r\n\r\nGET /page  ") {
		t.Errorf("%q, %v, want the page", got, err)
	}
}

// A target of another authority keeps the others back.
func TestPushOfOtherAuthorities(t *testing.T) {
	for _, target := range []string{"http://evil.example/a", "//evil.example/a", "https://example.com/a", "a.css", "/a#b"} {
		p := pushDial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := httpmw.Push(w, r, "/fine", target); err == nil {
				t.Errorf("Push of %q = nil, want an error", target)
			}
			io.WriteString(w, "page")
		}))
		p.get("/page")
		if got, want := p.events(), []string{"1 headers 200", "1 data page"}; !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
}

// Over HTTP/2 a push and early hints go together.
func TestPushAndEarlyHints(t *testing.T) {
	p := pushDial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			if err := httpmw.EarlyHints(w, r, httpmw.Hint{Target: "/a.css", As: "style"}); err != nil {
				t.Error(err)
			}
			if err := httpmw.Push(w, r, "/b.js"); err != nil {
				t.Error(err)
			}
		}
		io.WriteString(w, r.URL.Path)
	}))
	p.get("/page")
	want := []string{"1 headers 103", "1 promises 2: " + fmt.Sprintf(pushPseudo, "/b.js"), "1 headers 200", "1 data /page"}
	if got := pushOf(p.events(), 1); !slices.Equal(got, want) {
		t.Errorf("stream 1: %q, want %q", got, want)
	}
}
