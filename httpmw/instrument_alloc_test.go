//go:build !race

package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The race detector makes pools forget, so that this is not counted under it.
func TestInstrumentAllocatesNothing(t *testing.T) {
	for _, bm := range instrumentBenchmarks {
		t.Run(bm.name, func(t *testing.T) {
			h, w, r := bm.make(), discardWriter{make(http.Header)}, httptest.NewRequest("GET", "/hello/world", nil)
			if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); n != 0 {
				t.Errorf("a request allocates %v times, want 0", n)
			}
		})
	}
}
