package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// instrumentBenchmarks are the ways to count a request.
var instrumentBenchmarks = []struct {
	name string
	make func() http.Handler
}{
	{"alone", func() http.Handler { return instrumentMux(new(httpmw.Metrics), nil) }},
	{"hosts", func() http.Handler {
		return instrumentMux(new(httpmw.Metrics), &httpmw.InstrumentOptions{Hosts: []string{"example.com"}})
	}},
	{"chain", func() http.Handler {
		return sharedRecorder(instrumentMux(new(httpmw.Metrics), nil))
	}},
}

// instrumentMux is a mux's handler behind Instrument. The pattern is set as a mux does it, but
// without its allocations.
func instrumentMux(o httpmw.Observer, opts *httpmw.InstrumentOptions) http.Handler {
	body := []byte("Hello!")
	return httpmw.Instrument(o, opts)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = "GET /hello/{name}"
		_, _ = w.Write(body) // discardWriter takes all
	}))
}

// sharedRecorder makes one Recorder for all requests, as one at a time may use it.
func sharedRecorder(next http.Handler) http.Handler {
	_, w := httpmw.Record(discardWriter{make(http.Header)})
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

func BenchmarkInstrument(b *testing.B) {
	for _, bm := range instrumentBenchmarks {
		b.Run(bm.name, func(b *testing.B) {
			h, w, r := bm.make(), discardWriter{make(http.Header)}, httptest.NewRequest("GET", "/hello/world", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkInstrumentParallel(b *testing.B) {
	h := instrumentMux(new(httpmw.Metrics), nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w, r := discardWriter{make(http.Header)}, httptest.NewRequest("GET", "/hello/world", nil)
		for pb.Next() {
			h.ServeHTTP(w, r)
		}
	})
}

// BenchmarkMetrics shows a thousand series.
func BenchmarkMetrics(b *testing.B) {
	m := new(httpmw.Metrics)
	for i := range 1000 {
		m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: string(rune('a' + i))})
	}
	w, r := discardWriter{make(http.Header)}, httptest.NewRequest("GET", "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		m.ServeHTTP(w, r)
	}
}
