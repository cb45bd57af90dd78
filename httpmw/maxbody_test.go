package httpmw_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// maxBodyReads tells what of the body it could read.
func maxBodyReads(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%d of at most %d", len(b), tooLong.Limit)
		return
	}
	fmt.Fprintf(w, "%d, %v", len(b), err)
}

// maxBodySite answers /next itself, and everything else by h behind MaxBody.
func maxBodySite(n int64, h http.HandlerFunc, wrap func(http.ResponseWriter) http.ResponseWriter) http.Handler {
	limited := bodyWrap(httpmw.MaxBody(n)(h), wrap)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/next" {
			io.WriteString(w, "next")
			return
		}
		limited.ServeHTTP(w, r)
	})
}

const (
	maxBodyRefused = "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 25\r\n\r\nRequest Entity Too Large\n"
	maxBodyCut     = "HTTP/1.1 418 I'm a teapot\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%s"
	maxBodyFine    = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s"
)

func maxBodyAnswer(format, text string) string { return fmt.Sprintf(format, len(text), text) }

func TestMaxBody(t *testing.T) {
	for _, tt := range []struct {
		name   string
		n      int64
		send   string
		want   string
		reused bool
	}{
		{"shorter", 10, drainFixed(9), maxBodyAnswer(maxBodyFine, "9, <nil>"), true},
		{"as long", 10, drainFixed(10), maxBodyAnswer(maxBodyFine, "10, <nil>"), true},
		{"declared longer", 10, drainFixed(11), maxBodyRefused, false},
		{"declared longer, and not sent", 10, drainLength(11), maxBodyRefused, false},
		{"declared much longer, and not sent", 10, drainLength(1 << 40), maxBodyRefused, false},
		{"declared longer, and leave is asked", 10, drainPost("Expect: 100-continue\r\nContent-Length: 11\r\n", ""), maxBodyRefused, false},
		{"as long, and leave is asked", 10, drainPost("Expect: 100-continue\r\nContent-Length: 10\r\n", "0123456789"), drainContinue + maxBodyAnswer(maxBodyFine, "10, <nil>"), true},
		{"chunked, as long", 10, drainChunked(10, "0\r\n\r\n"), maxBodyAnswer(maxBodyFine, "10, <nil>"), true},
		{"chunked, longer", 10, drainChunked(11, "0\r\n\r\n"), maxBodyAnswer(maxBodyCut, "10 of at most 10"), false},
		{"chunked, longer, without an end", 10, drainChunked(11, ""), maxBodyAnswer(maxBodyCut, "10 of at most 10"), false},
		{"nothing allowed, nothing sent", 0, drainFixed(0), maxBodyAnswer(maxBodyFine, "0, <nil>"), true},
		{"nothing allowed, no body", 0, "POST / HTTP/1.1\r\nHost: a\r\n\r\n", maxBodyAnswer(maxBodyFine, "0, <nil>"), true},
		{"nothing allowed, empty chunks", 0, drainPost("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), maxBodyAnswer(maxBodyFine, "0, <nil>"), true},
		{"nothing allowed, a byte declared", 0, drainFixed(1), maxBodyRefused, false},
		{"nothing allowed, a byte in a chunk", 0, drainChunked(1, "0\r\n\r\n"), maxBodyAnswer(maxBodyCut, "0 of at most 0"), false},
		{"the largest limit", 1<<63 - 1, drainChunked(11, "0\r\n\r\n"), maxBodyAnswer(maxBodyFine, "11, <nil>"), true},
	} {
		for name, wrap := range bodyWrappers {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				c := drainCase{send: tt.send, want: tt.want, reused: tt.reused}
				serve := func(t *testing.T, _ http.Handler) func() net.Conn {
					return bodyServe(t, maxBodySite(tt.n, maxBodyReads, wrap))
				}
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					c.test(t, serve)
					if got := time.Since(start); tt.reused && got != 0 || got > 2*time.Second {
						t.Errorf("it took %v", got)
					}
				})
			})
		}
	}
}

