package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
)

// limit is how long a test waits for what must happen.
const limit = 30 * time.Second

// local are the flags that let a test run beside others.
var local = []string{"-web", "127.0.0.1:0", "-metrics", "127.0.0.1:0"}

// lines runs the program, checks that it ends well, and returns what it prints.
func lines(t *testing.T, args ...string) []string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), append(local, args...), &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q, stdout %q", status, &stderr, &stdout)
	}
	return strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
}

// masked returns lines without what varies.
func masked(all []string) string {
	var b strings.Builder
	for _, line := range all {
		switch name, _, _ := strings.Cut(line, " "); {
		case strings.HasPrefix(line, "listening on http://127.0.0.1:"):
			line = "listening"
		case strings.Contains(name, "_bucket") && !strings.Contains(name, "+Inf"), strings.HasSuffix(name, "_sum"):
			line = name
		}
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// The totals that the clients have reason to expect: as many connections as clients while they
// keep them, none afterwards, and each request once.
func TestDemonstration(t *testing.T) {
	const want = `listening
listening
10 clients send 20 requests each
web_server1_open_connections 10
web_server1_request_count 200
web_server1_request_duration_histogram_seconds_bucket{le="1e-07"}
web_server1_request_duration_histogram_seconds_bucket{le="2e-07"}
web_server1_request_duration_histogram_seconds_bucket{le="3e-07"}
web_server1_request_duration_histogram_seconds_bucket{le="4e-07"}
web_server1_request_duration_histogram_seconds_bucket{le="5e-07"}
web_server1_request_duration_histogram_seconds_bucket{le="1e-06"}
web_server1_request_duration_histogram_seconds_bucket{le="2.5e-06"}
web_server1_request_duration_histogram_seconds_bucket{le="5e-06"}
web_server1_request_duration_histogram_seconds_bucket{le="7.5e-06"}
web_server1_request_duration_histogram_seconds_bucket{le="1e-05"}
web_server1_request_duration_histogram_seconds_bucket{le="0.0001"}
web_server1_request_duration_histogram_seconds_bucket{le="0.001"}
web_server1_request_duration_histogram_seconds_bucket{le="0.01"}
web_server1_request_duration_histogram_seconds_bucket{le="+Inf"} 200
web_server1_request_duration_histogram_seconds_sum
web_server1_request_duration_histogram_seconds_count 200
web_server1_write_errors_count 0
the clients have closed their connections
web_server1_open_connections 0
`
	if got := masked(lines(t, "-clients", "10", "-requests", "20")); got != want {
		t.Errorf("the program prints\n%s\nwant\n%s", got, want)
	}
}

// The flags name the metrics: they are made after the flags are read.
func TestNamesFromFlags(t *testing.T) {
	got := masked(lines(t, "-clients", "2", "-requests", "3", "-namespace", "shop", "-subsystem", "", "-summary", "-latency", "1ms"))
	const want = `listening
listening
2 clients send 3 requests each
shop_open_connections 2
shop_request_count 6
shop_request_duration_summary_seconds_sum
shop_request_duration_summary_seconds_count 6
shop_write_errors_count 0
the clients have closed their connections
shop_open_connections 0
`
	if got != want {
		t.Errorf("the program prints\n%s\nwant\n%s", got, want)
	}
}

// A prefix that the metrics of the runtime have as well brings none of those.
func TestNamesLikeThoseOfTheRuntime(t *testing.T) {
	for _, namespace := range []string{"", "go"} {
		prefix := strings.TrimPrefix(namespace+"_", "_")
		for _, line := range lines(t, "-clients", "1", "-requests", "1", "-namespace", namespace, "-subsystem", "")[3:] {
			rest, ok := strings.CutPrefix(line, prefix)
			if ok && slices.ContainsFunc([]string{"open_connections ", "request_", "write_errors_count "}, func(name string) bool {
				return strings.HasPrefix(rest, name)
			}) || line == "the clients have closed their connections" {
				continue
			}
			t.Errorf("namespace %q: the program prints %q", namespace, line)
		}
	}
}

// All five hundred clients, each with a connection of its own.
func TestFiveHundredClients(t *testing.T) {
	requests := 100
	if raceEnabled {
		requests = 4 // the detector makes a request take ten times as long
	}
	got := masked(lines(t, "-requests", fmt.Sprint(requests)))
	for _, want := range []string{
		"\nweb_server1_open_connections 500\n",
		fmt.Sprintf("\nweb_server1_request_count %d\n", 500*requests),
		"\nweb_server1_open_connections 0\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// With -latency answers take time, by chance up to the longest.
func TestLatency(t *testing.T) {
	start := time.Now()
	lines(t, "-clients", "1", "-requests", "100", "-latency", "2ms")
	if took := time.Since(start); took < 20*time.Millisecond { // 100 ms on average
		t.Errorf("100 requests took %v", took)
	}
}

// With -serve the servers answer until a signal comes, both of them.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	stderr := new(daemon.Output)
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append(local, "-clients", "1", "-requests", "1", "-serve"), w, stderr)
		w.Close()
	}()
	var urls []string
	out := bufio.NewScanner(r)
	for out.Scan() && out.Text() != "serving until a signal comes" {
		if url, ok := strings.CutPrefix(out.Text(), "listening on "); ok {
			urls = append(urls, url)
		}
	}
	if len(urls) != 2 {
		t.Fatalf("listening on %q, stderr %q", urls, stderr)
	}
	client := &http.Client{Timeout: limit}
	defer client.CloseIdleConnections()
	if err := greet(ctx, client, urls[0]); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/metrics", "/metrics/"} {
		page, err := get(ctx, client, urls[1]+path, pageLimit)
		if err != nil || !bytes.Contains(page, []byte("\nweb_server1_request_count 2\n")) || !bytes.Contains(page, []byte("\ngo_goroutines ")) {
			t.Errorf("%s: %v\n%s", path, err, page)
		}
	}
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d, stderr %q", status, stderr)
	}
}

