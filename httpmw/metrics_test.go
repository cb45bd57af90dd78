package httpmw_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/leak"
)

// metricsGet returns the text of the metrics.
func metricsGet(t *testing.T, m *httpmw.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d, want 200", w.Code)
	}
	return w.Body.String()
}

// What is counted without a label is there before anything has happened; the book's
// counter of write errors is not.
func TestMetricsWithoutRequests(t *testing.T) {
	const want = `# HELP http_requests_total Requests that have ended.
# TYPE http_requests_total counter
# HELP http_request_duration_seconds How long the handlers of requests ran.
# TYPE http_request_duration_seconds histogram
# HELP http_response_bytes_total Bytes of the bodies of responses.
# TYPE http_response_bytes_total counter
# HELP http_write_errors_total Requests with a write of the response that failed.
# TYPE http_write_errors_total counter
http_write_errors_total 0
# HELP http_panics_total Requests whose handler panicked.
# TYPE http_panics_total counter
http_panics_total 0
# HELP http_requests_in_flight Requests whose handler runs.
# TYPE http_requests_in_flight gauge
http_requests_in_flight 0
`
	if got := metricsGet(t, new(httpmw.Metrics)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The whole text, in its order and with the escapes.
func TestMetricsText(t *testing.T) {
	m := &httpmw.Metrics{Namespace: "web", Subsystem: "server1", Buckets: []float64{1e-7, 0.5, 2, math.Inf(1)}, Connections: new(httpmw.ConnGauge)}
	for _, o := range []httpmw.Observation{
		{Method: "POST", Class: "2xx", Pattern: "/b", Duration: time.Second / 2, Bytes: 10},
		{Method: "POST", Class: "2xx", Pattern: "/b", Duration: time.Second + time.Second/4, Bytes: 1, WriteErr: errors.New("as intended")},
		{Method: "GET", Class: "5xx", Pattern: "/b", Duration: time.Hour, Panicked: true},
		{Method: "GET", Class: "2xx", Pattern: "/b", Duration: 100, Host: "example.com"},
		{Method: "GET", Class: "2xx", Pattern: "/a\"\\\n\t\xff{é}", Duration: -5, Bytes: -5},
	} {
		m.Begin()
		m.End(o)
	}
	m.Begin()
	m.Connections.ConnState(nil, http.StateNew)
	const want = `# HELP web_server1_requests_total Requests that have ended.
# TYPE web_server1_requests_total counter
web_server1_requests_total{method="GET",class="2xx",pattern="/a\"\\\n	�{é}"} 1
web_server1_requests_total{method="GET",class="5xx",pattern="/b"} 1
web_server1_requests_total{method="POST",class="2xx",pattern="/b"} 2
web_server1_requests_total{method="GET",class="2xx",pattern="/b",host="example.com"} 1
# HELP web_server1_request_duration_seconds How long the handlers of requests ran.
# TYPE web_server1_request_duration_seconds histogram
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/a\"\\\n	�{é}",le="1e-07"} 1
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/a\"\\\n	�{é}",le="0.5"} 1
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/a\"\\\n	�{é}",le="2"} 1
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/a\"\\\n	�{é}",le="+Inf"} 1
web_server1_request_duration_seconds_sum{method="GET",class="2xx",pattern="/a\"\\\n	�{é}"} 0
web_server1_request_duration_seconds_count{method="GET",class="2xx",pattern="/a\"\\\n	�{é}"} 1
web_server1_request_duration_seconds_bucket{method="GET",class="5xx",pattern="/b",le="1e-07"} 0
web_server1_request_duration_seconds_bucket{method="GET",class="5xx",pattern="/b",le="0.5"} 0
web_server1_request_duration_seconds_bucket{method="GET",class="5xx",pattern="/b",le="2"} 0
web_server1_request_duration_seconds_bucket{method="GET",class="5xx",pattern="/b",le="+Inf"} 1
web_server1_request_duration_seconds_sum{method="GET",class="5xx",pattern="/b"} 3600
web_server1_request_duration_seconds_count{method="GET",class="5xx",pattern="/b"} 1
web_server1_request_duration_seconds_bucket{method="POST",class="2xx",pattern="/b",le="1e-07"} 0
web_server1_request_duration_seconds_bucket{method="POST",class="2xx",pattern="/b",le="0.5"} 1
web_server1_request_duration_seconds_bucket{method="POST",class="2xx",pattern="/b",le="2"} 2
web_server1_request_duration_seconds_bucket{method="POST",class="2xx",pattern="/b",le="+Inf"} 2
web_server1_request_duration_seconds_sum{method="POST",class="2xx",pattern="/b"} 1.75
web_server1_request_duration_seconds_count{method="POST",class="2xx",pattern="/b"} 2
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/b",host="example.com",le="1e-07"} 1
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/b",host="example.com",le="0.5"} 1
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/b",host="example.com",le="2"} 1
web_server1_request_duration_seconds_bucket{method="GET",class="2xx",pattern="/b",host="example.com",le="+Inf"} 1
web_server1_request_duration_seconds_sum{method="GET",class="2xx",pattern="/b",host="example.com"} 1e-07
web_server1_request_duration_seconds_count{method="GET",class="2xx",pattern="/b",host="example.com"} 1
# HELP web_server1_response_bytes_total Bytes of the bodies of responses.
# TYPE web_server1_response_bytes_total counter
web_server1_response_bytes_total{method="GET",class="2xx",pattern="/a\"\\\n	�{é}"} 0
web_server1_response_bytes_total{method="GET",class="5xx",pattern="/b"} 0
web_server1_response_bytes_total{method="POST",class="2xx",pattern="/b"} 11
web_server1_response_bytes_total{method="GET",class="2xx",pattern="/b",host="example.com"} 0
# HELP web_server1_write_errors_total Requests with a write of the response that failed.
# TYPE web_server1_write_errors_total counter
web_server1_write_errors_total 1
# HELP web_server1_panics_total Requests whose handler panicked.
# TYPE web_server1_panics_total counter
web_server1_panics_total 1
# HELP web_server1_requests_in_flight Requests whose handler runs.
# TYPE web_server1_requests_in_flight gauge
web_server1_requests_in_flight 1
# HELP web_server1_open_connections Connections that the server has.
# TYPE web_server1_open_connections gauge
web_server1_open_connections 1
# HELP web_server1_hijacked_connections_total Connections that handlers have taken.
# TYPE web_server1_hijacked_connections_total counter
web_server1_hijacked_connections_total 0
`
	got := metricsGet(t, m)
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	metricsParse(t, got)
}

// The bounds of the book, each of which holds the duration that is as long as it is.
func TestMetricsBucketsOfTheBook(t *testing.T) {
	m := new(httpmw.Metrics)
	bounds := []struct {
		le string
		d  time.Duration
	}{
		{"1e-07", 100},
		{"2e-07", 200},
		{"3e-07", 300},
		{"4e-07", 400},
		{"5e-07", 500},
		{"1e-06", 1000},
		{"2.5e-06", 2500},
		{"5e-06", 5000},
		{"7.5e-06", 7500},
		{"1e-05", 10_000},
		{"0.0001", 100_000},
		{"0.001", time.Millisecond},
		{"0.01", 10 * time.Millisecond},
	}
	for _, b := range bounds {
		m.Begin()
		m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "/", Duration: b.d})
		m.Begin()
		m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "/", Duration: b.d + 1})
	}
	var buckets []metricsSample
	for _, s := range metricsRead(t, m).samples {
		if s.name == "http_request_duration_seconds_bucket" {
			buckets = append(buckets, s)
		}
	}
	if len(buckets) != 14 {
		t.Fatalf("there are %d buckets, want 14", len(buckets))
	}
	for i, b := range bounds {
		if s := buckets[i]; s.labels["le"] != b.le || s.value != float64(2*i+1) {
			t.Errorf("bucket %q = %v, want %q = %d", s.labels["le"], s.value, b.le, 2*i+1)
		}
	}
	if s := buckets[13]; s.labels["le"] != "+Inf" || s.value != 26 {
		t.Errorf("the last bucket is %q = %v, want +Inf = 26", s.labels["le"], s.value)
	}
}

