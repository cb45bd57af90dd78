package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A result is what a run left.
type result struct {
	status         int
	stdout, stderr string
}

func runWith(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, &stdout, &stderr)
	return result{status, stdout.String(), stderr.String()}
}

// closedPort returns an address where nobody listens: its socket takes packets from its peer
// alone, and keeps others from being given the port.
func closedPort(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

func TestFound(t *testing.T) {
	address := closedPort(t)
	got := runWith(t.Context(), address)
	if runtime.GOOS != "linux" {
		if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, "unsupported") {
			t.Errorf("got %+v, want that this is not supported", got)
		}
		return
	}
	want := `^` + regexp.QuoteMeta(address) + `: packets of \d+ bytes, with \d+ bytes of data over UDP` + "\n$"
	if got.status != 0 || got.stderr != "" || !regexp.MustCompile(want).MatchString(got.stdout) {
		t.Errorf("got %+v, want output like %s", got, want)
	}
}

// Each failure is one line, whatever is in the name that it tells.
func TestFailures(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is nothing else to fail than in TestFound")
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0") // and nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		args []string
		want string
	}{
		{"silence", t.Context(), []string{"-W", "1ms", silent.LocalAddr().String()}, "does not answer"},
		{"a signal", ended, []string{silent.LocalAddr().String()}, "context canceled"},
		{"a name that is none", t.Context(), []string{"a\nb"}, `a\nb`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runWith(tt.ctx, tt.args...)
			if got.status != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("got %+v, want status 1 and a line with %q", got, tt.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		status int
		want   string // the first line of stderr
	}{
		{[]string{"-h"}, 0, "usage: pathmtu [flags] HOST[:PORT]"},
		{nil, 2, "pathmtu: one HOST or HOST:PORT is required, behind the flags"},
		{[]string{"a", "b"}, 2, "pathmtu: one HOST or HOST:PORT is required, behind the flags"},
		{[]string{""}, 2, "pathmtu: one HOST or HOST:PORT is required, behind the flags"},
		{[]string{"-W", "0s", "a"}, 2, "pathmtu: -W must be positive"},
		{[]string{"-W", "x\ny", "a"}, 2, `pathmtu: invalid value "x\ny" for flag -W: parse error`},
		{[]string{"-x", "a"}, 2, "pathmtu: flag provided but not defined: -x"},
		{[]string{"127.0.0.1:"}, 2, "pathmtu: 127.0.0.1: is no host with the name or number of a UDP port"},
		{[]string{"127.0.0.1:0"}, 2, "pathmtu: 127.0.0.1:0 is no host with the name or number of a UDP port"},
		{[]string{":9"}, 2, "pathmtu: :9 is no host with the name or number of a UDP port"},
		{[]string{"127.0.0.1:65536"}, 2, "pathmtu: 127.0.0.1:65536 is no host with the name or number of a UDP port"},
		{[]string{"a:b:c"}, 2, "pathmtu: address a:b:c: too many colons in address"},
	} {
		got := runWith(t.Context(), tt.args...)
		first, rest, _ := strings.Cut(got.stderr, "\n")
		if got.status != tt.status || got.stdout != "" || first != tt.want || !strings.Contains(first+rest, "usage: pathmtu") {
			t.Errorf("%q: got %+v, want status %d and %q", tt.args, got, tt.status, tt.want)
		}
	}
}

func TestWithPort(t *testing.T) {
	for s, want := range map[string]string{
		"127.0.0.1":        "127.0.0.1:33434",
		"127.0.0.1:9":      "127.0.0.1:9",
		"www.example.":     "www.example.:33434",
		"www.example.:9":   "www.example.:9",
		"::1":              "[::1]:33434",
		"[::1]":            "[::1]:33434",
		"[::1]:9":          "[::1]:9",
		"fe80::1%lo":       "[fe80::1%lo]:33434",
		"[fe80::1%lo]:9":   "[fe80::1%lo]:9",
		"::ffff:192.0.2.1": "[::ffff:192.0.2.1]:33434",
	} {
		if got, err := withPort(s); got != want || err != nil {
			t.Errorf("withPort(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
}

// What cannot be written was not told, and that is a failure.
func TestOutputThatFails(t *testing.T) {
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{closedPort(t)}, broken{}, &stderr); status != 1 || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("status %d, stderr %q, want 1 and a line", status, &stderr)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

// The wait that was asked for is the one that is used.
func TestWait(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing waits")
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	begin := time.Now()
	got := runWith(t.Context(), "-W", "20ms", silent.LocalAddr().String())
	if took := time.Since(begin); got.status != 1 || took < 60*time.Millisecond {
		t.Errorf("got %+v after %v, want three waits of 20ms", got, took)
	}
}
