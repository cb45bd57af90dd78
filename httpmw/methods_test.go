package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// methodSays answers with a text.
func methodSays(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

// methodNil is a handler that its nil pointer cannot be.
type methodNil struct{ text string }

func (m *methodNil) ServeHTTP(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, m.text) }

const (
	methodError = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 22\r\n\r\nInternal Server Error\n"
	methodNo    = "HTTP/1.1 405 Method Not Allowed\r\nAllow: %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 19\r\n\r\nMethod Not Allowed\n"
	methodYes   = "HTTP/1.1 204 No Content\r\nAllow: %s\r\n\r\n"
	methodOK    = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s"
)

func methodText(s string) string { return fmt.Sprintf(methodOK, len(s), s) }

// methodLists has a row for each kind of map.
var methodLists = []struct {
	name string
	h    map[string]http.Handler
	want map[string]string // by method
}{
	{
		"GET and POST",
		map[string]http.Handler{"POST": methodSays("post"), "GET": methodSays("get")},
		map[string]string{
			"GET":     methodText("get"),
			"POST":    methodText("post"),
			"HEAD":    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
			"OPTIONS": fmt.Sprintf(methodYes, "GET, HEAD, OPTIONS, POST"),
			"PUT":     fmt.Sprintf(methodNo, "GET, HEAD, OPTIONS, POST"),
			"get":     fmt.Sprintf(methodNo, "GET, HEAD, OPTIONS, POST"),
			"BREW":    fmt.Sprintf(methodNo, "GET, HEAD, OPTIONS, POST"),
			"TRACE":   fmt.Sprintf(methodNo, "GET, HEAD, OPTIONS, POST"),
			"GETX":    fmt.Sprintf(methodNo, "GET, HEAD, OPTIONS, POST"),
		},
	},
	{
		"HEAD and OPTIONS of its own",
		map[string]http.Handler{
			"GET": methodSays("get"), "OPTIONS": methodSays("options"),
			"HEAD": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "77") }),
		},
		map[string]string{
			"HEAD":    "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n",
			"OPTIONS": methodText("options"),
			"POST":    fmt.Sprintf(methodNo, "GET, HEAD, OPTIONS"),
		},
	},
	{
		"HEAD alone",
		map[string]http.Handler{"HEAD": methodSays("head")},
		map[string]string{"GET": fmt.Sprintf(methodNo, "HEAD, OPTIONS")},
	},
	{
		"methods of one's own",
		map[string]http.Handler{"get": methodSays("lower"), "M-SEARCH": methodSays("search")},
		map[string]string{
			"get":      methodText("lower"),
			"M-SEARCH": methodText("search"),
			"GET":      fmt.Sprintf(methodNo, "M-SEARCH, OPTIONS, get"),
			"HEAD":     "HTTP/1.1 405 Method Not Allowed\r\nAllow: M-SEARCH, OPTIONS, get\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 19\r\n\r\n",
		},
	},
	{
		"nil handlers",
		map[string]http.Handler{"GET": nil, "POST": http.HandlerFunc(nil), "PUT": (*methodNil)(nil), "DELETE": &methodNil{"gone"}},
		map[string]string{
			"GET": methodError, "POST": methodError, "PUT": methodError,
			"DELETE":  methodText("gone"),
			"OPTIONS": fmt.Sprintf(methodYes, "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
			"PATCH":   fmt.Sprintf(methodNo, "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
		},
	},
	{
		"nil HEAD and OPTIONS",
		map[string]http.Handler{"GET": methodSays("get"), "HEAD": nil, "OPTIONS": nil},
		map[string]string{
			"HEAD":    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 22\r\n\r\n",
			"OPTIONS": methodError,
		},
	},
	{
		"empty",
		map[string]http.Handler{},
		map[string]string{"GET": fmt.Sprintf(methodNo, "OPTIONS"), "OPTIONS": fmt.Sprintf(methodYes, "OPTIONS")},
	},
	{
		"nil", nil,
		map[string]string{"GET": fmt.Sprintf(methodNo, "OPTIONS"), "OPTIONS": fmt.Sprintf(methodYes, "OPTIONS")},
	},
}

// Over HTTP/1.1 the responses are compared byte for byte. The connection is one, so none
// can be longer or shorter than it says.
func TestMethods(t *testing.T) {
	for _, tt := range methodLists {
		conn := bodyServeTCP(t, httpmw.Methods(tt.h))()
		r := bufio.NewReader(conn)
		for method, want := range tt.want {
			if _, err := fmt.Fprintf(conn, "%s /a?b HTTP/1.1\r\nHost: a\r\n\r\n", method); err != nil {
				t.Fatal(err)
			}
			if got := bodyAnswer(t, r, method); got != want {
				t.Errorf("%s: %s = %q, want %q", tt.name, method, got, want)
			}
		}
	}
}

func TestMethodsOverHTTP2(t *testing.T) {
	for _, tt := range methodLists {
		client, url, _ := bodyHTTP2(t, httpmw.Methods(tt.h))
		for method, want := range tt.want {
			req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := http.ReadResponse(bufio.NewReader(strings.NewReader(want)), req)
			if err != nil {
				t.Fatal(err)
			}
			wantBody, err := io.ReadAll(parsed.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Proto != "HTTP/2.0" || resp.StatusCode != parsed.StatusCode || string(body) != string(wantBody) ||
				!slices.Equal(resp.Header["Allow"], parsed.Header["Allow"]) || resp.Header.Get("Content-Length") != parsed.Header.Get("Content-Length") {
				t.Errorf("%s: %s = %s %d %v %q, want %d %v %q", tt.name, method, resp.Proto, resp.StatusCode, resp.Header, body, parsed.StatusCode, parsed.Header, wantBody)
			}
		}
	}
}

// OPTIONS * is about the server, and net/http answers it.
func TestMethodsDoNotSeeTheServersOptions(t *testing.T) {
	conn := bodyServeTCP(t, httpmw.Methods(map[string]http.Handler{"OPTIONS": methodSays("not this")}))()
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, want := bodyAnswer(t, bufio.NewReader(conn), "OPTIONS"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("OPTIONS * = %q, want %q", got, want)
	}
}

// What becomes of the map later is of no matter.
func TestMethodsReadTheMapOnce(t *testing.T) {
	m := map[string]http.Handler{"GET": methodSays("get")}
	h := httpmw.Methods(m)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 100 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
				if w.Body.String() != "get" {
					t.Errorf("GET = %q", w.Body)
				}
				w = httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("POST", "/", http.NoBody))
				if got := w.Header().Get("Allow"); got != "GET, HEAD, OPTIONS" || w.Code != 405 {
					t.Errorf("POST = %d, Allow: %s", w.Code, got)
				}
			}
		})
	}
	for range 100 {
		m["POST"] = methodSays("post")
		delete(m, "GET")
	}
	group.Wait()
}

