package httpmw_test

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// This file holds what is taught with handlers, multiplexers and middleware: what a
// reader of a book on them builds, with the library's parts in the places of the book's.

// lessonLimit bounds the bodies that lessonGreeter and lessonMethods read.
const lessonLimit = 1 << 10

var lessonTemplate = template.Must(template.New("greeting").Parse("Hello, {{.}}!"))

// lessonName is whom a request greets: its body, or nobody in particular. It answers
// itself if the body cannot be read.
func lessonName(w http.ResponseWriter, r *http.Request) (name string, ok bool) {
	if r.Method == http.MethodGet {
		return "friend", true
	}
	b, err := io.ReadAll(r.Body)
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		http.Error(w, "Request entity too large", http.StatusRequestEntityTooLarge)
		return "", false
	}
	if err != nil {
		http.Error(w, "Internal server error", http.StatusInternalServerError)
		return "", false
	}
	return string(b), true
}

// lessonGreeter tells the methods apart itself, and escapes by a template.
func lessonGreeter() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
			return
		}
		if name, ok := lessonName(w, r); ok {
			_ = lessonTemplate.Execute(w, name) // an error is the client's going
		}
	})
}

// lessonMethods leaves the methods to [httpmw.Methods], and escapes by hand.
func lessonMethods() http.Handler {
	greet := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := lessonName(w, r); ok {
			fmt.Fprintf(w, "Hello, %s!", html.EscapeString(name))
		}
	})
	return httpmw.Methods(map[string]http.Handler{http.MethodGet: greet, http.MethodPost: greet})
}

// lessonServe serves h over HTTP/1.1 or HTTP/2, and returns a client of it.
func lessonServe(t *testing.T, h http.Handler, http2 bool) (client *http.Client, url string) {
	t.Helper()
	server := serve(t, h, http2)
	return server.Client(), server.URL
}

// lessonDo sends a request, checks the version of HTTP, and reads the response to its end.
func lessonDo(t *testing.T, client *http.Client, http2 bool, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if (resp.ProtoMajor == 2) != http2 {
		t.Errorf("the response came over %s", resp.Proto)
	}
	return resp, string(b)
}

// A service that greets: with the methods told apart by hand, HEAD is refused and
// nothing says what is allowed. With Methods a HEAD is answered, OPTIONS too, and a
// refusal names what is allowed.
func TestLessonGreeting(t *testing.T) {
	const allow = "GET, HEAD, OPTIONS, POST"
	long := strings.Repeat("x", lessonLimit+1)
	type want struct {
		status      int
		allow, body string
	}
	for _, tt := range []struct {
		method, body     string
		chunked          bool
		greeter, methods want
	}{
		{"GET", "", false, want{200, "", "Hello, friend!"}, want{200, "", "Hello, friend!"}},
		{"POST", "<world>", false, want{200, "", "Hello, &lt;world&gt;!"}, want{200, "", "Hello, &lt;world&gt;!"}},
		{
			"POST", `<script>alert("x")</script>`, true,
			want{200, "", "Hello, &lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;!"},
			want{200, "", "Hello, &lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;!"},
		},
		{"POST", long, false, want{413, "", "Request Entity Too Large\n"}, want{413, "", "Request Entity Too Large\n"}},
		{"POST", long, true, want{413, "", "Request entity too large\n"}, want{413, "", "Request entity too large\n"}},
		{"HEAD", "", false, want{405, "", ""}, want{200, "", ""}},
		{"OPTIONS", "", false, want{405, "", "Method not allowed\n"}, want{204, allow, ""}},
		{"DELETE", "", false, want{405, "", "Method not allowed\n"}, want{405, allow, "Method Not Allowed\n"}},
	} {
		for _, http2 := range []bool{false, true} {
			chain := httpmw.Chain(
				httpmw.Timeout(2*time.Minute, nil),
				httpmw.DrainAndClose(nil),
				httpmw.MaxBody(lessonLimit),
			)
			for name, handler := range map[string]http.Handler{"greeter": lessonGreeter(), "methods": lessonMethods()} {
				w := tt.greeter
				if name == "methods" {
					w = tt.methods
				}
				var body io.Reader = strings.NewReader(tt.body)
				if tt.chunked {
					body = io.MultiReader(body) // whose length net/http does not know
				}
				client, url := lessonServe(t, chain(handler), http2)
				resp, got := lessonDo(t, client, http2, tt.method, url, body)
				if resp.StatusCode != w.status || got != w.body || resp.Header.Get("Allow") != w.allow {
					t.Errorf("%s: %s %.30q, HTTP/2 %v: %d, Allow %q, %q, want %+v", name, tt.method, tt.body, http2,
						resp.StatusCode, resp.Header.Get("Allow"), got, w)
				}
			}
		}
	}
}

// A body that fails is the server's trouble, and nothing of the cause reaches the client.
func TestLessonGreetingThatCannotBeRead(t *testing.T) {
	for name, handler := range map[string]http.Handler{"greeter": lessonGreeter(), "methods": lessonMethods()} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("disk 3 is gone")))
		httpmw.MaxBody(lessonLimit)(handler).ServeHTTP(w, r)
		if got := w.Body.String(); w.Code != 500 || got != "Internal server error\n" {
			t.Errorf("%s: %d, %q", name, w.Code, got)
		}
	}
}

