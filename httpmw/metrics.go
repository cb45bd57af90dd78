package httpmw

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Metrics is an [Observer] that counts, and an [http.Handler] that shows its counts in the
// text format of Prometheus (version 0.0.4). The zero value is ready. The exported fields
// must not be changed after the first use, which panics if there are mistakes in them. Its
// methods may be called at the same time.
//
// With the names' prefix from Namespace and Subsystem, the metrics are:
//
//	requests_total{method,class,pattern}            counter
//	request_duration_seconds{method,class,pattern}  histogram
//	response_bytes_total{method,class,pattern}      counter
//	write_errors_total                              counter
//	panics_total                                    counter
//	requests_in_flight                              gauge
//	open_connections                                gauge, if Connections is set
//	hijacked_connections_total                      counter, if Connections is set
//
// A label host follows where observations have one. Those without a label are shown from
// the start.
//
// There are at most 10,000 combinations of labels, beyond which requests are counted as
// method, class and pattern "other". That also stands for a label of more than 1,024 bytes.
// What is no UTF-8 in a label is replaced by U+FFFD.
type Metrics struct {
	// Namespace and Subsystem begin the names of the metrics, each with "_" behind
	// it. If both are empty, the namespace is "http". They consist of letters,
	// digits and "_", and the whole does not begin with a digit.
	Namespace, Subsystem string

	// Buckets are the upper bounds, in seconds and rising, of the histogram. If
	// nil, they are 13 from 100 ns to 10 ms, which suit handlers that answer from
	// memory: slower ones need others. The last, +Inf, is always there and need not
	// be named.
	Buckets []float64

	// Connections, if not nil, is shown too.
	Connections *ConnGauge

	settings    atomic.Pointer[metricsSettings]
	series      seriesSet
	inFlight    atomic.Int64
	writeErrors atomic.Int64
	panics      atomic.Int64
}

// bookBuckets are the bounds of listing 13-22. Those that are usual with Prometheus begin
// at 5 ms, where a handler on the same machine is long done.
var bookBuckets = []float64{1e-7, 2e-7, 3e-7, 4e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 7.5e-6, 1e-5, 1e-4, 1e-3, 1e-2}

// metricsSettings are what the exported fields of Metrics say, once it is checked.
type metricsSettings struct {
	prefix string
	bounds []float64 // without +Inf
}

// setup returns the settings. It panics, each time, if the fields have mistakes.
func (m *Metrics) setup() *metricsSettings {
	if s := m.settings.Load(); s != nil {
		return s
	}
	s := &metricsSettings{metricsPrefix(m.Namespace, m.Subsystem), histogramBounds(m.Buckets)}
	// Another goroutine may have been first. The series hold on to its bounds.
	m.settings.CompareAndSwap(nil, s)
	return m.settings.Load()
}

// metricsPrefix returns what the names of metrics begin with.
func metricsPrefix(namespace, subsystem string) string {
	if namespace == "" && subsystem == "" {
		return "http_"
	}
	var parts []string
	for _, part := range []string{namespace, subsystem} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	prefix := strings.Join(parts, "_") + "_"
	bad := func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}
	if strings.ContainsFunc(prefix, bad) || prefix[0] >= '0' && prefix[0] <= '9' {
		panic(fmt.Sprintf("httpmw: metrics cannot be named with the Namespace %q and the Subsystem %q", namespace, subsystem))
	}
	return prefix
}

// histogramBounds returns the finite bounds of the buckets, in a slice of its own.
func histogramBounds(buckets []float64) []float64 {
	if buckets == nil {
		return bookBuckets
	}
	bounds := slices.Clone(buckets)
	if n := len(bounds); n > 0 && math.IsInf(bounds[n-1], 1) {
		bounds = bounds[:n-1]
	}
	for i, b := range bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= bounds[i-1] {
			panic(fmt.Sprintf("httpmw: the Buckets %v are not rising numbers: see %v", buckets, b))
		}
	}
	return bounds
}

// Begin implements [Observer].
func (m *Metrics) Begin() {
	m.setup()
	m.inFlight.Add(1)
}

// End implements [Observer].
func (m *Metrics) End(o Observation) {
	s := m.series.find(seriesKey{o.Method, o.Class, o.Pattern, o.Host}, m.setup().bounds)
	s.observe(max(o.Duration, 0), max(o.Bytes, 0))
	if o.WriteErr != nil {
		m.writeErrors.Add(1)
	}
	if o.Panicked {
		m.panics.Add(1)
	}
	m.inFlight.Add(-1)
}

// ServeHTTP shows the metrics.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	settings := m.setup()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if r.Method == http.MethodHead {
		return
	}
	e := newExposition(w, settings)
	m.expose(e)
	// Whoever asks is gone: there is nobody to tell.
	_ = e.out.Flush()
}

// expose writes all metrics. Each series is read once, before anything is written, so that
// its counts agree with each other.
func (m *Metrics) expose(e *exposition) {
	list := m.series.snapshot()
	name := e.family("requests_total", "counter", "Requests that have ended.")
	for _, s := range list {
		e.sample(name, s.labels, "", s.count)
	}
	name = e.family("request_duration_seconds", "histogram", "How long the handlers of requests ran.")
	for _, s := range list {
		e.histogram(name, s)
	}
	name = e.family("response_bytes_total", "counter", "Bytes of the bodies of responses.")
	for _, s := range list {
		e.sample(name, s.labels, "", s.bytes)
	}
	e.single("write_errors_total", "counter", "Requests with a write of the response that failed.", m.writeErrors.Load())
	e.single("panics_total", "counter", "Requests whose handler panicked.", m.panics.Load())
	e.single("requests_in_flight", "gauge", "Requests whose handler runs.", m.inFlight.Load())
	if g := m.Connections; g != nil {
		e.single("open_connections", "gauge", "Connections that the server has.", g.Open())
		e.single("hijacked_connections_total", "counter", "Connections that handlers have taken.", g.Hijacked())
	}
}
