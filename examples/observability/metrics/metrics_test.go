package metrics_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/netparts/netparts/examples/observability/metrics"
	"github.com/netparts/netparts/httpmw"
)

// A server that counts its requests for Prometheus. A namespace says which service it is, a
// subsystem which part of it, or which of several servers.
func ExampleNew() {
	registry := prometheus.NewRegistry()
	var connections httpmw.ConnGauge
	observer, err := metrics.New(registry, "web", "server1", &metrics.Options{Connections: &connections})
	if err != nil {
		log.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "Hello!") // an error is what write_errors_count counts
	})
	server := httptest.NewUnstartedServer(httpmw.Instrument(observer, nil)(hello))
	server.Config.ConnState = connections.ConnState
	server.Start()
	defer server.Close()
	for range 3 {
		resp, err := server.Client().Get(server.URL)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil { // so that the connection is used again
			log.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			log.Fatal(err)
		}
	}

	w := httptest.NewRecorder()
	metrics.Handler(registry, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if !strings.Contains(line, "_bucket") && !strings.Contains(line, "_sum") { // which vary
			fmt.Print(line)
		}
	}
	// Output:
	// # HELP web_server1_open_connections Current open connections
	// # TYPE web_server1_open_connections gauge
	// web_server1_open_connections 1
	// # HELP web_server1_request_count Total requests
	// # TYPE web_server1_request_count counter
	// web_server1_request_count 3
	// # HELP web_server1_request_duration_histogram_seconds Total duration of all requests
	// # TYPE web_server1_request_duration_histogram_seconds histogram
	// web_server1_request_duration_histogram_seconds_count 3
	// # HELP web_server1_write_errors_count Total write errors
	// # TYPE web_server1_write_errors_count counter
	// web_server1_write_errors_count 0
}

// A duration counts in each bucket whose bound it does not exceed: buckets are cumulative, and
// the last has all. With a quarter of a microsecond it is those from 300 ns on.
func ExampleMetrics_End() {
	registry := prometheus.NewRegistry()
	observer, err := metrics.New(registry, "", "", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range []time.Duration{200, 250, time.Second} {
		observer.Begin()
		observer.End(httpmw.Observation{Duration: d})
	}
	w := httptest.NewRecorder()
	metrics.Handler(registry, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "request_duration") {
			fmt.Print(line)
		}
	}
	// Output:
	// request_duration_histogram_seconds_bucket{le="1e-07"} 0
	// request_duration_histogram_seconds_bucket{le="2e-07"} 1
	// request_duration_histogram_seconds_bucket{le="3e-07"} 2
	// request_duration_histogram_seconds_bucket{le="4e-07"} 2
	// request_duration_histogram_seconds_bucket{le="5e-07"} 2
	// request_duration_histogram_seconds_bucket{le="1e-06"} 2
	// request_duration_histogram_seconds_bucket{le="2.5e-06"} 2
	// request_duration_histogram_seconds_bucket{le="5e-06"} 2
	// request_duration_histogram_seconds_bucket{le="7.5e-06"} 2
	// request_duration_histogram_seconds_bucket{le="1e-05"} 2
	// request_duration_histogram_seconds_bucket{le="0.0001"} 2
	// request_duration_histogram_seconds_bucket{le="0.001"} 2
	// request_duration_histogram_seconds_bucket{le="0.01"} 2
	// request_duration_histogram_seconds_bucket{le="+Inf"} 3
	// request_duration_histogram_seconds_sum 1.00000045
	// request_duration_histogram_seconds_count 3
}

func newMetrics(t *testing.T, reg prometheus.Registerer, opts *metrics.Options) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New(reg, "web", "server1", opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// page returns what a scrape of a registry shows.
func page(t *testing.T, reg prometheus.Gatherer) string {
	t.Helper()
	w := httptest.NewRecorder()
	metrics.Handler(reg, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// want checks that a page has lines.
func want(t *testing.T, page string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+page, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, page)
		}
	}
}

// A summary has a sum and a count, and nothing that cannot be added up over servers.
func TestSummary(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(t, reg, &metrics.Options{Summary: true})
	m.End(httpmw.Observation{Duration: time.Second})
	m.End(httpmw.Observation{Duration: 2 * time.Second})
	got := page(t, reg)
	want(t, got, "web_server1_request_duration_summary_seconds_sum 3", "web_server1_request_duration_summary_seconds_count 2")
	for _, not := range []string{"quantile", "histogram", "open_connections"} {
		if strings.Contains(got, not) {
			t.Errorf("there is a %s in\n%s", not, got)
		}
	}
}

// With labels there are as many lines as the program has patterns, whatever clients send.
func TestLabelsAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(t, reg, &metrics.Options{Labels: true})
	mux := http.NewServeMux()
	mux.HandleFunc("/users/{id}", func(http.ResponseWriter, *http.Request) {})
	handler := httpmw.Instrument(m, nil)(mux)
	for i := range 100 {
		for _, path := range []string{"/users/", "/missing/"} {
			r := httptest.NewRequest(fmt.Sprint("METHOD", i), fmt.Sprint(path, i), nil)
			handler.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "\xff"}) // of a router of its own
	got := page(t, reg)
	if n := strings.Count(got, "\nweb_server1_request_count{"); n != 3 {
		t.Errorf("%d counters, want 3, in\n%s", n, got)
	}
	want(t, got,
		`web_server1_request_count{class="2xx",method="other",pattern="/users/{id}"} 100`,
		`web_server1_request_count{class="4xx",method="other",pattern="unmatched"} 100`,
		`web_server1_request_count{class="2xx",method="GET",pattern="`+"\uFFFD"+`"} 1`)
}

