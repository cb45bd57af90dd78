package httpmw_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// recoverFunc is Recover over a handler, and what it logs.
func recoverFunc(h http.HandlerFunc) (http.Handler, wideLines) {
	lines := newWideLines()
	return httpmw.Recover(lines.json())(h), lines
}

// recoverWant looks at a record of a panic.
func recoverWant(t *testing.T, lines wideLines, typ, value string) {
	t.Helper()
	var got struct{ Level, Msg, Method, URI, Type, Value, Stack string }
	if err := json.Unmarshal([]byte(lines.next(t)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Level != "ERROR" || got.Msg != "panic of a handler" || got.Method != "GET" || got.URI != "/x?redacted" {
		t.Errorf("the record is %+v", got)
	}
	if got.Type != typ || got.Value != value {
		t.Errorf("the panic is logged as %s %q, want %s %q", got.Type, got.Value, typ, value)
	}
	if !strings.Contains(got.Stack, "recover_test.go") || len(got.Stack) > 64<<10 {
		t.Errorf("%d bytes of stack: %.500s", len(got.Stack), got.Stack)
	}
	lines.none(t)
}

// A response that has not begun becomes a 500 of its own, whatever its headers were
// meant for; what a middleware outside has set stays.
func TestRecoverBeforeBytes(t *testing.T) {
	for _, proto := range wideProtos {
		for _, status := range []int{0, 103} {
			t.Run(fmt.Sprint(proto, "/", status), func(t *testing.T) {
				h, lines := recoverFunc(func(w http.ResponseWriter, _ *http.Request) {
					for _, name := range []string{
						"Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
						"Content-Location", "Content-Range", "ETag", "Expires", "Last-Modified", "Location", "Trailer",
						"Transfer-Encoding",
					} {
						w.Header().Set(name, "mine")
					}
					w.Header().Set("Content-Length", "1000")
					w.Header().Set("Content-Type", "image/png")
					w.Header().Set("X-Mine", "stays")
					if status != 0 {
						w.WriteHeader(status)
					}
					panic("a\x1b[31m")
				})
				s := wideServer(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("X-Outer", "stays")
					h.ServeHTTP(w, r)
				}))
				resp, err := s.Client().Get(s.URL + "/x?secret")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != 500 || string(body) != "Internal Server Error\n" || err != nil {
					t.Errorf("the client sees %d %q, %v", resp.StatusCode, body, err)
				}
				resp.Header.Del("Date")
				want := http.Header{
					"Content-Length": {"22"}, "Content-Type": {"text/plain; charset=utf-8"},
					"X-Content-Type-Options": {"nosniff"}, "X-Mine": {"stays"}, "X-Outer": {"stays"},
				}
				if !maps.EqualFunc(resp.Header, want, func(a, b []string) bool { return a[0] == b[0] }) {
					t.Errorf("the headers are %v, want %v", resp.Header, want)
				}
				recoverWant(t, lines, "string", `a\x1b[31m`)
			})
		}
	}
}

// The encoding that a middleware outside has announced is what it does to the body.
func TestRecoverKeepsOuterEncoding(t *testing.T) {
	h, _ := recoverFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		panic(1)
	})
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	h.ServeHTTP(w, wideRequest())
	if got := w.Header()["Content-Encoding"]; len(got) != 1 || got[0] != "gzip" {
		t.Errorf("Content-Encoding: %q", got)
	}
}

// A response that has begun is cut, and no client takes it for whole.
func TestRecoverAfterBytes(t *testing.T) {
	for _, proto := range wideProtos {
		for _, length := range []string{"", "100"} {
			t.Run(proto+"/"+length, func(t *testing.T) {
				h, lines := recoverFunc(func(w http.ResponseWriter, _ *http.Request) {
					if length != "" {
						w.Header().Set("Content-Length", length)
					}
					io.WriteString(w, "half")
					w.(http.Flusher).Flush()
					panic(errors.New("a cause"))
				})
				s := wideServer(t, proto, h)
				status, body, err := wideGet(t, s, proto, "GET", "/x?secret")
				if status != 200 || body != "half" || err == nil {
					t.Errorf("the client sees %d %q, %v", status, body, err)
				}
				recoverWant(t, lines, "*errors.errorString", "a cause")
			})
		}
	}
}

// A status alone begins a response as well: nothing is written behind it.
func TestRecoverAfterStatus(t *testing.T) {
	h, _ := recoverFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(202)
		panic(1)
	})
	w := httptest.NewRecorder()
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("Recover panics with %v", v)
		}
		if w.Code != 202 || w.Body.Len() != 0 {
			t.Errorf("the client sees %d %q", w.Code, w.Body)
		}
	}()
	h.ServeHTTP(w, wideRequest())
	t.Error("Recover does not panic")
}

// A hijacked connection outlives the panic: it is the one's who has it.
func TestRecoverAfterHijack(t *testing.T) {
	conns := make(chan net.Conn, 1)
	h, lines := recoverFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conns <- conn
		panic("hijacked")
	})
	wide := newWideLines()
	s := wideServer(t, "HTTP/1.1", httpmw.WideEvent(wide.json(), nil)(h))
	client := connect(t, "tcp", s.Listener.Addr().String())
	io.WriteString(client, "GET /x?secret HTTP/1.1\r\nHost: example.com\r\nUser-Agent: agent\r\n\r\n")
	recoverWant(t, lines, "string", "hijacked")
	wideRecord{level: "ERROR", uri: "/x?redacted", rest: `,"hijacked":true,"panic":"string"`}.want(t, wide.next(t))
	conn := <-conns
	io.WriteString(conn, "raw")
	conn.Close()
	if b, err := io.ReadAll(client); string(b) != "raw" || err != nil {
		t.Errorf("the client has %q, %v", b, err)
	}
}

