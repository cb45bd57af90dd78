//go:build linux

package httpmwbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/go-chi/chi/v5/middleware"
	sloghttp "github.com/samber/slog-http"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/bench/lab"
)

// wideSides are ways to log a request to a writer. What they log is said in peers.
var wideSides = map[string]func(to io.Writer) httpmw.Middleware{
	lab.Ours: func(to io.Writer) httpmw.Middleware {
		return httpmw.WideEvent(slog.New(slog.NewJSONHandler(to, nil)), nil)
	},
	slogHTTP: func(to io.Writer) httpmw.Middleware {
		return sloghttp.NewWithConfig(slog.New(slog.NewJSONHandler(to, nil)), sloghttp.Config{
			ClientErrorLevel: slog.LevelWarn, ServerErrorLevel: slog.LevelError, WithUserAgent: true,
		})
	},
	slogHTTPDefault: func(to io.Writer) httpmw.Middleware {
		return sloghttp.New(slog.New(slog.NewJSONHandler(to, nil)))
	},
	snoop: func(to io.Writer) httpmw.Middleware {
		logger := slog.New(slog.NewJSONHandler(to, nil))
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m := httpsnoop.CaptureMetrics(next, w, r)
				logByHand(logger, r, m.Code, m.Written, m.Duration)
			})
		}
	},
	chiWrap: func(to io.Writer) httpmw.Middleware {
		logger := slog.New(slog.NewJSONHandler(to, nil))
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begin := time.Now()
				wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
				next.ServeHTTP(wrapped, r)
				logByHand(logger, r, wrapped.Status(), int64(wrapped.BytesWritten()), time.Since(begin))
			})
		}
	},
	jsonAlone: func(to io.Writer) httpmw.Middleware {
		logger := slog.New(slog.NewJSONHandler(to, nil))
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				logByHand(logger, r, http.StatusOK, int64(len(greeting)), time.Millisecond)
			})
		}
	},
	chiLogger: func(to io.Writer) httpmw.Middleware {
		return middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(to, "", log.LstdFlags), NoColor: true})
	},
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

// wideEvents have requests logged.
func wideEvents() []lab.Case {
	return []lab.Case{
		wideCase("a path", "/api/v1/chores/42", "One is for what is kept of the request, and one for its copy with a context; more come from the process."),
		wideCase("a path with a query", "/api/v1/chores/42?page=2",
			"What is left of the query without its values has to be put together, which is one allocation more."),
	}
}

func wideCase(name, uri, third string) lab.Case {
	return lab.Case{
		Name: "WideEvent, " + name,
		About: "Logs each request as JSON with 11 attributes to a writer that counts records. " +
			"Before, a record of each side is read, and its values are compared.",
		Sides:   lab.Sides(lab.Ours, slogHTTP, slogHTTPDefault, snoop, chiWrap, jsonAlone, chiLogger, bare),
		Metrics: lab.AddedMetrics("ns"),
		Targets: []lab.Target{{
			Metric: added, Than: slogHTTP, AtMost: 0.35,
			Reason: "The greater part is slog.JSONHandler, which alone, with the same attributes, takes more than was asked. " +
				"What ours adds is the clock, one allocation for the record, the copy of the request with its context, and a look at each string for what must not be logged.",
		}, {Metric: lab.AddedAllocs, AtMost: 2, Reason: third}},
		Run: func(t *lab.T) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Pattern = "GET /api/v1/chores/{id}" // as a mux does, without its costs
				greet(w, r)
			})
			r := newCall(1, http.MethodGet, uri)
			c := newContest(t, len(greeting), r)
			records := make(map[string]*recordCount)
			for name, side := range wideSides {
				var line bytes.Buffer
				answers(t, name, side(&line)(handler), r, http.StatusOK, greeting)
				t.Fatal(checkLine(name, line.String(), r))
				to := new(recordCount)
				records[name] = to
				c.handlers[name] = side(to)(handler)
			}
			c.handlers[bare] = handler
			c.run(40_000, 2000)
			for name, count := range records {
				if count.n != c.called[name] {
					t.Fatalf("%s: %d records of %d calls", name, count.n, c.called[name])
				}
			}
		},
	}
}

// A recordCount is a writer that counts records, each of which is one call of Write.
type recordCount struct{ n int }

func (c *recordCount) Write(p []byte) (int, error) {
	c.n++
	return len(p), nil
}

// checkLine returns an error unless a line tells of the request of the case.
func checkLine(name, line string, r *http.Request) error {
	if name == chiLogger {
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
	if name == slogHTTP || name == slogHTTPDefault {
		request, _ := record["request"].(map[string]any)
		response, _ := record["response"].(map[string]any)
		if name == slogHTTPDefault && request != nil && record["id"] != "" {
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
