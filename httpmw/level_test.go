package httpmw_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/httpmw"
)

func TestLevelHandler(t *testing.T) {
	const warn = "{\"level\":\"WARN\"}\n"
	for _, tt := range []struct {
		name, method, body string
		status             int
		answer             string
		level              slog.Level
	}{
		{"shown", "GET", "", 200, warn, slog.LevelWarn},
		{"headers", "HEAD", "", 200, "", slog.LevelWarn},
		{"set", "PUT", `{"level":"ERROR"}`, 200, "{\"level\":\"ERROR\"}\n", slog.LevelError},
		{"lower case", "PUT", `{"level":"debug"}`, 200, "{\"level\":\"DEBUG\"}\n", slog.LevelDebug},
		{"between", "PUT", ` { "level" : "INFO+2" } `, 200, "{\"level\":\"INFO+2\"}\n", slog.LevelInfo + 2},
		{"escaped", "PUT", `{"level":"\u0049NFO"}`, 200, "{\"level\":\"INFO\"}\n", slog.LevelInfo},
		{"other word", "PUT", `{"level":"LOUD"}`, 400, "Bad Request\n", slog.LevelWarn},
		{"overflow", "PUT", `{"level":"INFO+99999999999999999999"}`, 400, "Bad Request\n", slog.LevelWarn},
		{"number", "PUT", `{"level":4}`, 400, "Bad Request\n", slog.LevelWarn},
		{"null", "PUT", `{"level":null}`, 400, "Bad Request\n", slog.LevelWarn},
		{"empty word", "PUT", `{"level":""}`, 400, "Bad Request\n", slog.LevelWarn},
		{"empty object", "PUT", `{}`, 400, "Bad Request\n", slog.LevelWarn},
		{"empty", "PUT", ``, 400, "Bad Request\n", slog.LevelWarn},
		{"other field", "PUT", `{"name":"INFO"}`, 400, "Bad Request\n", slog.LevelWarn},
		{"unknown field", "PUT", `{"level":"INFO","for":"1h"}`, 400, "Bad Request\n", slog.LevelWarn},
		{"bare", "PUT", `INFO`, 400, "Bad Request\n", slog.LevelWarn},
		{"array", "PUT", `["INFO"]`, 400, "Bad Request\n", slog.LevelWarn},
		{"more behind", "PUT", `{"level":"INFO"}{}`, 400, "Bad Request\n", slog.LevelWarn},
		{"longest", "PUT", `{"level":"INFO"}` + strings.Repeat(" ", 1024-16), 200, "{\"level\":\"INFO\"}\n", slog.LevelInfo},
		{"too long", "PUT", `{"level":"INFO"}` + strings.Repeat(" ", 1024-15), 413, "Request Entity Too Large\n", slog.LevelWarn},
		{"huge", "PUT", strings.Repeat("x", 1<<20), 413, "Request Entity Too Large\n", slog.LevelWarn},
		{"POST", "POST", `{"level":"INFO"}`, 405, "Method Not Allowed\n", slog.LevelWarn},
		{"OPTIONS", "OPTIONS", "", 405, "Method Not Allowed\n", slog.LevelWarn},
		{"lower-case method", "put", `{"level":"INFO"}`, 405, "Method Not Allowed\n", slog.LevelWarn},
	} {
		t.Run(tt.name, func(t *testing.T) {
			level := new(slog.LevelVar)
			level.Set(slog.LevelWarn)
			s := wideServer(t, "HTTP/1.1", httpmw.LevelHandler(level))
			req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || string(b) != tt.answer || err != nil {
				t.Errorf("the answer is %d %q, %v, want %d %q", resp.StatusCode, b, err, tt.status, tt.answer)
			}
			if got := level.Level(); got != tt.level {
				t.Errorf("the level is %v, want %v", got, tt.level)
			}
			allow, contentType := "", "text/plain; charset=utf-8"
			switch tt.status {
			case 405:
				allow = "GET, HEAD, PUT"
			case 200:
				contentType = "application/json"
			}
			if h := resp.Header; h.Get("Allow") != allow || h.Get("Content-Type") != contentType {
				t.Errorf("the headers are %v", resp.Header)
			}
		})
	}
}

// A body that breaks off sets nothing, though what came is a level.
func TestLevelHandlerBrokenBody(t *testing.T) {
	level := new(slog.LevelVar)
	body := io.MultiReader(strings.NewReader(`{"level":"ERROR"}`), iotest.ErrReader(errors.New("broken")))
	w := httptest.NewRecorder()
	httpmw.LevelHandler(level).ServeHTTP(w, httptest.NewRequest("PUT", "/", body))
	if w.Code != 400 || level.Level() != slog.LevelInfo {
		t.Errorf("the answer is %d, the level %v", w.Code, level.Level())
	}
}

func TestLevelHandlerWithoutLevel(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("LevelHandler(nil) does not panic")
		}
	}()
	httpmw.LevelHandler(nil)
}
