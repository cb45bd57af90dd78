//go:build linux

package httpmwbench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/bench/lab"
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
		// What arrives is compared.
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

// timeouts have a limit on requests that end in time.
func timeouts() []lab.Case {
	var cases []lab.Case
	for _, row := range []struct {
		name, does   string
		handler      http.HandlerFunc
		count, slice int
	}{
		{"a greeting", "writes a line", greet, 60_000, 2000},
		{"a look at the context", "asks the context whether it has ended, and writes a line", obey, 60_000, 2000},
		{"JSON", "encodes a list with a deep stack", encodeChores(newChores(2, 5)), 8000, 400},
	} {
		for _, major := range []int{1, 2} {
			cases = append(cases, timeoutCase(major, row.name, row.does, row.handler, row.count, row.slice))
		}
	}
	return cases
}

// timeoutCase has the targets for HTTP/2 too, where ours has a goroutine for each handler,
// as TimeoutHandler always has.
func timeoutCase(major int, name, does string, handler http.HandlerFunc, count, slice int) lab.Case {
	cost := lab.Target{
		Metric: added, Than: timeoutHandler, AtMost: 0.70,
		Reason: "A handler that asks its context for Done has one of the standard library made for it, as http.TimeoutHandler always does; " +
			"the rest is the copy of the request, its headers and the timer, which both need.",
	}
	allocs := lab.Target{Metric: lab.AddedAllocs, AtMost: 10}
	if major == 2 {
		cost.Reason = "A stream of HTTP/2 ends no sooner than the server's goroutine returns, so the handler runs in " +
			"another one, as with http.TimeoutHandler. Starting it and waiting for it, and the growth of its stack where the handler needs a deep one, is what is added."
		allocs.Reason = "The goroutine for the handler is one allocation more than with HTTP/1, and its context is only made when the handler asks."
	}
	return lab.Case{
		Name: fmt.Sprintf("Timeout, %s, HTTP/%d", name, major),
		About: fmt.Sprintf("The handler %s and ends long before its limit of a minute. Statuses and lengths are compared. Before, the whole "+
			"response is, and ours and http.TimeoutHandler have to answer 503 for a handler that takes too long, which chi's leaves to the handler.", does),
		Sides:   lab.Sides(lab.Ours, timeoutHandler, chi, bare),
		Metrics: lab.AddedMetrics("ns"),
		Targets: []lab.Target{cost, allocs},
		Run: func(t *lab.T) {
			r := newCall(major, http.MethodGet, "/")
			want := httptest.NewRecorder()
			handler(want, r.WithContext(t.Context()))
			c := newContest(t, want.Body.Len(), r)
			c.handlers = map[string]http.Handler{
				lab.Ours:       httpmw.Timeout(time.Minute, nil)(handler),
				timeoutHandler: http.TimeoutHandler(handler, time.Minute, ""),
				chi:            middleware.Timeout(time.Minute)(handler),
				bare:           handler,
			}
			for name, h := range c.handlers {
				answers(t, name, h, r, http.StatusOK, want.Body.String())
			}
			late(t, r)
			c.run(count, slice)
		},
	}
}

// late ends the case unless those who can answer for a handler that takes too long.
func late(t *lab.T, r *http.Request) {
	wait := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, h := range map[string]http.Handler{
		lab.Ours:       httpmw.Timeout(time.Millisecond, &httpmw.TimeoutOptions{Body: "late"})(wait),
		timeoutHandler: http.TimeoutHandler(wait, time.Millisecond, "late"),
	} {
		answers(t, name, h, r, http.StatusServiceUnavailable, "late")
	}
}