// The writes that fail are those of clients that have gone. Each metric has its 0 before there is
// anything to count.
func TestWriteErrors(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(t, reg, nil)
	want(t, page(t, reg), "web_server1_write_errors_count 0", "web_server1_request_count 0",
		"web_server1_request_duration_histogram_seconds_count 0") // all from the start
	handler := httpmw.Instrument(m, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "Hello!"); err == nil {
			t.Error("the write does not fail")
		}
	}))
	handler.ServeHTTP(brokenWriter{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/", nil))
	want(t, page(t, reg), "web_server1_write_errors_count 1", "web_server1_request_count 1")
}

// A brokenWriter writes to a client that has gone.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, net.ErrClosed }

// Names that are taken, or that are no names, are errors rather than panics, and nothing is
// registered of what was asked for.
func TestNewRefuses(t *testing.T) {
	taken := prometheus.NewRegistry()
	newMetrics(t, taken, nil)
	some := prometheus.NewRegistry()
	if err := some.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "web_server1_write_errors_count", Help: "x"})); err != nil {
		t.Fatal(err)
	}
	none := prometheus.NewRegistry()
	for _, tt := range []struct {
		name                 string
		reg                  *prometheus.Registry
		namespace, subsystem string
		opts                 *metrics.Options
	}{
		{"all names taken", taken, "web", "server1", nil},
		{"most names taken", taken, "web", "server1", &metrics.Options{Summary: true}},
		{"one name taken", some, "web", "server1", nil},
		{"a digit first", none, "1web", "", nil},
		{"a hyphen", none, "web", "server-1", nil},
		{"a colon", none, "web:", "", nil},
		{"no UTF-8", none, "\xff", "", nil},
		{"buckets that fall", none, "web", "", &metrics.Options{Buckets: []float64{2, 1}}},
		{"a bucket twice", none, "web", "", &metrics.Options{Buckets: []float64{1, 1}}},
		{"a bucket that is no number", none, "web", "", &metrics.Options{Buckets: []float64{math.NaN()}}},
	} {
		before := page(t, tt.reg)
		if _, err := metrics.New(tt.reg, tt.namespace, tt.subsystem, tt.opts); err == nil || !strings.HasPrefix(err.Error(), "metrics: ") {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if after := page(t, tt.reg); after != before {
			t.Errorf("%s: the registry has changed to\n%s", tt.name, after)
		}
	}
	if _, err := metrics.New(taken, "web", "server2", nil); err != nil {
		t.Errorf("a name that is free: %v", err)
	}
}

// Prometheus looks at /metrics; both forms answer, without a redirect, and nothing else does.
func TestHandlerPaths(t *testing.T) {
	reg, err := metrics.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	handler := metrics.Handler(reg, nil)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/metrics", 200},
		{"GET", "/metrics/", 200},
		{"HEAD", "/metrics", 200},
		{"POST", "/metrics", 405},
		{"GET", "/metrics/x", 404},
		{"GET", "/", 404},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.status)
		}
		if tt.status == 200 && tt.method == "GET" && !strings.Contains(w.Body.String(), "\ngo_goroutines ") {
			t.Errorf("%s: no metrics of the runtime", tt.path)
		}
	}
}

// What cannot be collected is an answer of 500 and a line in the log, not half a page.
func TestHandlerLogsFaults(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(failing{})
	var text bytes.Buffer
	w := httptest.NewRecorder()
	metrics.Handler(reg, slog.New(slog.NewTextHandler(&text, nil))).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(text.String(), "as intended") {
		t.Errorf("%d, logged %q", w.Code, &text)
	}
}

// failing is a collector that cannot collect.
type failing struct{}

func (failing) Describe(chan<- *prometheus.Desc) {}
func (failing) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errors.New("as intended")), errors.New("as intended"))
}

// At most four scrapes run at the same time; a fifth is told to come again.
func TestHandlerLimitsScrapes(t *testing.T) {
	slow := &slowGatherer{begun: make(chan struct{}), end: make(chan struct{})}
	handler := metrics.Handler(slow, nil)
	ended := make(chan int)
	for range 4 {
		go func() {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			ended <- w.Code
		}()
		<-slow.begun
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("the fifth scrape: %d, want 503", w.Code)
	}
	close(slow.end)
	for range 4 {
		if code := <-ended; code != http.StatusOK {
			t.Errorf("a slow scrape: %d", code)
		}
	}
}

// A slowGatherer gathers when it is told to.
type slowGatherer struct {
	begun, end chan struct{}
}

func (s *slowGatherer) Gather() ([]*dto.MetricFamily, error) {
	s.begun <- struct{}{}
	<-s.end
	return nil, nil
}

// A connection that a handler takes over is no longer the server's, and leaves the gauge at once:
// the server would not hear of its end.
func TestHijackedConnectionsLeaveTheGauge(t *testing.T) {
	reg := prometheus.NewRegistry()
	var connections httpmw.ConnGauge
	m := newMetrics(t, reg, &metrics.Options{Connections: &connections})
	release := make(chan struct{})
	handler := httpmw.Instrument(m, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "taken\n") // that it arrives is checked at the other end
		<-release
	}))
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = connections.ConnState
	server.Start()
	defer server.Close()
	for range 3 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") // answered or not, below
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "taken\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	want(t, page(t, reg), "web_server1_open_connections 0")
	if got := connections.Hijacked(); got != 3 {
		t.Errorf("%d connections were taken over, want 3", got)
	}
	close(release)
}