// The record of WideEvent outside says what Recover has ended.
func TestRecoverTellsWideEvent(t *testing.T) {
	lines := newWideLines()
	for _, begun := range []bool{false, true} {
		h := httpmw.WideEvent(lines.json(), nil)(httpmw.Recover(nil)(http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				if begun {
					io.WriteString(w, "half")
				}
				panic(1)
			})))
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), wideRequest())
		}()
		want := wideRecord{level: "ERROR", status: 500, length: 22, rest: `,"panic":"int"`}
		if begun {
			want.status, want.length = 200, 4
		}
		want.want(t, lines.next(t))
	}
}

// A recoverBomb panics when it is printed, with itself.
type recoverBomb struct{}

func (b recoverBomb) Error() string { panic(b) }

// A recoverMine panics when it is printed, with something else.
type recoverMine struct{}

func (recoverMine) String() string { panic("mine") }

// Whatever the value is, it is logged and answered.
func TestRecoverValues(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value any
		typ   string
		text  string
	}{
		{"nil", nil, "*runtime.PanicNilError", new(runtime.PanicNilError).Error()},
		{"runtime error", func() (v any) {
			defer func() { v = recover() }()
			return []int{}[len(t.Name())]
		}(), "runtime.boundsError", "runtime error: index out of range [17] with length 0"},
		{"wrapped abort", fmt.Errorf("wrapped: %w", http.ErrAbortHandler), "*fmt.wrapError", "wrapped: net/http: abort Handler"},
		{"not comparable", []int{1}, "[]int", "[1]"},
		{"panics when printed", recoverMine{}, "httpmw_test.recoverMine", "%!v(PANIC=String method: mine)"},
		{"panics with itself when printed", recoverBomb{}, "httpmw_test.recoverBomb", "(it panics when it is printed)"},
		{"huge", strings.Repeat("é", 1<<20), "string", strings.Repeat("é", 512) + "..."},
		{"lines", "a\nb\u2028\xff", "string", `a\nb\u2028\xff`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, lines := recoverFunc(func(http.ResponseWriter, *http.Request) { panic(tt.value) })
			w := httptest.NewRecorder()
			r := wideRequest()
			r.URL.RawQuery = "secret"
			h.ServeHTTP(w, r)
			if w.Code != 500 {
				t.Errorf("the client sees %d", w.Code)
			}
			recoverWant(t, lines, tt.typ, tt.text)
		})
	}
}

// However deep the panic is, the record is bounded.
func TestRecoverDeepStack(t *testing.T) {
	var deep func(n int, s [4]string)
	deep = func(n int, s [4]string) {
		if n == 0 {
			panic("deep")
		}
		deep(n-1, s)
	}
	var b bytes.Buffer
	httpmw.Recover(slog.New(slog.NewTextHandler(&b, nil)))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		deep(10_000, [4]string{})
	})).ServeHTTP(httptest.NewRecorder(), wideRequest())
	if b.Len() > 80<<10 || !strings.Contains(b.String(), "deep") {
		t.Errorf("the record has %d bytes", b.Len())
	}
}

// What means to end the connection or the goroutine does so, and nothing is logged.
func TestRecoverPasses(t *testing.T) {
	h, lines := recoverFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("the panic goes on with %v", v)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), wideRequest())
	}()
	exits, more := recoverFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
	ended := make(chan bool)
	w := httptest.NewRecorder()
	go func() {
		returned := false
		defer func() { ended <- returned }()
		exits.ServeHTTP(w, wideRequest())
		returned = true
	}()
	if <-ended || w.Body.Len() != 0 {
		t.Errorf("Goexit was ended, with %q", w.Body)
	}
	ok, others := recoverFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") })
	w = httptest.NewRecorder()
	ok.ServeHTTP(w, wideRequest())
	if w.Code != 200 || w.Body.String() != "fine" {
		t.Errorf("without a panic the client sees %d %q", w.Code, w.Body)
	}
	for _, l := range []wideLines{lines, more, others} {
		l.none(t)
	}
}

// recoverDeep is to be seen in a stack.
func recoverDeep() { panic("deep") }

// A handler below Timeout may run on a goroutine of its own, and the stack is that one's.
func TestRecoverStackThroughTimeout(t *testing.T) {
	for _, proto := range wideProtos {
		lines := newWideLines()
		h := httpmw.Recover(lines.json())(httpmw.Timeout(patience, nil)(http.HandlerFunc(
			func(http.ResponseWriter, *http.Request) { recoverDeep() })))
		s := wideServer(t, proto, h)
		if status, _, err := wideGet(t, s, proto, "GET", "/"); status != 500 || err != nil {
			t.Errorf("%s: the client sees %d, %v", proto, status, err)
		}
		if line := lines.next(t); !strings.Contains(line, "recoverDeep") {
			t.Errorf("%s: the record is %s", proto, line)
		}
	}
}

// A HEAD request gets no body, and a nil logger is silent.
func TestRecoverHEAD(t *testing.T) {
	for _, proto := range wideProtos {
		s := wideServer(t, proto, httpmw.Recover(nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(1) })))
		if status, body, err := wideGet(t, s, proto, "HEAD", "/"); status != 500 || body != "" || err != nil {
			t.Errorf("%s: the client sees %d %q, %v", proto, status, body, err)
		}
	}
}
