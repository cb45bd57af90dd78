package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// A server starts from safe limits; a field changes what does not fit. A handler that waits
// for its client as long as it takes says so.
func ExampleNewServer() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			http.Error(w, "too slow", http.StatusRequestTimeout)
		case err != nil:
			http.Error(w, "no body", http.StatusBadRequest)
		default:
			fmt.Fprintln(w, n)
		}
	})
	mux.HandleFunc("POST /events", func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
			http.Error(w, "no deadlines", http.StatusInternalServerError)
			return
		}
		// Read events from r.Body, for days.
	})
	srv := httpmw.NewServer(mux, slog.Default())
	srv.IdleTimeout = 30 * time.Second

	fmt.Println("headers:", srv.ReadHeaderTimeout)
	fmt.Println("idle:", srv.IdleTimeout)
	fmt.Println("streams:", srv.HTTP2.MaxConcurrentStreams)
	// Output:
	// headers: 10s
	// idle: 30s
	// streams: 100
}

// A program serves until its context ends, for example by signal.NotifyContext, and then
// finishes what it has begun.
func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background())
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stop() // as a signal would, in the middle of a request
		fmt.Fprint(w, "the whole answer")
	})

	l, err := net.Listen("tcp", "127.0.0.1:0") // a taken port is an error here, at once
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- httpmw.Run(ctx, httpmw.NewServer(handler, nil), l, 5*time.Second)
	}()

	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, and a graceful stop\n", body)
	// Output: the whole answer, and a graceful stop
}
