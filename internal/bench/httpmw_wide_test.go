//go:build linux

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/go-chi/chi/v5/middleware"
	sloghttp "github.com/samber/slog-http"

	"github.com/netparts/netparts/httpmw"
)

// wideSides are ways to log a request.
//
// WideEvent, and those by hand, log 11 attributes. slog-http logs 13 in two groups: of
// theirs it has not the protocol and the pattern, and two times, the referer and the
// lengths that were read and written more, without looking at what is in the strings. By
// default it has an id of its own for each request in place of the user agent. chi's Logger
// has one line of text, with 8 of them.
var wideSides = []struct {
	name string
	make func(to io.Writer) httpmw.Middleware
}{
	{kindOurs, func(to io.Writer) httpmw.Middleware {
		return httpmw.WideEvent(slog.New(slog.NewJSONHandler(to, nil)), nil)
	}},
	{"slog-http", func(to io.Writer) httpmw.Middleware {
		return sloghttp.NewWithConfig(slog.New(slog.NewJSONHandler(to, nil)), sloghttp.Config{
			ClientErrorLevel: slog.LevelWarn, ServerErrorLevel: slog.LevelError, WithUserAgent: true,
		})
	}},
	{"slog-http-default", func(to io.Writer) httpmw.Middleware {
		return sloghttp.New(slog.New(slog.NewJSONHandler(to, nil)))
	}},
	{"httpsnoop", func(to io.Writer) httpmw.Middleware {
		logger := slog.New(slog.NewJSONHandler(to, nil))
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m := httpsnoop.CaptureMetrics(next, w, r)
				logByHand(logger, r, m.Code, m.Written, m.Duration)
			})
		}
	}},
	{"chi-wrap", func(to io.Writer) httpmw.Middleware {
		logger := slog.New(slog.NewJSONHandler(to, nil))
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begin := time.Now()
				wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
				next.ServeHTTP(wrapped, r)
				logByHand(logger, r, wrapped.Status(), int64(wrapped.BytesWritten()), time.Since(begin))
			})
		}
	}},
	// What the JSON handler alone takes for these attributes: less is not to be had.
	{"JSON-alone", func(to io.Writer) httpmw.Middleware {
		logger := slog.New(slog.NewJSONHandler(to, nil))
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				logByHand(logger, r, http.StatusOK, int64(len(greeting)), time.Millisecond)
			})
		}
	}},
	{"chi-Logger", func(to io.Writer) httpmw.Middleware {
		return middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(to, "", log.LstdFlags), NoColor: true})
	}},
}

// logByHand logs what WideEvent does, as it is.
func logByHand(logger *slog.Logger, r *http.Request, status int, length int64, took time.Duration) {
	logger.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.Int("status_code", status),
		slog.Int64("response_length", length),
		slog.Int64("content_length", r.ContentLength),
		slog.String("method", r.Method),
		slog.String("proto", r.Proto),
		slog.String("remote_addr", r.RemoteAddr),
		slog.String("uri", r.URL.RequestURI()),
		slog.String("user_agent", r.UserAgent()),
		slog.String("host", r.Host),
		slog.String("pattern", r.Pattern),
		slog.Duration("duration", took))
}

// BenchmarkHTTPMWWideEvent has requests logged. What is left of a query, ours has to put
// together, which is one allocation more.
func BenchmarkHTTPMWWideEvent(b *testing.B) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = "GET /api/v1/chores/{id}" // as a mux does, without its costs
		greet(w, r)
	})
	for _, row := range []struct {
		name, uri string
		allocs    float64
	}{{"path", "/api/v1/chores/42", 2}, {"query", "/api/v1/chores/42?page=2", 3}} {
		b.Run(row.name, func(b *testing.B) {
			c := &callContest{
				batch: of(4000, 400), fresh: true, requests: []*http.Request{newCall(1, row.uri)},
				targets: []target{{"slog-http", 0.35, row.allocs}},
			}
			for _, s := range wideSides {
				var line bytes.Buffer
				answers(b, s.name, s.make(&line)(handler), c.requests[0], http.StatusOK, greeting)
				if err := checkLine(s.name, line.String(), c.requests[0]); err != nil {
					b.Fatal(err)
				}
				c.side(s.name, s.make(io.Discard)(handler))
			}
			c.side(kindNothing, handler)
			c.run(b)
		})
	}
}

// checkLine returns an error unless a line tells of the request of the benchmark.
func checkLine(name, line string, r *http.Request) error {
	if name == "chi-Logger" {
		if !strings.Contains(line, `"GET http://chores.example.com`+r.RequestURI+` HTTP/1.1" from 192.0.2.17:49152 - 200 15B in`) {
			return fmt.Errorf("%s: %q", name, line)
		}
		return nil
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		return fmt.Errorf("%s: %w in %q", name, err, line)
	}
	want := map[string]any{
		"status_code": 200.0, "response_length": 15.0, "content_length": 0.0, "method": "GET", "proto": "HTTP/1.1",
		"host": "chores.example.com", "user_agent": r.UserAgent(), "pattern": "GET /api/v1/chores/{id}",
	}
	if strings.HasPrefix(name, "slog-http") {
		request, _ := record["request"].(map[string]any)
		response, _ := record["response"].(map[string]any)
		if name == "slog-http-default" && request != nil && record["id"] != "" {
			request["user-agent"] = r.UserAgent() // which it has not, but the id
		}
		if len(request) != 9 || len(response) != 4 {
			return fmt.Errorf("%s: %q", name, line)
		}
		record = map[string]any{
			"status": response["status"], "length": response["length"],
			"method": request["method"], "host": request["host"], "path": request["path"],
			"query": request["query"], "ip": request["ip"], "user-agent": request["user-agent"],
		}
		want = map[string]any{
			"status": 200.0, "length": 15.0, "method": "GET", "host": "chores.example.com", "path": "/api/v1/chores/42",
			"query": r.URL.RawQuery, "ip": "192.0.2.17:49152", "user-agent": r.UserAgent(),
		}
	}
	for key, value := range want {
		if record[key] != value {
			return fmt.Errorf("%s: %s is %v, want %v, in %q", name, key, record[key], value, line)
		}
	}
	return nil
}
