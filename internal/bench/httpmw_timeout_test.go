//go:build linux

package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/netparts/netparts/httpmw"
)

// A chore is a part of the handlers' JSON, with parts of its own.
type chore struct {
	ID      int            `json:"id"`
	Name    string         `json:"name"`
	Done    bool           `json:"done"`
	Tags    []string       `json:"tags"`
	Due     time.Time      `json:"due"`
	Notes   map[string]any `json:"notes"`
	Subtask []chore        `json:"subtasks,omitempty"`
}

// newChores returns so many chores, each in so many levels.
func newChores(count, levels int) []chore {
	if levels == 0 {
		return nil
	}
	var list []chore
	for i := range count {
		list = append(list, chore{
			ID: i, Name: fmt.Sprintf("Sweep room %d", i), Tags: []string{"house", "weekly"},
			Due:   time.Date(2026, 3, 1+i, 9, 30, 0, 0, time.UTC),
			Notes: map[string]any{"tools": []string{"broom", "dustpan"}}, Subtask: newChores(1, levels-1),
		})
	}
	return list
}

// encodeChores encodes a list with a deep stack.
func encodeChores(list []chore) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// The benchmarks compare what arrives.
		_ = json.NewEncoder(w).Encode(list)
	}
}

// obey is a handler that looks at its context.
func obey(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		greet(w, r)
	}
}

// BenchmarkHTTPMWTimeout has a limit on requests that end in time. chi's has the context
// end, and answers nobody whose handler does not. The target is for HTTP/1: with HTTP/2 ours
// has a goroutine for each handler, as TimeoutHandler always has.
func BenchmarkHTTPMWTimeout(b *testing.B) {
	for _, row := range []struct {
		name    string
		handler http.HandlerFunc
	}{{"text", greet}, {"context", obey}, {"json", encodeChores(newChores(2, 5))}} {
		for _, major := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/http%d", row.name, major), func(b *testing.B) {
				limit := target{"TimeoutHandler", 0.70, 10}
				if major == 2 {
					limit = target{"TimeoutHandler", 1, 11}
				}
				want := httptest.NewRecorder()
				row.handler(want, newCall(major, "/"))
				c := &callContest{
					batch: of(4000, 400), fresh: true, requests: []*http.Request{newCall(major, "/")},
					targets: []target{limit},
				}
				c.side(kindOurs, httpmw.Timeout(time.Minute, nil)(row.handler))
				c.side("TimeoutHandler", http.TimeoutHandler(row.handler, time.Minute, ""))
				c.side("chi", middleware.Timeout(time.Minute)(row.handler))
				c.side(kindNothing, row.handler)
				for _, s := range c.sides {
					answers(b, s.name, s.handler, c.requests[0], http.StatusOK, want.Body.String())
				}
				for _, s := range c.sides[:2] { // chi does not answer for a handler
					c.late(b, s.name, major)
				}
				c.run(b)
			})
		}
	}
}

// late fails unless a side answers for a handler that takes too long.
func (c *callContest) late(b *testing.B, name string, major int) {
	b.Helper()
	wait := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	h := http.TimeoutHandler(wait, time.Millisecond, "late")
	if name == kindOurs {
		h = httpmw.Timeout(time.Millisecond, &httpmw.TimeoutOptions{Body: "late"})(wait)
	}
	answers(b, name, h, newCall(major, "/"), http.StatusServiceUnavailable, "late")
}
