package httpmw_test

import (
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// Trailers need not be announced, and reach handlers all the same.
func TestTrailersReachHandlersBehindCopies(t *testing.T) {
	wide := httpmw.WideEvent(slog.New(slog.DiscardHandler), nil)
	for name, mw := range map[string]httpmw.Middleware{
		"WideEvent":     wide,
		"DrainAndClose": httpmw.DrainAndClose(nil),
		"MaxBody":       httpmw.MaxBody(100),
		"Timeout":       httpmw.Timeout(time.Minute, nil),
		"all":           httpmw.Chain(wide, httpmw.Timeout(time.Minute, nil), httpmw.DrainAndClose(nil), httpmw.MaxBody(100)),
	} {
		for _, serve := range []string{"bare", "NewServer"} {
			t.Run(name+"/"+serve, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					trailers := make(chan http.Header, 1)
					handler := mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						if b, err := io.ReadAll(r.Body); string(b) != "x" || err != nil {
							t.Errorf("body is %q, %v", b, err)
						}
						trailers <- r.Trailer
					}))
					const request = chunked + "1\r\nx\r\n0\r\nX-Late: yes\r\n\r\n"
					if serve == "bare" {
						if _, err := io.WriteString(bodyServe(t, handler)(), request); err != nil {
							t.Fatal(err)
						}
					} else {
						paceServe(t, handler.ServeHTTP).dial().send(request)
					}
					if got, want := <-trailers, (http.Header{"X-Late": {"yes"}}); !reflect.DeepEqual(got, want) {
						t.Errorf("trailers are %v, want %v", got, want)
					}
				})
			})
		}
	}
}

// pairRequests are requests whose responses go their ways on one connection: what the client
// sends, and the body of the answer, or "" where that may be an answer or the end.
var pairRequests = []struct{ raw, want string }{
	{get, "GET 0\n"},
	{chunked + "3\r\nabc\r\n0\r\n\r\n", "POST 3\n"},
	{strings.Replace(post, " / ", " /unread ", 1) + "Content-Length: 3\r\n\r\nabc", "unread\n"},
	{strings.Replace(post, " / ", " /flush ", 1) + "Content-Length: 3\r\n\r\nabc", "flushed\n"},
	{strings.Replace(post, " / ", " /large ", 1) + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", strings.Repeat("x", 10_000)},
	{strings.Replace(get, " / ", " /panic ", 1), "Internal Server Error\n"},
	{strings.Replace(post, " / ", " /panic ", 1) + "Content-Length: 3\r\n\r\nabc", "Internal Server Error\n"},
	{get, "GET 0\n"},
}

func pairHandler(w http.ResponseWriter, r *http.Request) {
	var answer string
	switch r.URL.Path {
	case "/unread":
		answer = "unread\n"
	case "/flush":
		_ = http.NewResponseController(w).Flush() // what cannot is seen in the answer
		answer = "flushed\n"
	case "/large":
		answer = strings.Repeat("x", 10_000)
	case "/panic":
		panic("a handler's")
	default:
		b, err := io.ReadAll(r.Body)
		if err != nil {
			answer = err.Error()
			break
		}
		answer = r.Method + " " + string('0'+rune(len(b))) + "\n"
	}
	_, _ = io.WriteString(w, answer) // likewise
}

// All middleware in pairs, in both orders, leave a connection in step: every request of a
// pipeline gets its own answer, and the connection goes on, also much later.
func TestPairsOfMiddlewareKeepAConnectionInStep(t *testing.T) {
	all := map[string]httpmw.Middleware{
		"WideEvent":     httpmw.WideEvent(slog.New(slog.DiscardHandler), nil),
		"Instrument":    httpmw.Instrument(&httpmw.Metrics{}, nil),
		"Timeout":       httpmw.Timeout(time.Minute, nil),
		"DrainAndClose": httpmw.DrainAndClose(nil),
		"MaxBody":       httpmw.MaxBody(100),
		"NoSniff":       httpmw.NoSniff,
		"RejectMethods": httpmw.RejectMethods("TRACE"),
		"AllowPaths":    httpmw.AllowPaths("/"),
		"Recover":       httpmw.Recover(nil),
	}
	for first, outer := range all {
		for second, inner := range all {
			t.Run(first+"/"+second, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					handler := httpmw.Chain(outer, inner, httpmw.Recover(nil))(http.HandlerFunc(pairHandler))
					c := paceServe(t, handler.ServeHTTP).dial()
					var raw strings.Builder
					for _, r := range pairRequests {
						raw.WriteString(r.raw)
					}
					for range 2 { // the second time after all deadlines that may have been left
						c.send(raw.String())
						for i, r := range pairRequests {
							if resp, body := c.answer(); body != r.want || resp.Close {
								t.Fatalf("answer %d is %d %q, Close %t, want %q", i, resp.StatusCode, body, resp.Close, r.want)
							}
						}
						time.Sleep(100 * time.Second)
					}
				})
			})
		}
	}
}