// The Allow of one response is not that of another.
func TestMethodsShareNoHeader(t *testing.T) {
	h := httpmw.Methods(nil)
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest("GET", "/", http.NoBody))
	first.Header()["Allow"][0] = "spoilt"
	second := httptest.NewRecorder()
	h.ServeHTTP(second, httptest.NewRequest("GET", "/", http.NoBody))
	if got := second.Header().Get("Allow"); got != "OPTIONS" {
		t.Errorf("Allow = %q, want OPTIONS", got)
	}
}

func TestMethodsPanicOnWhatIsNoMethod(t *testing.T) {
	for _, method := range []string{"", "GET POST", "GET,", "GÉT", "GET\n", "a\x00", "a/b"} {
		for name, f := range map[string]func(){
			"Methods":       func() { httpmw.Methods(map[string]http.Handler{method: nil}) },
			"RejectMethods": func() { httpmw.RejectMethods("GET", method) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s of %q did not panic", name, method)
					}
				}()
				f()
			}()
		}
	}
}

// The handler behind never runs, so it adds nothing to the 405.
func TestRejectMethods(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "TRACE" || r.Method == "BREW" {
			t.Errorf("the handler ran for %s", r.Method)
		}
		io.WriteString(w, r.Method+r.Header.Get("Cookie"))
	})
	conn := bodyServeTCP(t, httpmw.RejectMethods("TRACE", "BREW")(inner))()
	r := bufio.NewReader(conn)
	for method, want := range map[string]string{
		"TRACE": fmt.Sprintf(methodNo, "CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
		"BREW":  fmt.Sprintf(methodNo, "CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
		"GET":   methodText("GETsecret"),
		"trace": methodText("tracesecret"),
	} {
		if _, err := fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n", method); err != nil {
			t.Fatal(err)
		}
		if got := bodyAnswer(t, r, method); got != want {
			t.Errorf("%s = %q, want %q", method, got, want)
		}
	}
}

func TestRejectMethodsOfNoneOrAll(t *testing.T) {
	w := httptest.NewRecorder()
	httpmw.RejectMethods()(methodSays("fine")).ServeHTTP(w, httptest.NewRequest("TRACE", "/", http.NoBody))
	if w.Body.String() != "fine" {
		t.Errorf("TRACE = %d %q, want it passed", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	all := httpmw.RejectMethods("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
	all(methodSays("fine")).ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
	if got := w.Header()["Allow"]; w.Code != 405 || !slices.Equal(got, []string{""}) {
		t.Errorf("GET = %d, Allow: %q, want 405 and an empty one", w.Code, got)
	}
}