func TestMetricsBuckets(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		buckets []float64
		want    string // the bounds, or what the panic says
	}{
		{[]float64{}, "+Inf"},
		{[]float64{inf}, "+Inf"},
		{[]float64{-1, 0, 1e21}, "-1 0 1e+21 +Inf"},
		{[]float64{0.005, 0.01, inf}, "0.005 0.01 +Inf"},
		{[]float64{1, 1}, "panic: httpmw: the Buckets [1 1] are not rising numbers: see 1"},
		{[]float64{2, 1}, "panic: httpmw: the Buckets [2 1] are not rising numbers: see 1"},
		{[]float64{1, nan}, "panic: httpmw: the Buckets [1 NaN] are not rising numbers: see NaN"},
		{[]float64{nan}, "panic: httpmw: the Buckets [NaN] are not rising numbers: see NaN"},
		{[]float64{-inf, 1}, "panic: httpmw: the Buckets [-Inf 1] are not rising numbers: see -Inf"},
		{[]float64{1, inf, inf}, "panic: httpmw: the Buckets [1 +Inf +Inf] are not rising numbers: see +Inf"},
	} {
		m := &httpmw.Metrics{Buckets: tt.buckets}
		if got := metricsBounds(t, m); got != tt.want {
			t.Errorf("Buckets %v: got %q, want %q", tt.buckets, got, tt.want)
		}
		if strings.HasPrefix(tt.want, "panic") && metricsBounds(t, m) != tt.want {
			t.Errorf("Buckets %v: the second use does not panic", tt.buckets)
		}
	}
}

