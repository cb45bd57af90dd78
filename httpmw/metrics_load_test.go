package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// The book's demonstration (listings 13-24 to 13-30): 500 clients with a connection each make
// 100 requests each, and the metrics say so. Then the clients close their connections.
//
// The clients are connections alone, since an http.Client costs most of the time. They are
// in a bubble, in which it is known when the server has seen them close.
func TestMetricsUnderTheLoadOfTheBook(t *testing.T) {
	clients, requests := 500, 100
	if raceDetector || testing.Short() {
		clients, requests = 50, 20
	}
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		metrics := &httpmw.Metrics{Namespace: "web", Subsystem: "server1", Connections: new(httpmw.ConnGauge)}
		addr := loadServe(t, &network, metrics)
		conns := make([]net.Conn, clients)
		var wg sync.WaitGroup
		for i := range conns {
			conn, err := network.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			conns[i] = conn
			wg.Go(func() {
				if err := loadRequests(conn, requests); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		loadCheck(t, metrics, clients, clients*requests)
		for _, conn := range conns {
			conn.Close()
		}
		synctest.Wait()
		loadCheck(t, metrics, 0, clients*requests)
	})
}

// loadRequests makes so many requests on a connection, each after the response to the last.
func loadRequests(conn net.Conn, requests int) error {
	in := bufio.NewReader(conn)
	for range requests {
		if _, err := io.WriteString(conn, get); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != "Hello!" || resp.Close {
			return fmt.Errorf("%s %q, %v, closed %t", resp.Status, body, err, resp.Close)
		}
	}
	return nil
}

// loadCheck compares what the metrics say with listing 13-30.
func loadCheck(t *testing.T, m *httpmw.Metrics, connections, requests int) {
	t.Helper()
	x := metricsRead(t, m)
	for name, want := range map[string]int{
		"web_server1_open_connections":               connections,
		"web_server1_hijacked_connections_total":     0,
		"web_server1_requests_total":                 requests,
		"web_server1_request_duration_seconds_count": requests, // and so le="+Inf"
		"web_server1_response_bytes_total":           requests * len("Hello!"),
		"web_server1_requests_in_flight":             0,
		"web_server1_write_errors_total":             0,
	} {
		if got := x.value(t, name); got != float64(want) {
			t.Errorf("%s = %v, want %d", name, got, want)
		}
	}
	buckets := 0
	for _, s := range x.samples {
		if s.name == "web_server1_request_duration_seconds_bucket" {
			buckets++
		}
	}
	if buckets != 14 {
		t.Errorf("there are %d buckets, want 14", buckets)
	}
}

// loadServe serves the book's handler in memory until the test ends, and returns the address.
func loadServe(t *testing.T, network *memnet.Network, metrics *httpmw.Metrics) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Hello!") })
	server := &http.Server{
		Handler:           httpmw.Instrument(metrics, nil)(mux),
		ConnState:         metrics.Connections.ConnState,
		IdleTimeout:       time.Minute,
		ReadHeaderTimeout: 30 * time.Second,
	}
	l, err := network.Listen("tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
