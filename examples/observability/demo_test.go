package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The gauge is waited for until it has fallen, and no longer than the grace.
func TestGaugeEmpties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{changed: make(chan struct{}, 1)}
		var conn net.Conn
		for range 3 {
			g.ConnState(conn, http.StateNew)
		}
		go func() {
			for range 3 {
				time.Sleep(3 * time.Second)
				g.ConnState(conn, http.StateClosed)
			}
		}()
		start := time.Now()
		if err := g.empty(t.Context()); err != nil || time.Since(start) != 9*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}

		g.ConnState(conn, http.StateNew) // for ever
		start = time.Now()
		err := g.empty(t.Context())
		if err == nil || !strings.Contains(err.Error(), "1 connections are still open") || time.Since(start) != grace {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start = time.Now()
		if err := g.empty(ctx); err == nil || time.Since(start) > 0 {
			t.Errorf("after a signal and %v: %v", time.Since(start), err)
		}
	})
}

// Metrics that are not what was sent fail the demonstration, before and after the clients
// have closed their connections.
func TestWrongTotalsFail(t *testing.T) {
	web := httptest.NewServer(greeting(0))
	defer web.Close()
	closed := strings.Replace(goodPage, "open_connections 2", "open_connections 0", 1)
	for _, tt := range []struct {
		pages []string
		want  string
	}{
		{[]string{goodPage, closed}, ""},
		{[]string{closed, closed}, "open_connections is 0, want 2"},
		{[]string{goodPage, goodPage}, "open_connections is 2, want 0"},
	} {
		scrapes := 0
		scraped := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.WriteString(w, tt.pages[scrapes]); err != nil {
				t.Error(err)
			}
			scrapes++
		}))
		c := config{clients: 2, requests: 3}
		err := c.show(t.Context(), new(gauge), web.URL, scraped.URL, io.Discard)
		scraped.Close()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("the error is %v, want %q", err, tt.want)
		}
	}
}

// The second page is not asked for while connections are open: a signal ends that wait.
func TestGaugeComesBeforeTheSecondPage(t *testing.T) {
	web := httptest.NewServer(greeting(0))
	defer web.Close()
	scraped := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, goodPage); err != nil {
			t.Error(err)
		}
	}))
	defer scraped.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stuck gauge
	stuck.ConnState(nil, http.StateNew)
	c := config{clients: 2, requests: 3}
	err := c.show(ctx, &stuck, web.URL, scraped.URL, writerFunc(func(p []byte) {
		if bytes.Contains(p, []byte("request_count")) {
			cancel()
		}
	}))
	if err == nil || err.Error() != "1 connections are still open: context canceled" {
		t.Errorf("the error is %v", err)
	}
}

// A writerFunc is told of what is written.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// One request that fails ends all clients, and is what is said; an answer has to be the right
// one, and not without end.
func TestLoadFails(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		`answers "418 I'm a teapot"`: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		`the greeting is "Bye!"`:     func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Bye!") },
		"more than 1024 bytes": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return // the client reads no further
				}
			}
		},
	} {
		server := httptest.NewServer(answer)
		clients := newClients(3)
		c := config{requests: 1_000_000}
		err := c.load(t.Context(), clients, server.URL)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
		closeIdle(clients)
		server.Close()
	}
}
