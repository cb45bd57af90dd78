package httpmw_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// An instrumentLog is an Observer that passes on what it is told.
type instrumentLog struct {
	begun chan struct{}
	ended chan httpmw.Observation
}

func newInstrumentLog() *instrumentLog {
	return &instrumentLog{begun: make(chan struct{}, 100), ended: make(chan httpmw.Observation, 100)}
}

func (l *instrumentLog) Begin()                   { l.begun <- struct{}{} }
func (l *instrumentLog) End(o httpmw.Observation) { l.ended <- o }

// next waits for the end of a request, and checks that there was one beginning, and one end.
func (l *instrumentLog) next(t *testing.T) httpmw.Observation {
	t.Helper()
	var o httpmw.Observation
	select {
	case o = <-l.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("no request has ended after 10 seconds")
	}
	if len(l.begun) != 1 || len(l.ended) != 0 {
		t.Errorf("Begin was called %d times and End %d times, want once each", len(l.begun), len(l.ended)+1)
	}
	for range len(l.begun) {
		<-l.begun
	}
	return o
}

// instrumentServer serves HTTP/1.1 and h2c, and returns its address. It logs nothing.
func instrumentServer(t *testing.T, handler http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// instrumentClients returns a client of HTTP/1.1 and one of h2c.
func instrumentClients(t *testing.T) map[string]*http.Client {
	clients := make(map[string]*http.Client)
	for _, name := range []string{"HTTP/1.1", "HTTP/2"} {
		p := new(http.Protocols)
		p.SetHTTP1(name == "HTTP/1.1")
		p.SetUnencryptedHTTP2(name == "HTTP/2")
		transport := &http.Transport{Protocols: p}
		t.Cleanup(transport.CloseIdleConnections)
		clients[name] = &http.Client{
			Transport:     transport,
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return clients
}

// instrumentGet makes a request and reads its response to the end. Its error is that the
// response is cut or missing, which the server may intend.
func instrumentGet(t *testing.T, c *http.Client, method, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// instrumentCases are handlers, and what Instrument says about them.
var instrumentCases = []struct {
	name    string
	method  string // GET if empty
	path    string // "/" if empty
	handler http.HandlerFunc
	want    httpmw.Observation
}{
	{
		name:    "nothing written",
		handler: func(http.ResponseWriter, *http.Request) {},
		want:    httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "/", Status: 200},
	},
	{
		name:    "implicit 200",
		handler: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		want:    httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "/", Status: 200, Bytes: 5},
	},
	{
		name:    "status alone",
		method:  "DELETE",
		handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		want:    httpmw.Observation{Method: "DELETE", Class: "2xx", Pattern: "/", Status: 204},
	},
	{
		name: "early hints are no final status",
		handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(404)
		},
		want: httpmw.Observation{Method: "GET", Class: "4xx", Pattern: "/", Status: 404},
	},
	{
		name:    "early hints and no final status",
		handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103) },
		want:    httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "/", Status: 200},
	},
	{
		name: "a second status",
		handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			w.WriteHeader(200)
		},
		want: httpmw.Observation{Method: "GET", Class: "5xx", Pattern: "/", Status: 500},
	},
	{
		name:    "a status beyond the classes",
		handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(999) },
		want:    httpmw.Observation{Method: "GET", Class: "other", Pattern: "/", Status: 999},
	},
	{
		name:    "flush alone",
		handler: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		want:    httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "/", Status: 200},
	},
	{
		name:    "the body of HEAD is not sent",
		method:  "HEAD",
		handler: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		want:    httpmw.Observation{Method: "HEAD", Class: "2xx", Pattern: "/", Status: 200},
	},
	{
		name:    "methods are case-sensitive",
		method:  "get",
		handler: func(http.ResponseWriter, *http.Request) {},
		want:    httpmw.Observation{Method: "other", Class: "2xx", Pattern: "/", Status: 200},
	},
	{
		name:    "a body that is not allowed is no write error",
		handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304); fmt.Fprint(w, "hello") },
		want:    httpmw.Observation{Method: "GET", Class: "3xx", Pattern: "/", Status: 304},
	},
	{
		name:    "panic before the response",
		handler: func(http.ResponseWriter, *http.Request) { panic("as intended") },
		want:    httpmw.Observation{Method: "GET", Class: "other", Pattern: "/", Panicked: true},
	},
	{
		name: "panic within the response",
		handler: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hel")
			w.(http.Flusher).Flush()
			panic("as intended")
		},
		want: httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "/", Status: 200, Bytes: 3, Panicked: true},
	},
	{
		name:    "panic with nil",
		handler: func(http.ResponseWriter, *http.Request) { panic(nil) },
		want:    httpmw.Observation{Method: "GET", Class: "other", Pattern: "/", Panicked: true},
	},
	{
		name:    "a connection that is cut on purpose",
		handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		want:    httpmw.Observation{Method: "GET", Class: "other", Pattern: "/"},
	},
	{
		name:    "a goroutine that ends",
		handler: func(http.ResponseWriter, *http.Request) { runtime.Goexit() },
		want:    httpmw.Observation{Method: "GET", Class: "other", Pattern: "/"},
	},
	{
		name:    "no pattern",
		path:    "/api/missing",
		handler: func(http.ResponseWriter, *http.Request) {},
		want:    httpmw.Observation{Method: "GET", Class: "4xx", Pattern: "unmatched", Status: 404, Bytes: 19},
	},
	{
		name:    "a pattern of another method",
		method:  "DELETE",
		path:    "/api/chores/7",
		handler: func(http.ResponseWriter, *http.Request) {},
		want:    httpmw.Observation{Method: "DELETE", Class: "4xx", Pattern: "unmatched", Status: 405, Bytes: 19},
	},
	{
		name:    "a pattern with a wildcard",
		path:    "/api/chores/7",
		handler: func(http.ResponseWriter, *http.Request) {},
		want:    httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "GET /api/chores/{id}", Status: 200},
	},
}