// fails runs the program and checks its exit status, and the first line of what it says.
func fails(t *testing.T, ctx context.Context, status int, want string, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	if got := run(ctx, args, io.Discard, &stderr); got != status {
		t.Errorf("%q: exit status %d, want %d", args, got, status)
	}
	line, rest, _ := strings.Cut(stderr.String(), "\n")
	if !strings.HasPrefix(line, "observability: ") || !strings.Contains(line, want) {
		t.Errorf("%q: %q, want %q", args, line, want)
	}
	if (status == 2) != strings.HasPrefix(rest, "Usage: ") || status == 1 && rest != "" {
		t.Errorf("%q: besides %q", args, rest)
	}
}

func TestMisuse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-unknown"}, "-unknown"},
		{[]string{"more"}, `unexpected argument "more"`},
		{[]string{"-clients", "0"}, "-clients must be"},
		{[]string{"-clients", "10001"}, "-clients must be"},
		{[]string{"-requests", "0"}, "-requests must be"},
		{[]string{"-latency", "-1s"}, "-latency must be"},
		{[]string{"-namespace", "1web"}, `the namespace "1web"`},
		{[]string{"-subsystem", "server-1"}, `the subsystem "server-1"`},
	} {
		fails(t, t.Context(), 2, tt.want, tt.args...)
	}
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, io.Discard, &stderr); status != 0 || !strings.HasPrefix(stderr.String(), "Usage: ") {
		t.Errorf("-h: exit status %d, %q", status, &stderr)
	}
}

func TestFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	fails(t, t.Context(), 1, "address already in use", "-web", taken, "-metrics", "127.0.0.1:0")
	fails(t, t.Context(), 1, "address already in use", "-web", "127.0.0.1:0", "-metrics", taken)
	// A signal before the totals.
	ctx, stop := context.WithCancel(t.Context())
	stop()
	fails(t, ctx, 1, "not all requests were sent", local...)
}

// Too few open files are told before there is half a demonstration.
func TestTooFewFiles(t *testing.T) {
	c := config{clients: 500}
	for limit, enough := range map[uint64]bool{1019: false, 1020: true, 1024: true, math.MaxUint64: true} {
		err := c.checkFiles(limit)
		if (err == nil) != enough {
			t.Errorf("with a limit of %d: %v", limit, err)
		}
		if err != nil && !strings.Contains(err.Error(), "500 clients need 1020 open files, and the limit is 1019") {
			t.Errorf("the error is %v", err)
		}
	}
}
