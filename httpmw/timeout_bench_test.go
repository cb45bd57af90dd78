package httpmw_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// BenchmarkTimeout is a small response with a limit on its time, as a server would call it,
// with a context for each request.
func BenchmarkTimeout(b *testing.B) {
	greeting := []byte("Hello, friend!")
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if _, err := w.Write(greeting); err != nil {
			b.Error(err)
		}
	})
	obedient := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		default:
			hello(w, r)
		}
	})
	for _, bb := range []struct {
		name    string
		handler http.Handler
	}{
		{"none", hello},
		{"ours", httpmw.Timeout(time.Minute, nil)(hello)},
		{"TimeoutHandler", http.TimeoutHandler(hello, time.Minute, "")},
		{"context/ours", httpmw.Timeout(time.Minute, nil)(obedient)},
		{"context/TimeoutHandler", http.TimeoutHandler(obedient, time.Minute, "")},
	} {
		b.Run(bb.name, func(b *testing.B) {
			base, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost/", http.NoBody)
			if err != nil {
				b.Fatal(err)
			}
			w := discardWriter{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				bb.handler.ServeHTTP(w, base.WithContext(ctx))
				clear(w.header)
				cancel()
			}
		})
	}
}

func TestTimeoutAllocations(t *testing.T) {
	handler := httpmw.Timeout(time.Minute, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	w := discardWriter{make(http.Header)}
	for _, major := range []int{1, 2} {
		r.ProtoMajor = major
		if n := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) }); n > 10 {
			t.Errorf("HTTP/%d: %v allocations", major, n)
		} else {
			t.Logf("HTTP/%d: %v allocations", major, n)
		}
	}
}
