package logging_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// A level in a slog.LevelVar may change while everybody logs. A service that has an address
// for its operators, and for nobody else, lets them change it there, without a new start that
// would lose what they look for.
func Example_levelOverHTTP() {
	var level slog.LevelVar // Info, until somebody sets it
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: &level, ReplaceAttr: noTime}))
	operators := httptest.NewServer(httpmw.LevelHandler(&level))
	defer operators.Close()
	client := operators.Client()
	client.Timeout = time.Minute

	set := func(body string) {
		req, err := http.NewRequest(http.MethodPut, operators.URL, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %s", resp.StatusCode, answer)
	}

	logger.Debug("this is below the threshold")
	set(`{"level":"debug"}`)
	logger.Debug("the second packet arrives")
	set(`{"level":"info"}`)
	logger.Debug("this is below the threshold again")
	logger.Info("the connection ends")
	// Output:
	// 200 {"level":"DEBUG"}
	// level=DEBUG msg="the second packet arrives"
	// 200 {"level":"INFO"}
	// level=INFO msg="the connection ends"
}

// What the handler answers: a level that it does not know changes nothing.
func TestLevelOverHTTP(t *testing.T) {
	var level slog.LevelVar
	handler := httpmw.LevelHandler(&level)
	for _, tt := range []struct {
		method, body string
		status       int
		level        slog.Level // after it
	}{
		{http.MethodGet, "", 200, slog.LevelInfo},
		{http.MethodPut, `{"level":"debug"}`, 200, slog.LevelDebug},
		{http.MethodGet, "", 200, slog.LevelDebug},
		{http.MethodPut, `{"level":"loud"}`, 400, slog.LevelDebug},
		{http.MethodPut, "", 400, slog.LevelDebug},
		{http.MethodPut, `{"level":"INFO"`, 400, slog.LevelDebug},
		{http.MethodPut, strings.Repeat(" ", 2<<10), 413, slog.LevelDebug},
		{http.MethodPost, `{"level":"info"}`, 405, slog.LevelDebug},
		{http.MethodDelete, "", 405, slog.LevelDebug},
		{http.MethodPut, `{"level":"WARN+1"}`, 200, slog.LevelWarn + 1},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body)))
		if w.Code != tt.status || level.Level() != tt.level {
			t.Errorf("%s %.20q: %d and %v, want %d and %v", tt.method, tt.body, w.Code, level.Level(), tt.status, tt.level)
		}
		if want := fmt.Sprintf("{\"level\":%q}\n", tt.level); tt.status == 200 && w.Body.String() != want {
			t.Errorf("%s %.20q: the answer is %q, want %q", tt.method, tt.body, w.Body, want)
		}
		if allow := w.Header().Get("Allow"); tt.status == 405 && allow != "GET, HEAD, PUT" {
			t.Errorf("%s: Allow is %q", tt.method, allow)
		}
	}
}

// The level changes while others log, which the race detector watches. A slog.Level in a
// variable would be a race: handlers get the slog.LevelVar itself, for each record to ask.
func TestLevelChangesWhileOthersLog(t *testing.T) {
	var b bytes.Buffer
	var level slog.LevelVar
	logger := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: &level, ReplaceAttr: noTime}))
	handler := httpmw.LevelHandler(&level)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 100 {
				logger.Debug("maybe")
				logger.Info("always")
			}
		})
	}
	group.Go(func() {
		for i := range 100 {
			body := fmt.Sprintf(`{"level":%q}`, []string{"debug", "info"}[i%2])
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/", strings.NewReader(body)))
			if w.Code != http.StatusOK {
				t.Errorf("PUT of %s: %d", body, w.Code)
			}
		}
	})
	group.Wait()
	if n := strings.Count(b.String(), "level=INFO msg=always\n"); n != 400 {
		t.Errorf("%d records of Info, want 400", n)
	}
	logger.Debug("off")
	level.Set(slog.LevelDebug)
	logger.Debug("on")
	if strings.Contains(b.String(), "msg=off\n") || !strings.HasSuffix(b.String(), "msg=on\n") {
		t.Error("the last level that was set does not hold")
	}
}
