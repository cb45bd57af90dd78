package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/netparts/netparts/httpmw"
)

// A slowCounter counts the requests that took a second or more, and those that failed.
type slowCounter struct{ slow, failed atomic.Int64 }

func (c *slowCounter) Begin() {}

func (c *slowCounter) End(o httpmw.Observation) {
	if o.Duration.Seconds() >= 1 {
		c.slow.Add(1)
	}
	if o.Class == "5xx" || o.Panicked {
		c.failed.Add(1)
	}
	fmt.Println(o.Method, o.Pattern, o.Class, o.Bytes, "bytes")
}

// An Observer of one's own counts whatever matters, or passes it on to another platform than
// Prometheus.
func ExampleInstrument() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %q!", r.PathValue("name"))
	})
	var counter slowCounter
	server := httptest.NewServer(httpmw.Instrument(&counter, nil)(mux))
	defer server.Close()

	for _, path := range []string{"/hello/gopher", "/missing"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
	}
	fmt.Println(counter.slow.Load(), "slow,", counter.failed.Load(), "failed")
	// Output:
	// GET GET /hello/{name} 2xx 16 bytes
	// GET unmatched 4xx 19 bytes
	// 0 slow, 0 failed
}

// Metrics counts the requests to a mux, and stands in the same mux for Prometheus to read.
// Prometheus asks for /metrics unless told otherwise. Who may read it is for the operator to
// say: a server of its own, on an address that is not public, is the usual way.
func ExampleMetrics() {
	metrics := &httpmw.Metrics{Namespace: "web", Subsystem: "server1"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Hello!") })
	mux.Handle("/metrics", metrics)
	server := httptest.NewServer(httpmw.Instrument(metrics, nil)(mux))
	defer server.Close()

	for _, path := range []string{"/", "/", "/missing"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
	}
	resp, err := http.Get(server.URL + "/metrics")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "web_server1_requests_") {
			fmt.Println(lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// web_server1_requests_total{method="GET",class="2xx",pattern="GET /{$}"} 2
	// web_server1_requests_total{method="GET",class="4xx",pattern="unmatched"} 1
	// web_server1_requests_in_flight 1
}

// A ConnGauge counts the connections of a server. If something else listens to the server's
// ConnState too, one function calls both.
func ExampleConnGauge() {
	var gauge httpmw.ConnGauge
	closed := make(chan struct{}, 1)
	server := &http.Server{
		Handler: http.NotFoundHandler(),
		ConnState: func(conn net.Conn, state http.ConnState) {
			gauge.ConnState(conn, state)
			if state == http.StateClosed {
				select {
				case closed <- struct{}{}:
				default: // nobody waits
				}
			}
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(l)
	defer server.Close()

	client := &http.Client{Transport: new(http.Transport)}
	resp, err := client.Get("http://" + l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		log.Fatal(err)
	}
	fmt.Println("open:", gauge.Open())

	client.CloseIdleConnections()
	<-closed
	fmt.Println("open:", gauge.Open())
	// Output:
	// open: 1
	// open: 0
}
