package xkcd_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

// send sends one request to a handler.
func send(h http.Handler, method, body string) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "/", strings.NewReader(body)))
	return w.Result()
}

// read reads a body to its end.
func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	walkJSON    = `{"title":"A walk","url":"https://comics.example/2/","published":"Tue, 03 Mar 2026 08:00:00 +0000"}` + "\n"
	teaJSON     = `{"title":"Tea \u0026 toast","url":"https://comics.example/1/","published":"Mon, 02 Mar 2026 08:00:00 +0000"}` + "\n"
	defaultJSON = `{"title":"xkcd.com","url":"https://xkcd.com/","published":""}` + "\n"
)

func TestHandler(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk, rig.Tea)
	s, log := newService(t, f)
	h := s.Handler()
	for _, tt := range []struct {
		method, body string
		status       int
		want         string
	}{
		{"POST", "", 200, walkJSON},
		{"POST", " \n", 200, walkJSON},
		{"POST", "{}", 200, walkJSON},
		{"POST", "null", 200, walkJSON},
		{"POST", `{"previous":true}`, 200, teaJSON},
		{"POST", `{"previous":true,"refresh":true}`, 200, teaJSON},
		{"POST", `{"previous":false,"colour":{"a":[1]}}`, 200, walkJSON},
		{"POST", `{"previous":"yes"}`, 400, defaultJSON},
		{"POST", `{"previous":true`, 400, defaultJSON},
		{"POST", `{} {}`, 400, defaultJSON},
		{"POST", `[]`, 400, defaultJSON},
		{"POST", "{}" + strings.Repeat(" ", 4<<10), 413, "Request Entity Too Large\n"},
		{"GET", "", 405, "Method Not Allowed\n"},
		{"PUT", "{}", 405, "Method Not Allowed\n"},
		{"OPTIONS", "", 204, ""},
	} {
		log.Reset()
		resp := send(h, tt.method, tt.body)
		if got := read(t, resp); resp.StatusCode != tt.status || got != tt.want {
			t.Errorf("%s %.40q: %d, %q, want %d, %q", tt.method, tt.body, resp.StatusCode, got, tt.status, tt.want)
		}
		wantType, wantState, wantAllow := "application/json", "fresh", ""
		switch tt.status {
		case 400:
			wantState = ""
		case 405, 204:
			wantType, wantState, wantAllow = resp.Header.Get("Content-Type"), "", "OPTIONS, POST"
		case 413:
			wantType, wantState = "text/plain; charset=utf-8", ""
		}
		if h := resp.Header; h.Get("Content-Type") != wantType || h.Get(xkcd.FeedHeader) != wantState || h.Get("Allow") != wantAllow {
			t.Errorf("%s %.40q: %v", tt.method, tt.body, h)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s %.40q: X-Content-Type-Options %q", tt.method, tt.body, got)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%s %.40q: %d records, want 1:\n%s", tt.method, tt.body, n, log)
		}
		if got := strings.Contains(log.String(), "request_error="); got != (tt.status == 400) {
			t.Errorf("%s %.40q: the log is %s", tt.method, tt.body, log)
		}
	}
	if asked := f.Requests(); asked[0] != "whole: 200" || asked[1] != `since "v1": 304` || !slices.Contains(asked, "refresh: 200") || len(asked) != 7 {
		t.Errorf("the feed was asked %q", asked)
	}
}

// A body without a length is cut off while it is read.
func TestHandlerLimitsBodiesWithoutLength(t *testing.T) {
	s, _ := newService(t, rig.NewFeed(t, rig.Walk))
	w := httptest.NewRecorder()
	body := io.MultiReader(strings.NewReader("{}"), strings.NewReader(strings.Repeat(" ", 4<<10)))
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", body))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", w.Code)
	}
}

// The client gets an answer while the feed is in trouble, and is told which.
func TestHandlerWithoutItsFeed(t *testing.T) {
	f := rig.NewFeed(t)
	f.Fail(http.StatusBadGateway)
	s, log := newService(t, f)
	h := s.Handler()
	check := func(body, want, state string) {
		t.Helper()
		log.Reset()
		resp := send(h, http.MethodPost, body)
		got := read(t, resp)
		if resp.StatusCode != 200 || got != want || resp.Header.Get(xkcd.FeedHeader) != state || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d, %q, %v", resp.StatusCode, got, resp.Header)
		}
		if failed := strings.Contains(log.String(), `feed_error="feed: the server answered 502 Bad Gateway"`); failed != (state != "fresh") {
			t.Errorf("the log is %s", log)
		}
	}
	check("{}", defaultJSON, "unavailable")
	f.Publish(rig.Walk, rig.Tea)
	check(`{"previous":true}`, teaJSON, "fresh")
	f.Fail(http.StatusBadGateway)
	check("{}", walkJSON, "stale")
	check(`{"refresh":true}`, walkJSON, "stale")
	f.Publish()
	check("{}", defaultJSON, "fresh")
}

// A client that hangs up ends the fetch that it alone waits for.
func TestHandlerEndsTheFetchOfAClientThatLeft(t *testing.T) {
	f := rig.NewFeed(t)
	f.Hang()
	s, _ := newService(t, f)
	ended := make(chan struct{})
	inner := s.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	f.OnRequest(leave)
	if resp, err := server.Client().Do(req); err == nil {
		resp.Body.Close()
		t.Error("there was an answer")
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second): // half of what the fetch would take
		t.Error("the fetch goes on")
	}
}

// Whatever the body is, the answer is one of four, and JSON where it should be.
func FuzzHandler(f *testing.F) {
	for _, body := range []string{
		"", "{}", `{"previous":true}`, `{"refresh":true,"previous":1}`, `{"previous":`, "\x00\xff",
		strings.Repeat("[", 4<<10), strings.Repeat(" ", 5000),
	} {
		f.Add(body)
	}
	s, err := xkcd.NewService("", nil)
	if err != nil {
		f.Fatal(err)
	}
	s.SetHTTPClient(&http.Client{Transport: document(rig.Document(rig.Walk, rig.Tea))})
	h := s.Handler()
	f.Fuzz(func(t *testing.T, body string) {
		resp := send(h, http.MethodPost, body)
		got := read(t, resp)
		if tooLarge := len(body) > 4<<10; tooLarge != (resp.StatusCode == 413) {
			t.Fatalf("%d bytes: %d", len(body), resp.StatusCode)
		}
		var answer xkcd.Response
		switch resp.StatusCode {
		case 413:
			return
		case 200, 400:
			if err := json.Unmarshal([]byte(got), &answer); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%d", resp.StatusCode)
		}
		want := []xkcd.Response{walk, tea}
		if resp.StatusCode == 400 {
			want = []xkcd.Response{xkcd.Default()}
		}
		if !slices.Contains(want, answer) {
			t.Fatalf("%d: %v", resp.StatusCode, answer)
		}
	})
}
