//go:build !race

// With the race detector some calls allocate that else do not.

package httpmw_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// An event is one allocation, and the copy of the request is the other.
func TestWideEventAllocations(t *testing.T) {
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
	hello := []byte("Hello!")
	var field slog.Attr
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		chain   httpmw.Middleware
		want    float64
	}{
		{"eleven attributes", func(w http.ResponseWriter, _ *http.Request) { w.Write(hello) }, nil, 2},
		{"six fields", func(w http.ResponseWriter, r *http.Request) {
			w.Write(hello)
			for range 6 {
				httpmw.AddFields(r.Context(), field)
			}
		}, nil, 2},
		{"seven fields", func(w http.ResponseWriter, r *http.Request) {
			for range 7 {
				httpmw.AddFields(r.Context(), field)
			}
		}, nil, 3},
		{"with Recover, which shares the Recorder", func(w http.ResponseWriter, _ *http.Request) { w.Write(hello) }, httpmw.Recover(logger), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			field = slog.Int("f", 1)
			var h http.Handler = tt.handler
			if tt.chain != nil {
				h = tt.chain(h)
			}
			h = httpmw.WideEvent(logger, nil)(h)
			r := wideRequest()
			var w http.ResponseWriter = viewAll{wideNowhere{}, nil, nil, nil, nil}
			if n := testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }); n != tt.want {
				t.Errorf("%v allocations, want %v", n, tt.want)
			}
		})
	}
}

// Whoever keeps a context and goes on adding to it does not fill the memory.
func TestAddFieldsLateAllocations(t *testing.T) {
	var late context.Context
	wideDirect(t, nil, wideRequest(), func(_ http.ResponseWriter, r *http.Request) { late = r.Context() })
	fields := make([]slog.Attr, 10_000)
	if n := testing.AllocsPerRun(1, func() { httpmw.AddFields(late, fields...) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A Recorder is one allocation, whatever the writer can, and none if there is one.
func TestRecordAllocations(t *testing.T) {
	for name, w := range viewCombinations(new(viewFake)) {
		if n := testing.AllocsPerRun(100, func() { httpmw.Record(w) }); n != 1 {
			t.Errorf("%q: %v allocations", name, n)
		}
		_, w = httpmw.Record(w)
		if n := testing.AllocsPerRun(100, func() { httpmw.Record(w) }); n != 0 {
			t.Errorf("%q: %v allocations with a Recorder", name, n)
		}
	}
}

// ReadFrom allocates nothing to watch its source.
func TestReadFromAllocations(t *testing.T) {
	_, w := httpmw.Record(viewAll{wideNowhere{}, nil, nil, nil, wideNowhere{}})
	src, to := strings.NewReader(""), w.(io.ReaderFrom)
	if n := testing.AllocsPerRun(100, func() { to.ReadFrom(src) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
