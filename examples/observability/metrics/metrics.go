// Package metrics counts requests for Prometheus with its own client library.
//
// [Metrics] is an [httpmw.Observer]. That interface is what hides the platform: a program
// instruments its handlers by httpmw.Instrument, and for another platform gives it another
// Observer, such as [httpmw.Metrics], which needs no library.
package metrics

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"

	"github.com/netparts/netparts/httpmw"
)

// Options are the options of [New].
type Options struct {
	// Connections are shown as open_connections. If nil, that is not there.
	Connections *httpmw.ConnGauge

	// Buckets are the upper bounds, in seconds and rising, of the histogram; +Inf comes by
	// itself. If nil, they are 13 from 100 ns to 10 ms: the usual ones begin at 5 ms, and
	// would put all answers of a handler that has them in memory into the first.
	Buckets []float64

	// Summary replaces the histogram by a summary of sum and count. Those give an average,
	// but no quantiles: histograms of several servers can be added up, quantiles that the
	// servers have computed cannot.
	Summary bool

	// Labels tells requests apart by method, class of the status, and pattern. There are few
	// values of each, whatever clients send.
	Labels bool
}

// buckets are for answers that come from memory.
var buckets = []float64{
	1e-7, 2e-7, 3e-7, 4e-7, 5e-7,
	1e-6, 2.5e-6, 5e-6, 7.5e-6,
	1e-5, 1e-4, 1e-3, 1e-2,
}

// Metrics counts what [httpmw.Instrument] observes, and shows in a registry, each behind
// the namespace and the subsystem:
//
//	request_count                       counter
//	write_errors_count                  counter
//	open_connections                    gauge, if Connections is set
//	request_duration_histogram_seconds  histogram
//	request_duration_summary_seconds    summary, in its place if Summary is set
//
// A metric without labels is there from the start, with 0: a rate over the first error needs
// the 0 before it.
type Metrics struct {
	labels      bool
	requests    *prometheus.CounterVec
	writeErrors prometheus.Counter
	durations   interface {
		prometheus.Collector
		prometheus.ObserverVec
	}
	connections prometheus.Collector // nil if not wanted
}

// New returns metrics that are registered with reg. Names that are taken there, or
// that Prometheus would have to quote, are an error, and nothing is registered then. Nil
// options mean the default.
func New(reg prometheus.Registerer, namespace, subsystem string, opts *Options) (*Metrics, error) {
	if opts == nil {
		opts = new(Options)
	}
	prefix := prometheus.BuildFQName(namespace, subsystem, "x")
	if !model.LegacyValidation.IsValidMetricName(prefix) || strings.Contains(prefix, ":") {
		return nil, fmt.Errorf("metrics: the namespace %q or the subsystem %q has other than letters, digits and _, or begins with a digit", namespace, subsystem)
	}
	bounds := opts.Buckets
	if bounds == nil {
		bounds = buckets
	}
	for i, b := range bounds { // of which the library says so by a panic
		if math.IsNaN(b) || i > 0 && b <= bounds[i-1] {
			return nil, fmt.Errorf("metrics: the buckets %v are not rising", bounds)
		}
	}
	name := func(name string) string { return prometheus.BuildFQName(namespace, subsystem, name) }
	m := &Metrics{labels: opts.Labels}
	var labels []string
	if opts.Labels {
		labels = []string{"method", "class", "pattern"}
	}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: name("request_count"), Help: "Total requests",
	}, labels)
	m.writeErrors = prometheus.NewCounter(prometheus.CounterOpts{
		Name: name("write_errors_count"), Help: "Total write errors",
	})
	const help = "Total duration of all requests"
	if opts.Summary {
		m.durations = prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: name("request_duration_summary_seconds"), Help: help,
		}, labels)
	} else {
		m.durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("request_duration_histogram_seconds"), Help: help, Buckets: bounds,
		}, labels)
	}
	if opts.Connections != nil {
		m.connections = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name("open_connections"), Help: "Current open connections",
		}, func() float64 { return float64(opts.Connections.Open()) })
	}
	if !opts.Labels {
		m.requests.WithLabelValues() // so that it is there before the first request
		m.durations.WithLabelValues()
	}
	// As one collector they are registered together or not at all.
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// Begin implements [httpmw.Observer]. What runs is not counted.
func (m *Metrics) Begin() {}

// End implements [httpmw.Observer].
func (m *Metrics) End(o httpmw.Observation) {
	var labels []string
	if m.labels {
		// A pattern that is no UTF-8 would be a panic.
		labels = []string{o.Method, o.Class, strings.ToValidUTF8(o.Pattern, "\uFFFD")}
	}
	m.requests.WithLabelValues(labels...).Inc()
	m.durations.WithLabelValues(labels...).Observe(o.Duration.Seconds())
	if o.WriteErr != nil {
		m.writeErrors.Inc()
	}
}

// collectors returns what m consists of.
func (m *Metrics) collectors() []prometheus.Collector {
	all := []prometheus.Collector{m.requests, m.writeErrors, m.durations}
	if m.connections != nil {
		all = append(all, m.connections)
	}
	return all
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
}

// NewRegistry returns a registry with metrics of the Go runtime and of the process. Unlike the
// registry that is global, it has nothing that an imported package has put there.
func NewRegistry() (*prometheus.Registry, error) {
	reg := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), // on systems that tell
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return reg, nil
}

// Handler shows a registry as /metrics, where Prometheus looks, and as /metrics/, with limits on
// the work for those who ask. Logger gets what cannot be collected; nil means silent.
func Handler(reg prometheus.Gatherer, logger *slog.Logger) http.Handler {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	show := promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(logger.Handler(), slog.LevelError),
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", show)
	mux.Handle("GET /metrics/{$}", show)
	return mux
}
