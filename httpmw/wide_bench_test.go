package httpmw_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// wideNowhere is a writer that does nothing with what it gets.
type wideNowhere struct{}

var wideNoHeader = make(http.Header)

func (wideNowhere) Header() http.Header               { return wideNoHeader }
func (wideNowhere) WriteHeader(int)                   {}
func (wideNowhere) Write(p []byte) (int, error)       { return len(p), nil }
func (wideNowhere) ReadFrom(io.Reader) (int64, error) { return 0, nil }

func benchmarkWide(b *testing.B, target string, m httpmw.Middleware) {
	b.ReportAllocs()
	hello := []byte("Hello!")
	h := m(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(hello) }))
	r := wideRequest()
	r.URL.RawQuery = target
	var w http.ResponseWriter = viewAll{wideNowhere{}, nil, nil, nil, nil}
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkWideEvent(b *testing.B) {
	benchmarkWide(b, "", httpmw.WideEvent(slog.New(slog.NewJSONHandler(io.Discard, nil)), nil))
}

func BenchmarkWideEventQuery(b *testing.B) {
	opts := &httpmw.WideEventOptions{Query: []string{"page"}}
	benchmarkWide(b, "page=2&token=secret", httpmw.WideEvent(slog.New(slog.NewJSONHandler(io.Discard, nil)), opts))
}

func BenchmarkWideEventDiscarded(b *testing.B) {
	benchmarkWide(b, "", httpmw.WideEvent(slog.New(slog.DiscardHandler), nil))
}

func BenchmarkRecover(b *testing.B) {
	benchmarkWide(b, "", httpmw.Recover(nil))
}

// The floor: a handler of package slog with eleven attributes that are there.
func BenchmarkSlogEleven(b *testing.B) {
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
	b.ReportAllocs()
	r := wideRequest()
	for b.Loop() {
		logger.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.Int("status_code", 200),
			slog.Int64("response_length", 6), slog.Int64("content_length", 0), slog.String("method", "GET"),
			slog.String("proto", "HTTP/1.1"), slog.String("remote_addr", "127.0.0.1"), slog.String("uri", "/x"),
			slog.String("user_agent", "agent"), slog.String("host", "example.com"), slog.String("pattern", ""),
			slog.Duration("duration", 1000))
	}
}