// A client that announced too much and stalls gets its answer at once.
func TestMaxBodyAnswersAtOnce(t *testing.T) {
	for name, send := range map[string]string{"declared": drainLength(11), "found": drainChunked(11, "")} {
		synctest.Test(t, func(t *testing.T) {
			conn := bodyServe(t, maxBodySite(10, maxBodyReads, bodyRecord))()
			start := time.Now()
			if _, err := io.WriteString(conn, send); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			bodyAnswer(t, r, "POST")
			if got := time.Since(start); got != 0 {
				t.Errorf("%s: the response took %v, want none", name, got)
			}
			if bodyNext(t, r) {
				t.Errorf("%s: what follows was answered, want the end of the connection", name)
			}
		})
	}
}

// A response that has begun is not disturbed; the connection still ends.
func TestMaxBodyFoundTooLongAfterTheResponseBegan(t *testing.T) {
	conn := bodyServeTCP(t, maxBodySite(10, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := errors.Join(rc.EnableFullDuplex(), rc.Flush()); err != nil {
			t.Error(err)
		}
		maxBodyReads(w, r)
	}, bodyRecord))()
	if _, err := io.WriteString(conn, drainChunked(11, "0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if got := bodyAnswer(t, r, "POST"); !strings.Contains(got, "10 of at most 10") {
		t.Errorf("response = %q, want one that tells of the limit", got)
	}
	if bodyNext(t, r) {
		t.Error("what follows was answered, want the end of the connection")
	}
}

// What a handler refused is over net/http's own limit for forms, which is off for the body
// that http.MaxBytesReader makes.
func TestMaxBodyAllowsLargeForms(t *testing.T) {
	const size = 11 << 20
	h := httpmw.MaxBody(size + 100)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.FormValue("v")))
	}))
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/", strings.NewReader(url.Values{"v": {strings.Repeat("x", size)}}.Encode()))
	r.ContentLength = -1
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	h.ServeHTTP(w, r)
	if got, want := w.Body.String(), fmt.Sprint(size); got != want {
		t.Errorf("the form's value has %s bytes, want %s", got, want)
	}
}

// On HTTP/2 only the stream is at stake: the connection goes on.
func TestMaxBodyOverHTTP2(t *testing.T) {
	client, url, conns := bodyHTTP2(t, httpmw.MaxBody(10)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/silent" {
			maxBodyReads(w, r)
		} else if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("no error")
		}
	})))
	resp, err := client.Post(url+"/silent", "text/plain", io.MultiReader(strings.NewReader("0123456789a")))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, tt := range []struct {
		body   io.Reader
		status int
		want   string
	}{
		{strings.NewReader("0123456789"), 200, "10, <nil>"},
		{strings.NewReader("0123456789a"), 413, "Request Entity Too Large\n"},
		{io.MultiReader(strings.NewReader("0123456789")), 200, "10, <nil>"},
		{io.MultiReader(strings.NewReader("0123456789a")), 418, "10 of at most 10"},
		{nil, 200, "0, <nil>"},
	} {
		resp, err := client.Post(url, "text/plain", tt.body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.Proto != "HTTP/2.0" || resp.StatusCode != tt.status || string(b) != tt.want || err != nil {
			t.Errorf("%s %d %q, %v; want %d %q", resp.Proto, resp.StatusCode, b, err, tt.status, tt.want)
		}
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("it took %d connections, want 1", got)
	}
}

// Both work in either order; the connection ends where MaxBody says so.
func TestMaxBodyWithDrainAndClose(t *testing.T) {
	drain, limit := httpmw.DrainAndClose(nil), httpmw.MaxBody(10)
	for name, chain := range map[string]httpmw.Middleware{
		"drain first": httpmw.Chain(drain, limit), "limit first": httpmw.Chain(limit, drain),
	} {
		for _, tt := range []struct {
			send   string
			want   string
			reused bool
		}{
			{drainFixed(10), drainHello, true},
			{drainChunked(10, "0\r\n\r\n"), drainHello, true},
			{drainFixed(11), maxBodyRefused, false},
		} {
			t.Run(name, func(t *testing.T) {
				c := drainCase{send: tt.send, want: tt.want, reused: tt.reused}
				synctest.Test(t, func(t *testing.T) {
					c.test(t, func(t *testing.T, _ http.Handler) func() net.Conn {
						h := chain(http.HandlerFunc(drainUnread))
						return bodyServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if r.URL.Path == "/next" {
								io.WriteString(w, "next")
								return
							}
							h.ServeHTTP(w, r)
						}))
					})
				})
			})
		}
	}
}

func TestMaxBodyPanicsOnANegativeLimit(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	httpmw.MaxBody(-1)
}