// The first byte of a body sends the status: one that is set later does nothing, and
// what records the response must not believe it either.
func TestLessonOrderOfWrites(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int
	}{
		{"body first", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "Bad request")
			w.WriteHeader(http.StatusBadRequest)
		}, 200},
		{"status first", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "Bad request")
		}, 400},
		{"both at once", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Bad request", http.StatusBadRequest)
		}, 400},
	} {
		for _, http2 := range []bool{false, true} {
			var recorded int
			client, url := lessonServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rec, w := httpmw.Record(w)
				tt.handler(w, r)
				recorded = rec.Status()
			}), http2)
			resp, body := lessonDo(t, client, http2, http.MethodGet, url, nil)
			if resp.StatusCode != tt.status || !strings.HasPrefix(body, "Bad request") {
				t.Errorf("%s, HTTP/2 %v: %d, %q, want %d", tt.name, http2, resp.StatusCode, body, tt.status)
			}
			if recorded != tt.status {
				t.Errorf("%s, HTTP/2 %v: recorded %d, want %d", tt.name, http2, recorded, tt.status)
			}
		}
	}
}

// A ServeMux prefers the longest pattern, takes one without "/" at its end as it is and one
// with it for everything below, and sends a client that left that out after it: with 307,
// which keeps the method, where there was 301 before Go 1.26.
func TestLessonMux(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Hello friend.") })
	mux.HandleFunc("/hello/there/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Why, hello there.") })
	for _, http2 := range []bool{false, true} {
		client, url := lessonServe(t, httpmw.DrainAndClose(nil)(mux), http2)
		for _, tt := range []struct {
			path   string
			status int
			body   string
		}{
			{"/", 204, ""},
			{"/hello", 200, "Hello friend."},
			{"/hello/there/", 200, "Why, hello there."},
			{"/hello/there", 307, "<a href=\"/hello/there/\">Temporary Redirect</a>.\n\n"},
			{"/hello/there/you", 200, "Why, hello there."},
			{"/hello/and/goodbye", 204, ""},
			{"/something/else/entirely", 204, ""},
			{"/hello/you", 204, ""},
		} {
			resp, body := lessonDo(t, client, http2, http.MethodGet, url+tt.path, nil)
			if resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("%s, HTTP/2 %v: %d, %q, want %d, %q", tt.path, http2, resp.StatusCode, body, tt.status, tt.body)
			}
		}
	}
	// Without a pattern for everything, what is left is missing.
	w := httptest.NewRecorder()
	http.NewServeMux().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/none", nil))
	if w.Code != 404 {
		t.Errorf("an empty mux: %d", w.Code)
	}
}

// A file server hides nothing by itself; behind RestrictPrefix it does, and still serves
// its root.
func TestLessonStaticFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sage.svg", ".secret", ".dir/secret", "index.html"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := http.FileServer(http.Dir(dir))
	open := http.StripPrefix("/static/", files)
	restricted := http.StripPrefix("/static/", httpmw.RestrictPrefix(".", nil)(files))
	for _, tt := range []struct {
		path             string
		open, restricted int
	}{
		{"/static/sage.svg", 200, 200},
		{"/static/.secret", 200, 404},
		{"/static/.dir/secret", 200, 404},
		{"/static/", 200, 200},
		{"/static/a/..", 301, 301}, // which leads back to the root
		{"/static/missing", 404, 404},
	} {
		for name, h := range map[string]struct {
			http.Handler
			want int
		}{"open": {open, tt.open}, "restricted": {restricted, tt.restricted}} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
			if w.Code != h.want {
				t.Errorf("%s %s: %d, want %d", name, tt.path, w.Code, h.want)
			}
		}
	}
}

// One middleware that refuses a method, sets a header and logs a duration does three
// jobs. Three do one each, and a refused request goes no further.
func TestLessonOneJobEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "method" || a.Key == "status_code" || a.Key == "duration" {
				return a
			}
			return slog.Attr{}
		}}))
		calls := 0
		handler := httpmw.Chain(
			httpmw.WideEvent(logger, nil),
			httpmw.RejectMethods(http.MethodTrace),
			httpmw.NoSniff,
		)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			time.Sleep(3 * time.Second)
			io.WriteString(w, "done")
		}))
		for _, tt := range []struct {
			method           string
			status           int
			nosniff, message string
		}{
			{"TRACE", 405, "", "status_code=405 method=TRACE duration=0s\n"},
			{"GET", 200, "nosniff", "status_code=200 method=GET duration=3s\n"},
		} {
			log.Reset()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(tt.method, "/", nil))
			if got := w.Header().Get("X-Content-Type-Options"); w.Code != tt.status || tt.nosniff != "" && got != tt.nosniff {
				t.Errorf("%s: %d, X-Content-Type-Options %q", tt.method, w.Code, got)
			}
			if log.String() != tt.message {
				t.Errorf("%s: the log is %q, want %q", tt.method, &log, tt.message)
			}
		}
		if calls != 1 {
			t.Errorf("the handler was called %d times, want once", calls)
		}
	})
}
