package httpmw_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// The client of a Unix socket has no address, which the system writes as "@".
func TestWideEventUnixSocket(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	lines, text := newWideLines(), newWideLines()
	logger := slog.New(slog.NewMultiHandler(slog.NewJSONHandler(lines, nil), slog.NewTextHandler(text, nil)))
	s := httptest.NewUnstartedServer(httpmw.WideEvent(logger, nil)(http.NotFoundHandler()))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	wideRaw(t, s, "GET /x HTTP/1.1\r\nHost: example.com\r\nUser-Agent: agent\r\nConnection: close\r\n\r\n")
	wideRecord{status: 404, length: 19, remote: "@"}.want(t, lines.next(t))
	if line := text.next(t); !strings.Contains(line, " remote_addr=@ ") {
		t.Errorf("the record is %s", line)
	}
}