// metricsBounds returns the bounds of the buckets, or what the first use panics with.
func metricsBounds(t *testing.T, m *httpmw.Metrics) (bounds string) {
	defer func() {
		if v := recover(); v != nil {
			bounds = fmt.Sprint("panic: ", v)
		}
	}()
	m.Begin()
	m.End(httpmw.Observation{})
	var list []string
	for _, s := range metricsRead(t, m).samples {
		if le, ok := s.labels["le"]; ok {
			list = append(list, le)
		}
	}
	return strings.Join(list, " ")
}

// A slice of bounds that changes after the first use changes nothing.
func TestMetricsKeepsItsBuckets(t *testing.T) {
	buckets := []float64{1, 2}
	m := &httpmw.Metrics{Buckets: buckets}
	m.Begin()
	buckets[0] = 7
	m.End(httpmw.Observation{Duration: 5 * time.Second})
	if got := metricsBounds(t, m); got != "1 2 +Inf" {
		t.Errorf("the bounds are %s, want 1 2 +Inf", got)
	}
}

func TestMetricsNames(t *testing.T) {
	for _, tt := range []struct{ namespace, subsystem, want string }{
		{"", "", "http_requests_total"},
		{"web", "", "web_requests_total"},
		{"", "server1", "server1_requests_total"},
		{"web", "server1", "web_server1_requests_total"},
		{"web", "1", "web_1_requests_total"},
		{"_", "", "__requests_total"},
		{"1web", "", "panic"},
		{"", "1", "panic"},
		{"web-1", "", "panic"},
		{"web", "a.b", "panic"},
		{"web:a", "", "panic"},
		{"wéb", "", "panic"},
		{"web\n", "", "panic"},
		{"we b", "", "panic"},
	} {
		m := &httpmw.Metrics{Namespace: tt.namespace, Subsystem: tt.subsystem}
		for _, use := range []func(){
			m.Begin,
			func() { m.End(httpmw.Observation{}) },
			func() { metricsGet(t, m) },
		} {
			func() {
				defer func() {
					v := recover()
					if text, _ := v.(string); (v != nil) != (tt.want == "panic") || v != nil && !strings.HasPrefix(text, "httpmw: ") {
						t.Errorf("%q and %q: panic with %v, want %s", tt.namespace, tt.subsystem, v, tt.want)
					}
				}()
				use()
			}()
		}
		if tt.want != "panic" && !strings.Contains(metricsGet(t, m), "# TYPE "+tt.want+" counter\n") {
			t.Errorf("%q and %q: there is no %s", tt.namespace, tt.subsystem, tt.want)
		}
	}
}

// Metrics answers GET and HEAD, at either path, and does not look at what it is mounted on.
func TestMetricsMounted(t *testing.T) {
	m := new(httpmw.Metrics)
	mux := http.NewServeMux()
	mux.Handle("/metrics", m)
	mux.Handle("/metrics/", m)
	const contentType = "text/plain; version=0.0.4; charset=utf-8"
	addr := instrumentServer(t, mux)
	for protocol, client := range instrumentClients(t) {
		for _, path := range []string{"/metrics", "/metrics/"} {
			for _, tt := range []struct {
				method string
				status int
				body   bool
			}{{"GET", 200, true}, {"HEAD", 200, false}, {"POST", 405, false}, {"OPTIONS", 405, false}} {
				req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+addr+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				var text strings.Builder
				err = resp.Write(&text)
				resp.Body.Close()
				if err != nil || resp.StatusCode != tt.status || strings.Contains(text.String(), "http_panics_total 0") != tt.body {
					t.Errorf("%s %s %s: error %v, want status %d, body %v:\n%s", protocol, tt.method, path, err, tt.status, tt.body, &text)
				}
				if got := resp.Header.Get("Allow"); (got == "GET, HEAD") != (tt.status == 405) {
					t.Errorf("%s %s %s: Allow: %s", protocol, tt.method, path, got)
				}
				if got := resp.Header.Get("Content-Type"); (got == contentType) != (tt.status == 200) {
					t.Errorf("%s %s %s: Content-Type: %s", protocol, tt.method, path, got)
				}
			}
		}
	}
}

// A HEAD request makes no text that would only be thrown away.
func TestMetricsHeadWritesNothing(t *testing.T) {
	w := httptest.NewRecorder()
	new(httpmw.Metrics).ServeHTTP(w, httptest.NewRequest("HEAD", "/metrics", nil))
	if w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("status %d and %d bytes, want 200 and none", w.Code, w.Body.Len())
	}
}

