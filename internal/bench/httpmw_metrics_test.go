//go:build linux

package bench

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	slokprometheus "github.com/slok/go-http-metrics/metrics/prometheus"
	slok "github.com/slok/go-http-metrics/middleware"
	"github.com/slok/go-http-metrics/middleware/std"

	"github.com/netparts/netparts/httpmw"
)

const pattern = "GET /hello/{name}"

// durations are the buckets of all.
var durations = []float64{1e-7, 2e-7, 3e-7, 4e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 7.5e-6, 1e-5, 1e-4, 1e-3, 1e-2}

// metricsSides are ways to count a request: how many there were and how long they took, by
// method, status and pattern, how many there are, and the bytes of responses. Those have a
// histogram with the peers. promhttp's handlers know the pattern only of what they are told.
var metricsSides = []struct {
	name string
	make func() (m httpmw.Middleware, scrape http.Handler)
	want []string // after three requests
}{
	{kindOurs, func() (httpmw.Middleware, http.Handler) {
		m := &httpmw.Metrics{Buckets: durations}
		return httpmw.Instrument(m, nil), m
	}, []string{
		`http_requests_total{method="GET",class="2xx",pattern="GET /hello/{name}"} 3`,
		`http_request_duration_seconds_count{method="GET",class="2xx",pattern="GET /hello/{name}"} 3`,
		`http_response_bytes_total{method="GET",class="2xx",pattern="GET /hello/{name}"} 45`,
		`http_requests_in_flight 0`,
	}},
	{"go-http-metrics", func() (httpmw.Middleware, http.Handler) { return goHTTPMetrics(true) }, []string{
		`http_request_duration_seconds_count{code="2xx",handler="GET /hello/{name}",method="GET",service=""} 3`,
		`http_response_size_bytes_sum{code="2xx",handler="GET /hello/{name}",method="GET",service=""} 45`,
		`http_requests_inflight{handler="GET /hello/{name}",service=""} 0`,
	}},
	// By default it has the status itself as a label.
	{"go-http-metrics-codes", func() (httpmw.Middleware, http.Handler) { return goHTTPMetrics(false) }, []string{
		`http_request_duration_seconds_count{code="200",handler="GET /hello/{name}",method="GET",service=""} 3`,
		`http_response_size_bytes_sum{code="200",handler="GET /hello/{name}",method="GET",service=""} 45`,
		`http_requests_inflight{handler="GET /hello/{name}",service=""} 0`,
	}},
	{"promhttp", promHTTP, []string{
		`http_requests_total{code="200",method="get",pattern="GET /hello/{name}"} 3`,
		`http_request_duration_seconds_count{code="200",method="get",pattern="GET /hello/{name}"} 3`,
		`http_response_size_bytes_sum{code="200",method="get",pattern="GET /hello/{name}"} 45`,
		`http_requests_in_flight 0`,
	}},
}

func goHTTPMetrics(classes bool) (httpmw.Middleware, http.Handler) {
	registry := prometheus.NewRegistry()
	m := slok.New(slok.Config{
		Recorder:      slokprometheus.NewRecorder(slokprometheus.Config{DurationBuckets: durations, Registry: registry}),
		GroupedStatus: classes,
	})
	return std.HandlerProvider(pattern, m), promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func promHTTP() (httpmw.Middleware, http.Handler) {
	labels := []string{"code", "method", "pattern"}
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, labels)
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Buckets: durations}, labels)
	size := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_response_size_bytes", Buckets: prometheus.ExponentialBuckets(100, 10, 8),
	}, labels)
	flying := prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_flight"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(total, took, size, flying)
	is := prometheus.Labels{"pattern": pattern}
	return func(next http.Handler) http.Handler {
		h := promhttp.InstrumentHandlerResponseSize(size.MustCurryWith(is), next)
		h = promhttp.InstrumentHandlerCounter(total.MustCurryWith(is), h)
		h = promhttp.InstrumentHandlerDuration(took.MustCurryWith(is), h)
		return promhttp.InstrumentHandlerInFlight(flying, h)
	}, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// BenchmarkHTTPMWInstrument has requests counted.
func BenchmarkHTTPMWInstrument(b *testing.B) {
	c := &callContest{
		batch: of(10_000, 1000), fresh: true, requests: []*http.Request{newCall(1, "/hello/friend")},
		targets: []target{{"go-http-metrics", 0.40, 0}, {"go-http-metrics-codes", 0.40, 0}},
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = pattern // as a mux does, without its costs
		greet(w, r)
	})
	for _, s := range metricsSides {
		m, scrape := s.make()
		h := m(handler)
		for range 3 {
			answers(b, s.name, h, c.requests[0], http.StatusOK, greeting)
		}
		w := httptest.NewRecorder()
		scrape.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, line := range s.want {
			if !strings.Contains("\n"+w.Body.String(), "\n"+line+"\n") {
				b.Fatalf("%s: no %q in\n%s", s.name, line, w.Body)
			}
		}
		c.side(s.name, h)
	}
	c.side(kindNothing, handler)
	c.run(b)
}
