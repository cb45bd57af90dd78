package httpmw_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// chainMark writes its mark around what the handler writes.
func chainMark(mark string) httpmw.Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, mark+"(")
			next.ServeHTTP(w, r)
			io.WriteString(w, ")")
		})
	}
}

func chainAnswer(h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
	return w.Body.String()
}

func TestChain(t *testing.T) {
	a, b, c := chainMark("a"), chainMark("b"), chainMark("c")
	list := []httpmw.Middleware{a, b}
	fromList := httpmw.Chain(list...)
	list[0] = c
	ab := httpmw.Chain(a, b)
	for _, tt := range []struct {
		name  string
		chain httpmw.Middleware
		want  string
	}{
		{"none", httpmw.Chain(), "h"},
		{"nil list", httpmw.Chain(nil...), "h"},
		{"one", httpmw.Chain(a), "a(h)"},
		{"three", httpmw.Chain(a, b, c), "a(b(c(h)))"},
		{"within another", httpmw.Chain(c, ab, c), "c(a(b(c(h))))"},
		{"of itself", httpmw.Chain(ab, ab), "a(b(a(b(h))))"},
		{"the slice changed", fromList, "a(b(h))"},
	} {
		for range 2 { // for several handlers
			if got := chainAnswer(tt.chain(methodSays("h"))); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
	}
}

// chainRegister registers with the default mux, which is for ever.
var chainRegister = sync.OnceFunc(func() { http.Handle("/chain-secret", methodSays("secret")) })

// http.DefaultServeMux is what imported packages register with.
func TestChainOfNoHandlerIsNotTheDefaultMux(t *testing.T) {
	chainRegister()
	for _, chain := range []httpmw.Middleware{httpmw.Chain(), httpmw.Chain(httpmw.NoSniff), httpmw.Chain(httpmw.Chain())} {
		w := httptest.NewRecorder()
		chain(nil).ServeHTTP(w, httptest.NewRequest("GET", "/chain-secret", http.NoBody))
		if w.Code != 404 {
			t.Errorf("nil handler = %d %q, want 404", w.Code, w.Body)
		}
	}
}

func TestChainPanicsOnANilMiddleware(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	httpmw.Chain(httpmw.NoSniff, nil)
}
