package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// restrictPaths are what servers are asked for.
var restrictPaths = []string{
	"/",
	"/favicon.ico",
	"/static/style.css",
	"/static/js/vendor/react-dom.production.min.js",
	"/api/v1/customers/8675309/orders/42/items",
	"/blog/2024/11/17/what-a-path-can-become.html",
	"/files/100% sure.txt",
	"/wiki/Österreich/Straße",
}

// cleanAndSplit is the middleware that a programmer writes first.
func cleanAndSplit(prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		segments := strings.Split(path.Clean(r.URL.Path), "/")
		if slices.ContainsFunc(segments, func(s string) bool { return strings.HasPrefix(s, prefix) }) {
			http.Error(w, "Not Found", http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// BenchmarkRestrictPrefix also prints the time as a share of that of cleanAndSplit in the
// same run, as x-clean-and-split. It is for all paths together; those of each one follow.
func BenchmarkRestrictPrefix(b *testing.B) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	plain, ours := cleanAndSplit(".", next), httpmw.RestrictPrefix(".", nil)(next)
	run := func(name string, paths ...string) {
		var requests []*http.Request
		for _, p := range paths {
			requests = append(requests, &http.Request{URL: &url.URL{Path: p}})
		}
		var peer float64
		for _, row := range []struct {
			name string
			h    http.Handler
		}{{"clean-and-split", plain}, {"ours", ours}} {
			b.Run(name+"/"+row.name, func(b *testing.B) {
				w := httptest.NewRecorder()
				b.ReportAllocs()
				for b.Loop() {
					for _, r := range requests {
						row.h.ServeHTTP(w, r)
					}
				}
				took := b.Elapsed().Seconds() / float64(b.N)
				if row.name == "ours" && peer != 0 {
					b.ReportMetric(took/peer, "x-clean-and-split")
				}
				peer = took
			})
		}
	}
	run("all", restrictPaths...)
	run("encoded", "/files/50%2525 off.txt") // which is decoded again, as it should rarely be
	for _, p := range restrictPaths {
		run(strings.ReplaceAll(strings.Trim(p, "/"), "/", "."), p)
	}
}

func BenchmarkAllowPaths(b *testing.B) {
	h := httpmw.AllowPaths("/", "/favicon.ico", "/static/")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, p := range []string{"/favicon.ico", "/static/style.css"} {
		b.Run(strings.ReplaceAll(strings.Trim(p, "/"), "/", "."), func(b *testing.B) {
			w, r := httptest.NewRecorder(), &http.Request{URL: &url.URL{Path: p}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
