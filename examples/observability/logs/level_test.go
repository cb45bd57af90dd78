package logs_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/netparts/netparts/httpmw"
)

// The level of a program that runs, over HTTP: an AtomicLevel is an http.Handler. It reads its
// body without a limit and lets in whoever reaches it, so it stands behind MaxBody, and on
// an address for operators. For log/slog there is httpmw.LevelHandler.
func Example_levelHTTP() {
	level := zap.NewAtomicLevel()
	logger := zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoderConfig), terminal(), level))
	handler := httpmw.MaxBody(1 << 10)(level)

	ask := func(method, body string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, "/level", strings.NewReader(body)))
		fmt.Print(w.Code, " ", w.Body)
		logger.Debug("a debug entry")
	}
	ask(http.MethodGet, "")
	ask(http.MethodPut, `{"level":"debug"}`)
	ask(http.MethodPut, `{"level":"info"}`)
	ask(http.MethodPut, `{}`)
	ask(http.MethodPost, `{"level":"debug"}`)
	// Output:
	// 200 {"level":"info"}
	// 200 {"level":"debug"}
	// debug	a debug entry
	// 200 {"level":"info"}
	// 400 {"error":"must specify logging level"}
	// 405 {"error":"Only GET and PUT are supported."}
}

// Nothing that is sent in place of a level changes it.
func TestBadLevels(t *testing.T) {
	level := zap.NewAtomicLevelAt(zapcore.WarnLevel)
	handler := httpmw.MaxBody(1 << 10)(level)
	for _, tt := range []struct {
		body string
		want int
	}{
		{"", 400},
		{"debug", 400},
		{`{"level":""}`, 200}, // which zap takes for info
		{`{"level":"verbose"}`, 400},
		{`{"level":-1}`, 400},
		{`{"level":null}`, 400},
		{`{"level":"` + strings.Repeat("x", 1<<10) + `"}`, 413},
	} {
		for _, chunked := range []bool{false, true} {
			level.SetLevel(zapcore.WarnLevel)
			var body io.Reader = strings.NewReader(tt.body)
			want := tt.want
			if chunked {
				body = io.MultiReader(body) // its length is not known
				if want == 413 {
					want = 400 // the handler finds out by reading
				}
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/level", body))
			if w.Code != want {
				t.Errorf("PUT %.30q: %d, want %d: %s", tt.body, w.Code, want, w.Body)
			}
			if got := level.Level(); want != 200 && got != zapcore.WarnLevel {
				t.Errorf("PUT %.30q set the level to %v", tt.body, got)
			}
		}
	}
}

// Panic panics, Fatal ends the program, and DPanic panics in development alone: in production
// it is an error of the highest kind from which the program goes on.
func TestLevelsThatEnd(t *testing.T) {
	core, entries := observer.New(zapcore.DebugLevel)
	panics := func(f func()) (value any) {
		defer func() { value = recover() }()
		f()
		return nil
	}
	// Fatal would end the process without deferred calls, such as Sync: here it panics instead.
	production := zap.New(core, zap.WithFatalHook(zapcore.WriteThenPanic))
	development := production.WithOptions(zap.Development())
	for _, tt := range []struct {
		name  string
		log   func()
		level zapcore.Level
		want  any
	}{
		{"DPanic in production", func() { production.DPanic("a") }, zapcore.DPanicLevel, nil},
		{"DPanic in development", func() { development.DPanic("b") }, zapcore.DPanicLevel, "b"},
		{"Panic in production", func() { production.Panic("c") }, zapcore.PanicLevel, "c"},
		{"Panic in development", func() { development.Panic("d") }, zapcore.PanicLevel, "d"},
		{"Fatal", func() { production.Fatal("e") }, zapcore.FatalLevel, "e"},
	} {
		got := panics(tt.log)
		logged := entries.TakeAll()
		if got != tt.want || len(logged) != 1 || logged[0].Level != tt.level {
			t.Errorf("%s: panics with %v, want %v; logged %v", tt.name, got, tt.want, logged)
		}
	}
}
