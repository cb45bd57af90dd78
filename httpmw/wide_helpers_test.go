package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// wideLines takes the records of a slog handler, which come one by one, and some of them
// when the client has its response already.
type wideLines chan string

func newWideLines() wideLines { return make(wideLines, 1000) }

func (l wideLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// next returns the next record, which is one line.
func (l wideLines) next(t testing.TB) string {
	t.Helper()
	select {
	case line := <-l:
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Fatalf("the record is not one line: %q", line)
		}
		return strings.TrimSuffix(line, "\n")
	case <-time.After(patience):
		t.Fatal("there is no record")
		return ""
	}
}

// none fails if there is another record.
func (l wideLines) none(t testing.TB) {
	t.Helper()
	select {
	case line := <-l:
		t.Errorf("there is a record too many: %s", line)
	default:
	}
}

func (l wideLines) json() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

var wideVarying = regexp.MustCompile(`"time":"[^"]+"|"duration":[0-9]+`)

// wideSame replaces what differs from run to run.
func wideSame(line string) string {
	return wideVarying.ReplaceAllStringFunc(line, func(s string) string {
		name, _, _ := strings.Cut(s, ":")
		return name + ":0"
	})
}

// A wideRecord is what differs between records.
type wideRecord struct {
	level          string // "INFO" if empty
	status         int
	length         int64
	content        int64
	method, proto  string // "GET" and that of the server if empty
	remote         string // "127.0.0.1" if empty
	uri, agent     string // "/x" and "agent" if empty
	host, pattern  string // "example.com" if host is empty
	rest           string
	noHost, noPeer bool
}

// line is the whole record, with the time and the duration replaced.
func (r wideRecord) line() string {
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	host, remote := or(r.host, "example.com"), or(r.remote, "127.0.0.1")
	if r.noHost {
		host = ""
	}
	if r.noPeer {
		remote = ""
	}
	return fmt.Sprintf(`{"time":0,"level":%q,"msg":"request","status_code":%d,"response_length":%d,`+
		`"content_length":%d,"method":%q,"proto":%q,"remote_addr":%q,"uri":"%s","user_agent":"%s",`+
		`"host":%q,"pattern":%q,"duration":0%s}`, or(r.level, "INFO"), r.status, r.length, r.content,
		or(r.method, "GET"), or(r.proto, "HTTP/1.1"), remote, or(r.uri, "/x"), or(r.agent, "agent"),
		host, r.pattern, r.rest)
}

// want compares a record.
func (r wideRecord) want(t testing.TB, line string) {
	t.Helper()
	if got, want := wideSame(line), r.line(); got != want {
		t.Errorf("the record is\n%s, want\n%s", got, want)
	}
}

// wideServer starts a server, of HTTP/2 if the protocol is "HTTP/2.0".
func wideServer(t testing.TB, proto string, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.DisableGeneralOptionsHandler = true // which answers "OPTIONS *" itself
	if proto == "HTTP/2.0" {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// wideRaw sends a request as it stands, and returns what comes until the server closes the
// connection.
func wideRaw(t testing.TB, s *httptest.Server, request string) string {
	t.Helper()
	conn := connect(t, s.Listener.Addr().Network(), s.Listener.Addr().String())
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wideGet sends a request by either protocol, and returns the final status and body. A
// connection that ends before is status 0.
func wideGet(t testing.TB, s *httptest.Server, proto, method, target string) (int, string, error) {
	t.Helper()
	if proto == "HTTP/1.1" {
		conn := connect(t, s.Listener.Addr().Network(), s.Listener.Addr().String())
		request := method + " " + target + " HTTP/1.1\r\nHost: example.com\r\nUser-Agent: agent\r\nConnection: close\r\n\r\n"
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for {
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			if err != nil {
				return 0, "", err
			}
			if resp.StatusCode < 200 {
				continue
			}
			b, err := io.ReadAll(resp.Body)
			return resp.StatusCode, string(b), err
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "example.com"
	req.Header.Set("User-Agent", "agent")
	client := s.Client()
	client.Timeout = patience
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// wideDirect calls a handler below WideEvent without a server, and returns the record.
func wideDirect(t testing.TB, opts *httpmw.WideEventOptions, r *http.Request, h http.HandlerFunc) string {
	t.Helper()
	lines := newWideLines()
	httpmw.WideEvent(lines.json(), opts)(h).ServeHTTP(httptest.NewRecorder(), r)
	defer lines.none(t)
	return lines.next(t)
}
