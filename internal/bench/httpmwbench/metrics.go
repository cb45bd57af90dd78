//go:build linux

package httpmwbench

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	slokprometheus "github.com/slok/go-http-metrics/metrics/prometheus"
	slok "github.com/slok/go-http-metrics/middleware"
	"github.com/slok/go-http-metrics/middleware/std"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/bench/lab"
)

const pattern = "GET /hello/{name}"

// durations are the buckets of all.
var durations = []float64{1e-7, 2e-7, 3e-7, 4e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 7.5e-6, 1e-5, 1e-4, 1e-3, 1e-2}

// A metricsSide is a way to count a request: how many there were and how long they took, by
// method, status and pattern, how many there are, and the bytes of responses. Those have a
// histogram with the peers.
type metricsSide struct {
	name string
	make func() (m httpmw.Middleware, scrape http.Handler)
	// lines of the text exposition, with what their values are.
	lines map[string]string
}

// The values of lines.
const (
	requests = "requests"
	octets   = "bytes of responses"
	nothing  = ""
)

var metricsSides = []metricsSide{
	{lab.Ours, func() (httpmw.Middleware, http.Handler) {
		m := &httpmw.Metrics{Buckets: durations}
		return httpmw.Instrument(m, nil), m
	}, map[string]string{
		`http_requests_total{method="GET",class="2xx",pattern="GET /hello/{name}"}`:                 requests,
		`http_request_duration_seconds_count{method="GET",class="2xx",pattern="GET /hello/{name}"}`: requests,
		`http_response_bytes_total{method="GET",class="2xx",pattern="GET /hello/{name}"}`:           octets,
		`http_requests_in_flight`: nothing,
	}},
	{slokClasses, func() (httpmw.Middleware, http.Handler) { return goHTTPMetrics(true) }, map[string]string{
		`http_request_duration_seconds_count{code="2xx",handler="GET /hello/{name}",method="GET",service=""}`: requests,
		`http_response_size_bytes_sum{code="2xx",handler="GET /hello/{name}",method="GET",service=""}`:        octets,
		`http_requests_inflight{handler="GET /hello/{name}",service=""}`:                                      nothing,
	}},
	{slokCodes, func() (httpmw.Middleware, http.Handler) { return goHTTPMetrics(false) }, map[string]string{
		`http_request_duration_seconds_count{code="200",handler="GET /hello/{name}",method="GET",service=""}`: requests,
		`http_response_size_bytes_sum{code="200",handler="GET /hello/{name}",method="GET",service=""}`:        octets,
		`http_requests_inflight{handler="GET /hello/{name}",service=""}`:                                      nothing,
	}},
	{promHandler, promHTTP, map[string]string{
		`http_requests_total{code="200",method="get",pattern="GET /hello/{name}"}`:                 requests,
		`http_request_duration_seconds_count{code="200",method="get",pattern="GET /hello/{name}"}`: requests,
		`http_response_size_bytes_sum{code="200",method="get",pattern="GET /hello/{name}"}`:        octets,
		`http_requests_in_flight`: nothing,
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

// instrumentCase has requests counted.
func instrumentCase() lab.Case {
	const reason = "Most of what ours adds is reading the clock twice and making and watching the response; the counters themselves are a few atomic additions."
	return lab.Case{
		Name: "Instrument",
		About: "Counts requests and their durations by method, status and pattern, those in flight, and the bytes of responses. " +
			"Before and after, what Prometheus would read has to tell of all of them.",
		Sides:   lab.Sides(lab.Ours, slokClasses, slokCodes, promHandler, bare),
		Metrics: lab.AddedMetrics("ns"),
		Targets: []lab.Target{
			{Metric: added, Than: slokClasses, AtMost: 0.40, Reason: reason},
			{Metric: added, Than: slokCodes, AtMost: 0.40, Reason: reason},
			noAllocs,
		},
		Run: func(t *lab.T) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Pattern = pattern // as a mux does, without its costs
				greet(w, r)
			})
			r := newCall(1, http.MethodGet, "/hello/friend")
			c := newContest(t, len(greeting), r)
			c.fresh = false // nobody makes contexts, and they would cost more than what is measured
			scrapes := make(map[string]http.Handler)
			for _, s := range metricsSides {
				m, scrape := s.make()
				scrapes[s.name] = scrape
				c.handlers[s.name] = m(handler)
				for range 3 {
					answers(t, s.name, c.handlers[s.name], r, http.StatusOK, greeting)
				}
				s.check(t, scrape, 3)
			}
			c.handlers[bare] = handler
			c.run(160_000, 20_000)
			for _, s := range metricsSides {
				s.check(t, scrapes[s.name], 3+c.called[s.name])
			}
		},
	}
}

// check ends the case unless a text exposition tells of so many requests.
func (s *metricsSide) check(t *lab.T, scrape http.Handler, count int) {
	w := httptest.NewRecorder()
	scrape.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil).WithContext(t.Context()))
	values := map[string]float64{requests: float64(count), octets: float64(count * len(greeting))}
	text := w.Body.String()
	for name, is := range s.lines {
		_, after, found := strings.Cut("\n"+text, "\n"+name+" ")
		value, _, _ := strings.Cut(after, "\n")
		if v, err := strconv.ParseFloat(value, 64); !found || err != nil || v != values[is] {
			t.Fatalf("%s: %s is %q, want %v, in\n%s", s.name, name, value, values[is], text)
		}
	}
}
