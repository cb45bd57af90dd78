package logs_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/netparts/netparts/httpmw"
)

// slogOf returns a logger of log/slog that writes through zap, so that what takes the one is of
// use to a program that has the other. Middleware knows what failed, and where: a stack trace
// with every error of a handler would show its own frames.
func slogOf(core zapcore.Core) *slog.Logger {
	return slog.New(zapslog.NewHandler(core, zapslog.AddStacktraceAt(slog.LevelError+1)))
}

// One entry for each request, with all that is known about it, rather than several that somebody
// has to bring together. [httpmw.WideEvent] records the response as it goes by, and writes
// through zap here.
func Example_wideEvent() {
	config := encoderConfig
	config.EncodeDuration = func(_ time.Duration, enc zapcore.PrimitiveArrayEncoder) {
		enc.AppendString("(varies)") // so that the output is always the same
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(config), terminal(), zapcore.DebugLevel)
	events := httpmw.WideEvent(slogOf(core), &httpmw.WideEventOptions{Message: "answered"})

	mux := http.NewServeMux()
	mux.HandleFunc("GET /test", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "Hello!") // if that fails, the event says so
	})
	server := httptest.NewServer(events(mux))
	req, err := http.NewRequest(http.MethodGet, server.URL+"/test", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Host = "www.example.com" // rather than an address with a port that varies
	resp, err := server.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		log.Fatal(err)
	}
	server.Close() // which waits for the handler
	// Output:
	// {"level":"info","msg":"answered","status_code":200,"response_length":6,"content_length":0,"method":"GET","proto":"HTTP/1.1","remote_addr":"127.0.0.1","uri":"/test","user_agent":"Go-http-client/1.1","host":"www.example.com","pattern":"GET /test","duration":"(varies)"}
}

// What a record of hand-written middleware often lacks: the status of a handler that is silent,
// or writes two of them, and the request whose handler panics.
func TestWideEventsThroughZap(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		level   zapcore.Level
		status  int64
		fields  string
	}{
		{"silent", func(http.ResponseWriter, *http.Request) {}, zapcore.InfoLevel, 200, "0 <nil> <nil>"},
		{"two statuses", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusOK)
		}, zapcore.InfoLevel, 404, "0 <nil> <nil>"},
		{"a failure", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no", http.StatusInternalServerError)
		}, zapcore.ErrorLevel, 500, "3 <nil> <nil>"},
		{"a field of its own", func(_ http.ResponseWriter, r *http.Request) {
			httpmw.AddFields(r.Context(), slog.Group("user", "id", 7))
		}, zapcore.InfoLevel, 200, "0 <nil> map[id:7]"},
		{"a panic", func(http.ResponseWriter, *http.Request) { panic("as intended") }, zapcore.ErrorLevel, 500, "22 string <nil>"},
	} {
		core, entries := observer.New(zapcore.DebugLevel)
		handler := httpmw.Chain(httpmw.WideEvent(slogOf(core), nil), httpmw.Recover(nil))(tt.handler)
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))

		logged := entries.TakeAll()
		if len(logged) != 1 {
			t.Errorf("%s: %d entries, want one", tt.name, len(logged))
			continue
		}
		e, fields := logged[0], logged[0].ContextMap()
		got := fmt.Sprint(fields["response_length"], " ", fields["panic"], " ", fields["user"])
		if e.Level != tt.level || e.Message != "request" || fields["status_code"] != tt.status || got != tt.fields || e.Stack != "" {
			t.Errorf("%s: %v %q %v, %s, want %v, %d, %s; stack %q",
				tt.name, e.Level, e.Message, fields, got, tt.level, tt.status, tt.fields, e.Stack)
		}
	}
}

// The levels of zap decide what is worth the work, also for what comes from slog.
func TestSlogThroughZap(t *testing.T) {
	level := zap.NewAtomicLevelAt(zapcore.WarnLevel)
	core, entries := observer.New(level)
	logger := slogOf(core)
	logger.Info("not yet")
	level.SetLevel(zapcore.InfoLevel)
	logger.With("a", 1).WithGroup("g").Info("now", "b", "x")
	logged := entries.All()
	if len(logged) != 1 || fmt.Sprint(logged[0].ContextMap()) != "map[a:1 g:map[b:x]]" {
		t.Errorf("logged %v", logged)
	}
}
