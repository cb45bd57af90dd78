package gcp

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

func TestMain(m *testing.M) {
	os.Exit(rig.Main(m, map[string]func(){"once": func() {
		for range 2 {
			w := httptest.NewRecorder()
			LatestXKCD(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}")))
			os.Stdout.WriteString(strings.TrimSpace(w.Body.String()) + "\n")
		}
	}}))
}

// The state is that of the process, and made by its first request, so each test is one.
func TestLatestXKCD(t *testing.T) {
	f := rig.NewFeed(t, rig.Walk)
	p := rig.Start(t, "once", xkcd.FeedVariable+"="+f.URL)
	for range 2 {
		line, err := p.Stdout.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, `{"title":"A walk",`) {
			t.Errorf("%q, %v", line, err)
		}
	}
	if status := p.Status(t); status != 0 {
		t.Errorf("status %d", status)
	}
	if got := strings.Join(f.Requests(), "|"); got != `whole: 200|since "v1": 304` {
		t.Errorf("the feed was asked %s", got)
	}
}

func TestLatestXKCDWithoutAFeed(t *testing.T) {
	p := rig.Start(t, "once", xkcd.FeedVariable+"=comics")
	if line, err := p.Stdout.ReadString('\n'); err != nil || line != "Internal Server Error\n" {
		t.Errorf("%q, %v", line, err)
	}
	if status := p.Status(t); status != 0 || !strings.Contains(p.Stderr.String(), `"severity":"ERROR","message":"there is no service"`) {
		t.Errorf("status %d, %s", status, p.Stderr)
	}
}

func TestLoggerSpeaksLikeCloudLogging(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "", slog.LevelInfo: "INFO", slog.LevelWarn: "WARNING", slog.LevelError: "ERROR",
	} {
		var b bytes.Buffer
		newLogger(&b).Log(t.Context(), level, "hello", slog.Group("g", "msg", "kept"))
		if want == "" {
			if b.Len() != 0 {
				t.Errorf("%v: %s", level, &b)
			}
			continue
		}
		var got struct {
			Severity, Message, Level, Msg string
			G                             struct{ Msg string }
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Severity != want || got.Message != "hello" || got.Level != "" || got.Msg != "" || got.G.Msg != "kept" {
			t.Errorf("%v: %s", level, &b)
		}
	}
}
