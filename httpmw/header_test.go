package httpmw_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

func TestSetHeader(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    []string
	}{
		{"left alone", func(http.ResponseWriter, *http.Request) {}, []string{"a b"}},
		{"changed", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-One", "c") }, []string{"c"}},
		{"added to", func(w http.ResponseWriter, _ *http.Request) { w.Header().Add("X-One", "c") }, []string{"a b", "c"}},
		{"deleted", func(w http.ResponseWriter, _ *http.Request) { w.Header().Del("X-One") }, nil},
		{"spoilt", func(w http.ResponseWriter, _ *http.Request) { w.Header()["X-One"][0] = "spoilt" }, []string{"spoilt"}},
		{"left alone again", func(http.ResponseWriter, *http.Request) {}, []string{"a b"}},
	} {
		var handler http.HandlerFunc
		h := httpmw.SetHeader("x-one", "a b")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r) }))
		for range 2 { // no response sees what became of another's
			handler = tt.handler
			w := httptest.NewRecorder()
			w.Header().Set("X-One", "from outside")
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
			if got := w.Result().Header["X-One"]; !slices.Equal(got, tt.want) {
				t.Errorf("%s: X-One = %q, want %q", tt.name, got, tt.want)
			}
		}
	}
}

func TestSetHeaderOnTheWire(t *testing.T) {
	conn := bodyServeTCP(t, httpmw.Chain(httpmw.NoSniff, httpmw.SetHeader("X-Empty", ""), httpmw.SetHeader("X-Text", "a\tb é"))(nil))()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	want := "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nX-Empty: \r\nX-Text: a\tb é\r\nContent-Length: 19\r\n\r\n404 page not found\n"
	if got := bodyDate.ReplaceAllString(string(got), ""); !bodySameLines(got, want) {
		t.Errorf("response = %q, want %q", got, want)
	}
}

func TestNoSniff(t *testing.T) {
	w := httptest.NewRecorder()
	httpmw.NoSniff(methodSays("x")).ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
	if got := w.Header()["X-Content-Type-Options"]; !slices.Equal(got, []string{"nosniff"}) {
		t.Errorf("X-Content-Type-Options = %q, want nosniff", got)
	}
}

func TestSetHeaderPanicsOnWhatIsNotAllowed(t *testing.T) {
	for _, h := range [][2]string{
		{"", "v"},
		{"a b", "v"},
		{"a:", "v"},
		{"a\r\nb", "v"},
		{"é", "v"},
		{"a\x7f", "v"},
		{"a", "v\r\nSet-Cookie: x"},
		{"a", "v\n"},
		{"a", "\x00"},
		{"a", "v\x7f"},
		{"a", " v"},
		{"a", "v\t"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("SetHeader(%q, %q) did not panic", h[0], h[1])
				}
			}()
			httpmw.SetHeader(h[0], h[1])
		}()
	}
}
