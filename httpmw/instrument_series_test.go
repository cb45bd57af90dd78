package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// A randomRequest is what a client may send, and how it is to be labelled.
type randomRequest struct {
	method, host, path    string
	wantMethod, wantClass string
	wantPattern, wantHost string
}

// series returns the labels as metricsSample.series does.
func (r randomRequest) series() string {
	s := fmt.Sprintf("class=%q ", r.wantClass)
	if r.wantHost != "" {
		s += fmt.Sprintf("host=%q ", r.wantHost)
	}
	return s + fmt.Sprintf("method=%q pattern=%q ", r.wantMethod, r.wantPattern)
}

// randomServer has a route for every status, one for GET, and one that redirects.
func randomServer(t *testing.T, m *httpmw.Metrics) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(code)
	})
	mux.HandleFunc("GET /list", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/users/{id}/", func(http.ResponseWriter, *http.Request) {})
	return instrumentServer(t, httpmw.Instrument(m, &httpmw.InstrumentOptions{Hosts: []string{"Example.com", "[::1]"}})(mux))
}

func pick(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

// word returns a random word of at least one letter.
func word(r *rand.Rand) string {
	b := make([]byte, 1+r.IntN(12))
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[r.IntN(64)]
	}
	return string(b)
}

// randomize returns a request, which may be CONNECT if the client can send that to a path.
func randomize(r *rand.Rand, connect bool) randomRequest {
	var q randomRequest
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
	if connect {
		methods = append(methods, "CONNECT")
	}
	q.method = pick(r, methods...)
	q.wantMethod = q.method
	if r.IntN(3) == 0 {
		q.method, q.wantMethod = pick(r, "x", "get", "Get", "GETS", "PROPFIND")+word(r), "other"
	}
	switch r.IntN(4) {
	case 0:
		q.host, q.wantHost = pick(r, "example.com", "EXAMPLE.COM", "example.com:80", "example.com."), "example.com"
	case 1:
		q.host, q.wantHost = pick(r, "[::1]", "[::1]:"+strconv.Itoa(1+r.IntN(65535))), "::1"
	default:
		q.host = "x" + word(r) + pick(r, ".example.com", ".com", ":80", "")
	}
	switch r.IntN(4) {
	case 0:
		code := 200 + r.IntN(800)
		q.path, q.wantPattern = fmt.Sprint("/status/", code), "/status/{code}"
		q.wantClass = fmt.Sprint(code/100, "xx")
		if code >= 600 {
			q.wantClass = "other"
		}
	case 1:
		q.path, q.wantPattern, q.wantClass = "/list", "unmatched", "4xx"
		if q.method == "GET" || q.method == "HEAD" {
			q.wantPattern, q.wantClass = "GET /list", "2xx"
		}
	case 2:
		q.path, q.wantPattern, q.wantClass = "/users/"+word(r), "/users/{id}/", "3xx"
		if q.method == "CONNECT" {
			q.wantPattern = "unmatched"
		}
	default:
		q.path, q.wantPattern, q.wantClass = "/"+pick(r, "", "%0a", "%22", "%ff%5c", "x/")+"_"+word(r)+pick(r, "", "?a=b", "/x"), "unmatched", "4xx"
	}
	return q
}

// randomCheck compares all series and their counts.
func randomCheck(t *testing.T, m *httpmw.Metrics, want map[string]int) {
	t.Helper()
	got := make(map[string]int)
	for _, s := range metricsRead(t, m).samples {
		if s.name == "http_requests_total" {
			got[s.series()] = int(s.value)
		}
	}
	for series, n := range want {
		if got[series] != n {
			t.Errorf("%scounted %d, want %d", series, got[series], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d series, want %d", len(got), len(want))
	}
	t.Logf("%d series", len(got))
}

// randomCount is how many requests there are.
func randomCount() int {
	if raceDetector || testing.Short() {
		return 1000
	}
	return 10_000
}

// Whatever clients send, the number of series is that of the labels' closed sets.
func TestInstrumentSeriesAreBounded(t *testing.T) {
	m := new(httpmw.Metrics)
	conn := connect(t, "tcp", randomServer(t, m))
	br := bufio.NewReader(conn)
	r := rand.New(rand.NewPCG(1, 2))
	want := make(map[string]int)
	const batch = 100
	for range randomCount() / batch {
		var requests []randomRequest
		var text strings.Builder
		for range batch {
			q := randomize(r, true)
			requests = append(requests, q)
			want[q.series()]++
			fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", q.method, q.path, q.host)
		}
		if _, err := io.WriteString(conn, text.String()); err != nil {
			t.Fatal(err)
		}
		for _, q := range requests {
			resp, err := http.ReadResponse(br, &http.Request{Method: q.method})
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
		}
	}
	randomCheck(t, m, want)
}

func TestInstrumentSeriesAreBoundedHTTP2(t *testing.T) {
	m := new(httpmw.Metrics)
	addr := randomServer(t, m)
	client := instrumentClients(t)["HTTP/2"]
	r := rand.New(rand.NewPCG(3, 4))
	want := make(map[string]int)
	for range randomCount() {
		q := randomize(r, false)
		want[q.series()]++
		u, err := url.Parse("http://" + addr + q.path)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(&http.Request{Method: q.method, URL: u, Host: q.host})
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	randomCheck(t, m, want)
}
