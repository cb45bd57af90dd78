//go:build !race

// The race detector allocates.

package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

func TestRestrictPrefixDoesNotAllocate(t *testing.T) {
	for _, path := range restrictPaths {
		if n := testing.AllocsPerRun(100, restrictCheck(path, len(path))); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
	for name, part := range restrictLong {
		if n := testing.AllocsPerRun(5, restrictCheck(part, 64<<10)); n != 0 {
			t.Errorf("64 KiB of %s: %v allocations", name, n)
		}
	}
}

func TestAllowPathsDoesNotAllocate(t *testing.T) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	h := httpmw.AllowPaths("/", "/index.html", "/static/")(next)
	for _, path := range []string{"/", "/index.html", "index.html", "/static/css/style.css", "/a/b/c/d/é"} {
		r := &http.Request{URL: &url.URL{Path: path}}
		w := httptest.NewRecorder()
		if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}
