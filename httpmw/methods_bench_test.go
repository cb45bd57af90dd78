package httpmw_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// benchDone is the handler behind, which does nothing.
func benchDone(http.ResponseWriter, *http.Request) {}

func BenchmarkMethods(b *testing.B) {
	h := httpmw.Methods(map[string]http.Handler{"GET": http.HandlerFunc(benchDone), "POST": http.HandlerFunc(benchDone)})
	for _, method := range []string{"GET", "HEAD", "POST"} {
		b.Run(method, func(b *testing.B) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/", http.NoBody)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
	b.Run("405", func(b *testing.B) {
		w, r := httptest.NewRecorder(), httptest.NewRequest("PUT", "/", http.NoBody)
		b.ReportAllocs()
		for b.Loop() {
			w.Body.Reset()
			h.ServeHTTP(w, r)
		}
	})
}

func BenchmarkSetHeader(b *testing.B) {
	h := httpmw.SetHeader("X-A", "b")(http.HandlerFunc(benchDone))
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", http.NoBody)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

// With a body and without, which most requests are.
func BenchmarkBodies(b *testing.B) {
	reads := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Error(err)
		}
	})
	for name, mw := range map[string]httpmw.Middleware{
		"bare": httpmw.Chain(), "DrainAndClose": httpmw.DrainAndClose(nil), "MaxBody": httpmw.MaxBody(1 << 20),
	} {
		h := mw(reads)
		b.Run(name+"/none", func(b *testing.B) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", http.NoBody)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
		b.Run(name+"/read", func(b *testing.B) {
			const text = "a body of a few bytes"
			body := strings.NewReader(text)
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", io.NopCloser(body))
			r.ContentLength = int64(len(text))
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(text)
				h.ServeHTTP(w, r)
			}
		})
	}
}
