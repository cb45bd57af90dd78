//go:build !race

package httpmw_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

func TestMiddlewareAllocations(t *testing.T) {
	done := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	methods := httpmw.Methods(map[string]http.Handler{"GET": done, "POST": done})
	for _, tt := range []struct {
		name   string
		h      http.Handler
		method string
		most   float64
	}{
		{"Methods, GET", methods, "GET", 0},
		{"Methods, HEAD", methods, "HEAD", 0},
		{"Methods, POST", methods, "POST", 0},
		{"RejectMethods", httpmw.RejectMethods("TRACE")(done), "GET", 0},
		{"SetHeader", httpmw.SetHeader("x-a", "b")(done), "GET", 1},
		{"NoSniff", httpmw.NoSniff(done), "GET", 1},
		{"Chain", httpmw.Chain(httpmw.RejectMethods("TRACE"), httpmw.RejectMethods("TRACK"))(done), "GET", 0},
		{"DrainAndClose without a body", httpmw.DrainAndClose(nil)(done), "GET", 0},
		{"MaxBody without a body", httpmw.MaxBody(10)(done), "GET", 0},
	} {
		w := discardWriter{make(http.Header)}
		for _, body := range []io.ReadCloser{http.NoBody, io.NopCloser(strings.NewReader(""))} {
			r := &http.Request{Method: tt.method, ProtoMajor: 1, ProtoMinor: 1, Body: body}
			if got := testing.AllocsPerRun(100, func() { tt.h.ServeHTTP(w, r) }); got > tt.most {
				t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
			}
		}
	}
}
