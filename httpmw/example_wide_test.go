package httpmw_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"

	"github.com/netparts/netparts/httpmw"
)

// One record a request, here with eight attributes: what differs from run to run, and what
// this service does not need, is left out by the slog handler.
func ExampleWideEvent() {
	unwanted := []string{slog.TimeKey, "host", "pattern", "duration"}
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if slices.Contains(unwanted, a.Key) {
				return slog.Attr{}
			}
			return a
		},
	}))
	opts := &httpmw.WideEventOptions{Message: "answered"}
	handler := httpmw.WideEvent(logger, opts)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "Hello!"); err != nil {
			return // the record says so
		}
	}))

	r := httptest.NewRequest(http.MethodGet, "/test", nil)
	r.RemoteAddr = "127.0.0.1:54321"
	r.Header.Set("User-Agent", "Go-http-client/1.1")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// {"level":"INFO","msg":"answered","status_code":200,"response_length":6,"content_length":0,"method":"GET","proto":"HTTP/1.1","remote_addr":"127.0.0.1","uri":"/test","user_agent":"Go-http-client/1.1"}
}

// Of a query, the record has what the options name. Tokens are not among it.
func ExampleWideEvent_query() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "uri" {
				return a
			}
			return slog.Attr{}
		},
	}))
	opts := &httpmw.WideEventOptions{Query: []string{"page"}}
	handler := httpmw.WideEvent(logger, opts)(http.NotFoundHandler())

	r := httptest.NewRequest(http.MethodGet, "/chores?page=2&access_token=secret", nil)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// uri="/chores?page=2&redacted"
}

// A handler adds to the record of its request what only it knows.
func ExampleAddFields() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "status_code" || a.Key == "chores" {
				return a
			}
			return slog.Attr{}
		},
	}))
	list := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpmw.AddFields(r.Context(), slog.Int("chores", 3))
		w.WriteHeader(http.StatusNoContent)
	})
	handler := httpmw.WideEvent(logger, nil)(list)

	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/chores", nil))
	// Output:
	// status_code=204 chores=3
}

// A level that is changed while the server runs.
func ExampleLevelHandler() {
	var level slog.LevelVar // for the Level of slog.HandlerOptions
	server := httptest.NewServer(httpmw.LevelHandler(&level))
	defer server.Close()

	r, err := http.NewRequest(http.MethodPut, server.URL, strings.NewReader(`{"level":"debug"}`))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s%v\n", answer, level.Level())
	// Output:
	// {"level":"DEBUG"}
	// DEBUG
}
