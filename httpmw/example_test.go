package httpmw_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// Middleware stands around a ServeMux as around any handler. Here a hidden name is not
// found, a bug is an answer rather than a closed connection, and each request is counted
// under the pattern that it matched.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chores/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "chore %q", r.PathValue("id"))
	})
	mux.HandleFunc("GET /bug", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	metrics := new(httpmw.Metrics)
	mux.Handle("GET /metrics", metrics)

	handler := httpmw.Chain(
		httpmw.Instrument(metrics, nil),
		httpmw.Recover(slog.New(slog.DiscardHandler)),
		httpmw.Timeout(10*time.Second, nil),
		httpmw.RestrictPrefix(".", nil),
	)(mux)
	for _, path := range []string{"/chores/7", "/.git/config", "/bug"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		fmt.Println(path, w.Code, strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// /chores/7 200 chore "7"
	// /.git/config 404 404 page not found
	// /bug 500 Internal Server Error
}

// A server with everything: records, counts, limits, and an end that lets requests
// finish. In a program the context is that of [os/signal.NotifyContext], and the logger
// writes to the standard error.
func Example_server() {
	logger := slog.New(slog.DiscardHandler)
	var connections httpmw.ConnGauge
	metrics := &httpmw.Metrics{Namespace: "chores", Connections: &connections}
	mux := http.NewServeMux()
	mux.Handle("/{$}", httpmw.Methods(map[string]http.Handler{
		http.MethodGet: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			httpmw.AddFields(r.Context(), slog.Int("chores", 2))
			fmt.Fprintln(w, "sweep, dust")
		}),
	}))
	mux.Handle("/metrics", metrics)
	handler := httpmw.Chain(
		httpmw.WideEvent(logger, nil),
		httpmw.Instrument(metrics, nil),
		httpmw.Recover(logger),
		httpmw.NoSniff,
		httpmw.Timeout(10*time.Second, nil),
		httpmw.DrainAndClose(nil),
		httpmw.MaxBody(1<<20),
	)(mux)
	server := httpmw.NewServer(handler, logger)
	server.ConnState = connections.ConnState

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- httpmw.Run(ctx, server, l, 15*time.Second) }()

	resp, err := http.Get("http://" + l.Addr().String() + "/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s", resp.Status, body)

	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	fmt.Println("stopped")
	// Output:
	// 200 OK: sweep, dust
	// stopped
}

// A handler is tested without a network by a recorder. Result is what a client would get:
// for example, its header is the one of the moment at which the response began.
func Example_testing() {
	handler := httpmw.MaxBody(16)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if _, err := io.Copy(w, r.Body); err != nil {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
		}
	}))
	for _, body := range []string{"sweep", "sweep, dust, and wash up"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		resp := w.Result()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.StatusCode, strings.TrimSpace(string(got)))
	}
	// Output:
	// 200 sweep
	// 413 Request Entity Too Large
}

// A handler that needs something gets it from the function that makes it. What it needs
// is a function here, so that a test hands it another.
func Example_closure() {
	list := func(chores func(context.Context) ([]string, error)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			names, err := chores(r.Context())
			if err != nil {
				http.Error(w, "the chores are not to be had", http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			// An error means that the client has gone, which the record of the request tells.
			_ = json.NewEncoder(w).Encode(names)
		})
	}

	fixed := func(context.Context) ([]string, error) { return []string{"sweep", "dust"}, nil }
	w := httptest.NewRecorder()
	list(fixed).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/chores", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 200 ["sweep","dust"]
}