func TestInstrumentTellsOfARequest(t *testing.T) {
	for protocol, client := range instrumentClients(t) {
		for _, tt := range instrumentCases {
			t.Run(protocol+" "+tt.name, func(t *testing.T) {
				mux := http.NewServeMux()
				mux.Handle("/{$}", tt.handler)
				mux.Handle("GET /api/chores/{id}", tt.handler)
				l := newInstrumentLog()
				addr := instrumentServer(t, httpmw.Instrument(l, nil)(mux))
				method, path := tt.method, tt.path
				if method == "" {
					method = "GET"
				}
				if path == "" {
					path = "/"
				}
				// Whether the response is whole is net/http's part.
				_ = instrumentGet(t, client, method, "http://"+addr+path)
				got := l.next(t)
				if got.Duration < 0 || got.Duration > 10*time.Second {
					t.Errorf("Duration = %v, want what the request took", got.Duration)
				}
				got.Duration = 0
				want := tt.want
				if want.Pattern == "/" {
					want.Pattern = "/{$}"
				}
				if got != want {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		}
	}
}

// What a handler panics with goes on to whom it may concern, be it comparable or not.
func TestInstrumentKeepsThePanicsValue(t *testing.T) {
	for _, value := range []any{"text", errors.New("as intended"), http.ErrAbortHandler, new(int)} {
		l := newInstrumentLog()
		h := httpmw.Instrument(l, nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) }))
		var got any
		func() {
			defer func() { got = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		if got != value {
			t.Errorf("the panic's value is %v, want %v", got, value)
		}
		l.next(t)
	}
	l := newInstrumentLog()
	h := httpmw.Instrument(l, nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic([]int{1}) }))
	func() {
		defer func() {
			if s, ok := recover().([]int); !ok || len(s) != 1 {
				t.Error("a slice as the panic's value is lost")
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	if !l.next(t).Panicked {
		t.Error("Panicked = false")
	}
}

// In the order that the package recommends, the response is what the client gets, and a
// panic counts although Recover has ended it.
func TestInstrumentOutsideOfRecover(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    httpmw.Observation
	}{
		{
			"before the response",
			func(http.ResponseWriter, *http.Request) { panic("as intended") },
			httpmw.Observation{Method: "GET", Class: "5xx", Pattern: "unmatched", Status: 500, Bytes: 22, Panicked: true},
		},
		{
			"within the response",
			func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "hel")
				panic("as intended")
			},
			httpmw.Observation{Method: "GET", Class: "2xx", Pattern: "unmatched", Status: 200, Bytes: 3, Panicked: true},
		},
		{
			"on purpose",
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			httpmw.Observation{Method: "GET", Class: "other", Pattern: "unmatched"},
		},
	} {
		for protocol, client := range instrumentClients(t) {
			t.Run(protocol+" "+tt.name, func(t *testing.T) {
				l := newInstrumentLog()
				addr := instrumentServer(t, httpmw.Instrument(l, nil)(httpmw.Recover(nil)(tt.handler)))
				_ = instrumentGet(t, client, "GET", "http://"+addr) // which is cut in some cases
				got := l.next(t)
				got.Duration = 0
				if got != tt.want {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
			})
		}
	}
}

func TestInstrumentDurationIsUntilTheHandlerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newInstrumentLog()
		h := httpmw.Instrument(l, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
			<-time.After(90 * time.Minute)
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if got := l.next(t).Duration; got != 90*time.Minute {
			t.Errorf("Duration = %v, want 1h30m", got)
		}
	})
}

// A handler that takes the connection is told of when it ends, not when it takes it.
func TestInstrumentHijack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int // that WriteHeader is called with before
		want   httpmw.Observation
	}{
		{"without a status", 0, httpmw.Observation{Method: "GET", Class: "other", Pattern: "unmatched", Hijacked: true}},
		{"after 101", 101, httpmw.Observation{Method: "GET", Class: "1xx", Pattern: "unmatched", Status: 101, Hijacked: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newInstrumentLog()
			addr := instrumentServer(t, httpmw.Instrument(l, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tt.status != 0 {
					w.WriteHeader(tt.status)
				}
				conn, rw, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if len(l.ended) != 0 {
					t.Error("End was called before the handler's end")
				}
				fmt.Fprint(rw, "taken\n")
				if err := rw.Flush(); err != nil {
					t.Error(err)
				}
			})))
			conn := connect(t, "tcp", addr)
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			b, err := io.ReadAll(conn)
			if err != nil || !strings.HasSuffix(string(b), "taken\n") {
				t.Errorf("read %q, %v, want what the handler wrote at the end", b, err)
			}
			got := l.next(t)
			got.Duration = 0
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestInstrumentWriteError(t *testing.T) {
	for protocol, client := range instrumentClients(t) {
		t.Run(protocol, func(t *testing.T) {
			l := newInstrumentLog()
			addr := instrumentServer(t, httpmw.Instrument(l, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for p := make([]byte, 1<<16); ; {
					if _, err := w.Write(p); err != nil {
						return
					}
				}
			})))
			resp, err := client.Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close() // unread: the client is gone
			if o := l.next(t); o.WriteErr == nil || o.Class != "2xx" || o.Panicked {
				t.Errorf("got %+v, want one of class 2xx with WriteErr", o)
			}
		})
	}
}
