package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/netparts/netparts/httpmw"
)

// A client that takes no pushes is told in a 103 response what the page needs, before the
// page, and in the page's own header.
func TestEarlyHints(t *testing.T) {
	d := start(t, "http", "-files", "files")
	for _, http2 := range []bool{false, true} {
		var early []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			early = append(early, fmt.Sprint(code))
			early = append(early, header["Link"]...)
			return nil
		}}
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "http://"+d.Addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := newClient(t, http2, nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		links := strings.Join(early, "\n")
		for _, want := range []string{"103\n", "</static/style.css>; rel=preload; as=style", "</static/hiking.svg>; rel=preload; as=image"} {
			if !strings.Contains(links, want) {
				t.Errorf("HTTP/2 is %v: no %q in %q", http2, want, links)
			}
		}
		if resp.StatusCode != 200 || len(resp.Header["Link"]) == 0 {
			t.Errorf("HTTP/2 is %v: %s with Link %q", http2, resp.Status, resp.Header["Link"])
		}
	}
	d.End(t)
}

// A client of HTTP/2 that takes pushes gets both files, and knows of them before it sees
// the page that needs them.
func TestPushes(t *testing.T) {
	d := start(t, "http", "-files", "files")
	for _, push := range []bool{true, false} {
		pushed, before, bodies := getPushed(t, d.Addr, push)
		var want []string
		if push {
			want = []string{"/static/style.css", "/static/hiking.svg"}
		}
		if !slices.Equal(pushed, want) || !before {
			t.Errorf("pushes are %v: %q, before the page: %v, want %q", push, pushed, before, want)
		}
		for i, part := range []string{"<h1>A walk</h1>", "line-height", "A walker"}[:1+len(want)] {
			if !bytes.Contains(bodies[i], []byte(part)) {
				t.Errorf("pushes are %v: response %d is %q, want one with %q", push, i, bodies[i], part)
			}
		}
	}
	d.End(t)
}

// getPushed asks for "/" on a connection of its own. It returns the paths that were
// promised, whether that was before anything of the page, hints included, and the bodies of
// the page and of each push.
func getPushed(t *testing.T, addr string, push bool) (paths []string, before bool, bodies [3][]byte) {
	t.Helper()
	framer := openHTTP2(t, addr, push)
	before = true
	began := false
	decoder := hpack.NewDecoder(4096, nil)
	for open := 1; open > 0; {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		var fragment []byte
		switch f := frame.(type) {
		case *http2.PushPromiseFrame:
			open++
			before = before && !began
			fragment = f.HeaderBlockFragment()
		case *http2.HeadersFrame:
			began = began || f.StreamID == 1 // with the 103, which makes a client ask too
			fragment = f.HeaderBlockFragment()
		case *http2.DataFrame:
			bodies[f.StreamID/2] = append(bodies[f.StreamID/2], f.Data()...)
			if f.StreamEnded() {
				open--
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatalf("the server sent %v", f)
		}
		fields, err := decoder.DecodeFull(fragment) // of all, since they share a table
		if err != nil {
			t.Fatal(err)
		}
		if frame.Header().Type == http2.FramePushPromise {
			i := slices.IndexFunc(fields, func(f hpack.HeaderField) bool { return f.Name == ":path" })
			paths = append(paths, fields[i].Value)
		}
	}
	return paths, before, bodies
}

// The page is served although what it needs cannot be announced, and its record says why.
func TestAnnounceThatFails(t *testing.T) {
	var log bytes.Buffer
	handler := httpmw.Chain(
		httpmw.WideEvent(slog.New(slog.NewJSONHandler(&log, nil)), nil),
		announce(httpmw.Hint{Target: "//elsewhere.example/style.css"}),
	)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") }))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 200 || w.Body.String() != "page" {
		t.Errorf("%d, %q", w.Code, w.Body)
	}
	if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, `"announce_error":"`) {
		t.Errorf("the log is %q", s)
	}
}

// openHTTP2 connects, says whether it takes pushes, and asks for "/" on stream 1.
func openHTTP2(t *testing.T, addr string, push bool) *http2.Framer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	setting := http2.Setting{ID: http2.SettingEnablePush}
	if push {
		setting.Val = 1
	}
	if err := framer.WriteSettings(setting); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: addr},
		{Name: ":path", Value: "/"},
	} {
		if err := encoder.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	return framer
}