// Sums are exact however many durations there are, and longer than a time.Duration can be.
func TestMetricsSums(t *testing.T) {
	m := new(httpmw.Metrics)
	for range 100_000 {
		m.End(httpmw.Observation{Duration: 1})
	}
	if got := metricsRead(t, m).value(t, "http_request_duration_seconds_sum"); got != 1e-4 {
		t.Errorf("100,000 nanoseconds are %v s, want 0.0001 s", got)
	}
	for range 4 {
		m.End(httpmw.Observation{Duration: math.MaxInt64})
	}
	if got, want := metricsRead(t, m).value(t, "http_request_duration_seconds_sum"), 4*float64(math.MaxInt64)/1e9; math.Abs(got-want) > 1e-3 {
		t.Errorf("the sum of long durations is %v s, want %v s", got, want)
	}
}

// While requests go on, each exposition agrees with itself, which metricsRead checks.
func TestMetricsAgreeWhileRequestsGoOn(t *testing.T) {
	m := new(httpmw.Metrics)
	var wg sync.WaitGroup
	const each = 20_000
	for i := range 3 {
		wg.Go(func() {
			for j := range each {
				m.Begin()
				m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: fmt.Sprint(i, j%3), Duration: time.Duration(j), Bytes: 2})
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for n := 0; ; n++ {
		metricsRead(t, m)
		select {
		case <-done:
			x := metricsRead(t, m)
			for name, want := range map[string]float64{
				"http_requests_total":       3 * each,
				"http_response_bytes_total": 6 * each,
				"http_requests_in_flight":   0,
			} {
				if got := x.value(t, name); got != want {
					t.Errorf("%s = %v, want %v", name, got, want)
				}
			}
			if n == 0 {
				t.Error("there was no exposition while requests went on")
			}
			return
		default:
		}
	}
}

// A program whose patterns have no end does not eat memory: what is too much is counted, but
// not apart.
func TestMetricsSeriesHaveALimit(t *testing.T) {
	m := &httpmw.Metrics{Buckets: []float64{}} // so that there are fewer lines
	end := func(pattern string) {
		m.Begin()
		m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: pattern, Host: "example.com"})
	}
	for i := range 12_000 {
		end(fmt.Sprint("/", i))
	}
	end("/0") // one that was before the limit
	end(strings.Repeat("a", 1024))
	x := metricsRead(t, m)
	counts := make(map[string]float64)
	for _, s := range x.samples {
		if s.name == "http_requests_total" {
			counts[s.series()] = s.value
		}
	}
	rest := `class="other" method="other" pattern="other" `
	if len(counts) != 10_000 || counts[rest] != 12_001-9_999 {
		t.Errorf("%d series, %v requests in the last, want 10000 and %d", len(counts), counts[rest], 12_001-9_999)
	}
	if got := counts[`class="2xx" host="example.com" method="GET" pattern="/0" `]; got != 2 {
		t.Errorf("the first series has %v requests, want 2", got)
	}
	if got := x.value(t, "http_requests_total"); got != 12_002 {
		t.Errorf("http_requests_total = %v in all, want 12002", got)
	}
}

// A label that is a piece of a request does not keep the request in memory.
func TestMetricsKeepNoRequests(t *testing.T) {
	m := new(httpmw.Metrics)
	before, _ := leak.InUse()
	for i := range 64 {
		uri := strings.Repeat(fmt.Sprint(i%10), 1<<20)
		m.End(httpmw.Observation{Method: uri[:i+1], Class: uri[:1], Pattern: uri[:1], Host: uri[:1]})
	}
	if after, _ := leak.InUse(); after-before > 8<<20 {
		t.Errorf("64 series keep %d KiB", (after-before)>>10)
	}
	if got := metricsRead(t, m).value(t, "http_requests_total"); got != 64 {
		t.Errorf("http_requests_total = %v, want 64", got)
	}
}

// A label may be long, but not of any length.
func TestMetricsLabelsHaveALimit(t *testing.T) {
	m := new(httpmw.Metrics)
	for _, n := range []int{1024, 1025, 1 << 20} {
		m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: strings.Repeat("a", n)})
	}
	counts := make(map[string]float64)
	for _, s := range metricsRead(t, m).samples {
		if s.name == "http_requests_total" {
			counts[s.labels["pattern"]] = s.value
		}
	}
	if len(counts) != 2 || counts[strings.Repeat("a", 1024)] != 1 || counts["other"] != 2 {
		t.Errorf("got %v, want one pattern of 1024 bytes, and 2 others", counts)
	}
}
