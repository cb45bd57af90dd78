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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// bookKeys leaves what differs from run to run out of the records of requests, and what the
// Example does not need. A service keeps it all: how long a request took above all.
func bookKeys(groups []string, a slog.Attr) slog.Attr {
	if slices.Contains([]string{"host", "pattern", "duration"}, a.Key) {
		return slog.Attr{}
	}
	return noTime(groups, a)
}

// A wide event is one record about each request, with all that is known when it has ended,
// where many records would have to be joined again by who reads them. The handler needs to do
// nothing for it. Closing the server waits for the record, which a client that has its answer
// does not.
func Example_wideRecord() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: bookKeys}))
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "Hello!"); err != nil {
			return // the record says so
		}
	})
	options := &httpmw.WideEventOptions{Message: "answered"}
	server := httptest.NewServer(httpmw.WideEvent(logger, options)(hello))
	defer server.Close()

	client := server.Client()
	client.Timeout = time.Minute
	resp, err := client.Get(server.URL + "/test")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		log.Fatal(err)
	}
	server.Close()
	fmt.Printf("%s\n", body)
	// Output:
	// {"level":"INFO","msg":"answered","status_code":200,"response_length":6,"content_length":0,"method":"GET","proto":"HTTP/1.1","remote_addr":"127.0.0.1","uri":"/test","user_agent":"Go-http-client/1.1"}
	// Hello!
}

// What a handler knows belongs into the same record, rather than into one of its own: what it
// did, for whom, and why it failed.
func Example_wideFields() {
	logger := slog.New(onlyKeys(os.Stdout, "level", "status_code", "chores", "error"))
	handler := httpmw.WideEvent(logger, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpmw.AddFields(r.Context(), slog.Int("chores", 3), slog.String("error", "disk full"))
		http.Error(w, "Internal server error", http.StatusInternalServerError)
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/chores", nil))
	// Output:
	// level=ERROR status_code=500 chores=3 error="disk full"
}

// A ResponseWriter does not tell what was sent. Who wraps one to learn it has to know that
// there is a status also if nobody names one, that the first one counts, that those of 1xx are
// not it, and that a handler may have ended by a panic.
func TestWideEventStatus(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"nothing is written", func(http.ResponseWriter, *http.Request) {}, "level=INFO status_code=200 response_length=0"},
		{"a body alone", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "Hello!")
		}, "level=INFO status_code=200 response_length=6"},
		{"a body in parts", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, "Hello, ")
			io.Copy(w, strings.NewReader("friend!"))
		}, "level=INFO status_code=201 response_length=14"},
		{"hints first", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		}, "level=INFO status_code=404 response_length=0"},
		{"a panic", func(http.ResponseWriter, *http.Request) {
			panic("a fault")
		}, "level=ERROR status_code=0 response_length=0 panic=string"},
		{"a panic behind the body", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "Hello!")
			panic(http.ErrAbortHandler)
		}, "level=INFO status_code=200 response_length=6 panic=http.ErrAbortHandler"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := wideRecord(t, tt.handler)
			if got != tt.want+"\n" {
				t.Errorf("the record is %q, want %q", got, tt.want)
			}
		})
	}
}

// wideRecord lets a server answer one request, and returns what it has logged about it, and
// the body that the client got.
func wideRecord(t *testing.T, handler http.HandlerFunc) (record, body string) {
	t.Helper()
	var b bytes.Buffer
	logger := slog.New(onlyKeys(&b, "level", "status_code", "response_length", "panic", "write_error"))
	server := httptest.NewUnstartedServer(httpmw.WideEvent(logger, nil)(handler))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the panics too
	server.Start()
	defer server.Close()
	client := server.Client()
	client.Timeout = time.Minute
	if resp, err := client.Get(server.URL); err == nil { // a panic leaves none
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil && err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
		resp.Body.Close()
		body = string(text)
	}
	server.Close()
	return b.String(), body
}

// A wrapped ResponseWriter is as able as the one below: it still flushes, by way of the
// ResponseController. One that embeds the interface alone hides that.
func TestWideEventStillFlushes(t *testing.T) {
	record, body := wideRecord(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "now")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		hiding := struct{ http.ResponseWriter }{w}
		if err := http.NewResponseController(hiding).Flush(); err == nil {
			t.Error("a writer that hides Flush flushes")
		}
	})
	if record != "level=INFO status_code=200 response_length=3\n" || body != "now" {
		t.Errorf("the record is %q, the body %q", record, body)
	}
}

// A token in the query is not logged, and what a client sends as the name of its program
// cannot forge a record.
func TestWideEventOfAnAttack(t *testing.T) {
	var b bytes.Buffer
	logger := slog.New(onlyKeys(&b, "uri", "user_agent"))
	handler := httpmw.WideEvent(logger, &httpmw.WideEventOptions{Query: []string{"page"}})(http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "/chores?page=2&access_token=hunter2", nil)
	r.Header.Set("User-Agent", "x\nstatus_code=200\x1b[2J")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	const want = `uri="/chores?page=2&redacted" user_agent="x\\nstatus_code=200\\x1b[2J"` + "\n"
	if b.String() != want {
		t.Errorf("the record is %s, want %s", &b, want)
	}
}
