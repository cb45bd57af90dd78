package httpmw_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// timeoutServer serves a handler on a network in memory, with HTTP/1.1 and HTTP/2.
type timeoutServer struct {
	http1, http2 *http.Client
	dial         func() net.Conn
}

// timeoutServe starts a server inside the bubble of the test, and ends it with the test.
func timeoutServe(t *testing.T, handler http.Handler) *timeoutServer {
	t.Helper()
	var network memnet.Network
	l, err := network.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	client := func(set func(*http.Protocols)) *http.Client {
		tr := &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return network.DialContext(ctx, "tcp", l.Addr().String())
			},
			Protocols: new(http.Protocols),
		}
		set(tr.Protocols)
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		time.Sleep(time.Hour) // of the bubble, until handlers have ended
	})
	return &timeoutServer{
		http1: client(func(p *http.Protocols) { p.SetHTTP1(true) }),
		http2: client(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }),
		dial: func() net.Conn {
			conn, err := network.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return conn
		},
	}
}

// timeoutBoth runs a test over HTTP/1.1 and HTTP/2, in a bubble each.
func timeoutBoth(t *testing.T, f func(t *testing.T, version int)) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, version) })
		})
	}
}

func (s *timeoutServer) client(version int) *http.Client {
	if version == 2 {
		return s.http2
	}
	return s.http1
}

// timeoutAnswer is what a client got, and when.
type timeoutAnswer struct {
	*http.Response
	body string
	err  error
	took time.Duration
}

func (s *timeoutServer) do(t *testing.T, version int, r *http.Request) timeoutAnswer {
	t.Helper()
	start := time.Now()
	resp, err := s.client(version).Do(r)
	if err != nil {
		return timeoutAnswer{err: err, took: time.Since(start)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return timeoutAnswer{resp, string(body), err, time.Since(start)}
}

func (s *timeoutServer) get(t *testing.T, version int) timeoutAnswer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, version, r)
}

// want checks an answer that is whole.
func (a timeoutAnswer) want(t *testing.T, status int, body string, took time.Duration) {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	if a.StatusCode != status || a.body != body || a.took != took {
		t.Errorf("got %d %q after %v, want %d %q after %v", a.StatusCode, a.body, a.took, status, body, took)
	}
}

// wantCut checks that the client saw that an answer is not whole.
func (a timeoutAnswer) wantCut(t *testing.T, took time.Duration) {
	t.Helper()
	if a.err == nil {
		t.Errorf("got %d %q as if it were whole", a.StatusCode, a.body)
	}
	if a.took != took {
		t.Errorf("cut after %v, want %v", a.took, took)
	}
}

func TestTimeoutInTime(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d, ok := r.Context().Deadline(); !ok || time.Until(d) != time.Second {
				t.Errorf("deadline %v, %t", time.Until(d), ok)
			}
			w.Header().Set("X-Handler", "yes")
			switch r.URL.Path {
			case "/nothing":
				return
			case "/status":
				w.WriteHeader(http.StatusTeapot)
			}
			time.Sleep(time.Second - 1)
			io.WriteString(w, "in time")
		})))
		for path, status := range map[string]int{"/": 200, "/status": 418} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, http.NoBody)
			a := s.do(t, version, r)
			a.want(t, status, "in time", time.Second-1)
			if a.Header.Get("X-Handler") != "yes" {
				t.Errorf("headers %v", a.Header)
			}
		}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/nothing", http.NoBody)
		a := s.do(t, version, r)
		a.want(t, 200, "", 0)
		if a.Header.Get("X-Handler") != "yes" {
			t.Errorf("headers of an empty response %v", a.Header)
		}
	})
}

func TestTimeoutDeafHandler(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		release, ended := make(chan bool), make(chan error, 1)
		outer := make(chan time.Duration, 1)
		start := time.Now()
		limited := httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			<-release
			if err := r.Context().Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("context: %v", err)
			}
			w.Header().Set("X-Late", "yes")
			w.WriteHeader(http.StatusTeapot)
			rc := http.NewResponseController(w)
			_, err := io.WriteString(w, "late")
			_, err2 := io.Copy(w, struct{ io.Reader }{strings.NewReader("late")})
			_, err3 := w.Write([]byte("late"))
			for _, err := range []error{
				err, err2, err3, rc.Flush(), rc.SetReadDeadline(time.Time{}),
				rc.SetWriteDeadline(time.Time{}), rc.EnableFullDuplex(),
			} {
				if !errors.Is(err, http.ErrHandlerTimeout) {
					t.Errorf("late use: %v", err)
				}
			}
			if _, _, err := rc.Hijack(); err == nil {
				t.Error("late hijack")
			}
			ended <- err
			panic("nobody hears of it")
		}))
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Outer", "yes")
			limited.ServeHTTP(w, r)
			outer <- time.Since(start)
		}))
		a := s.get(t, version)
		a.want(t, http.StatusServiceUnavailable, "Service Unavailable", time.Second)
		if a.Header.Get("X-Handler")+a.Header.Get("X-Late") != "" || a.Header.Get("X-Outer") != "yes" ||
			a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("headers %v", a.Header)
		}
		if a.Close != (version == 1) {
			t.Errorf("close %t", a.Close)
		}
		time.Sleep(time.Minute)
		release <- true
		<-ended
		// As the comment says of middleware outside.
		want := time.Second
		if version == 1 {
			want += time.Minute
		}
		if got := <-outer; got != want {
			t.Errorf("middleware outside went on after %v, want %v", got, want)
		}
	})
}

func TestTimeoutObedientHandler(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		opts := &httpmw.TimeoutOptions{Status: http.StatusGatewayTimeout, Body: "too slow"}
		s := timeoutServe(t, httpmw.Timeout(time.Second, opts)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			if err := context.Cause(r.Context()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("cause %v", err)
			}
			// What it says itself would be in a race with the timer.
			if r.URL.Path == "/itself" {
				http.Error(w, "I am late", http.StatusTeapot)
			}
		})))
		for _, path := range []string{"/", "/itself"} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, http.NoBody)
			s.do(t, version, r).want(t, http.StatusGatewayTimeout, "too slow", time.Second)
		}
	})
}

func TestTimeoutPattern(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chores/{id}", func(http.ResponseWriter, *http.Request) {})
	handler := httpmw.Timeout(time.Second, nil)(mux)
	for _, major := range []int{1, 2} {
		r := httptest.NewRequest(http.MethodGet, "/chores/1", http.NoBody)
		r.ProtoMajor = major
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if r.Pattern != "GET /chores/{id}" {
			t.Errorf("HTTP/%d: pattern %q", major, r.Pattern)
		}
	}
}

// Headers that were set before are the handler's to see and to delete.
func TestTimeoutHeaders(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		limited := httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if w.Header().Get("X-One") != "1" {
				t.Error("the handler does not see the headers")
			}
			w.Header().Del("X-One")
			w.Header()["X-Two"][0] = "changed"
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "hello")
			w.Header().Set("X-Sum", "5")
			w.Header().Set(http.TrailerPrefix+"X-Other", "6")
		}))
		s := timeoutServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-One", "1")
			w.Header().Set("X-Two", "2")
			limited.ServeHTTP(w, r)
		}))
		a := s.get(t, version)
		a.want(t, 200, "hello", 0)
		if a.Header.Get("X-One") != "" || a.Header.Get("X-Two") != "changed" {
			t.Errorf("headers %v", a.Header)
		}
		if a.Trailer.Get("X-Sum") != "5" || a.Trailer.Get("X-Other") != "6" {
			t.Errorf("trailers %v", a.Trailer)
		}
	})
}

// http.TimeoutHandler makes a 200 of this.
func TestTimeoutEarlyHintsThenStatus(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		s := timeoutServe(t, httpmw.Timeout(time.Second, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			if r.URL.Path == "/late" {
				<-r.Context().Done()
				return
			}
			w.Header().Del("Link")
			w.WriteHeader(http.StatusCreated)
		})))
		for path, status := range map[string]int{"/": 201, "/late": 503} {
			var hints []string
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
					hints = append(hints, fmt.Sprint(code, header.Get("Link")))
					return nil
				},
			})
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, http.NoBody)
			a := s.do(t, version, r)
			if a.err != nil || a.StatusCode != status || a.Header.Get("Link") != "" {
				t.Errorf("%s: %v %v", path, a.Response, a.err)
			}
			if fmt.Sprint(hints) != "[103</style.css>]" {
				t.Errorf("%s: early %q", path, hints)
			}
		}
	})
}

func TestTimeoutStream(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		s := timeoutServe(t, httpmw.Timeout(4500*time.Millisecond, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 10 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				if err := http.NewResponseController(w).Flush(); err != nil {
					return
				}
				time.Sleep(time.Second)
				if i == 3 && r.URL.Path == "/short" {
					return
				}
			}
		})))
		for _, path := range []string{"/short", "/long"} {
			start := time.Now()
			resp, err := s.client(version).Get("http://localhost" + path)
			if err != nil {
				t.Fatal(err)
			}
			var lines int
			sc := bufio.NewScanner(resp.Body)
			for sc.Scan() {
				if line := sc.Text(); line != "" {
					if at := time.Since(start); at != time.Duration(lines)*time.Second {
						t.Errorf("%s: %q after %v", path, line, at)
					}
					lines++
				}
			}
			resp.Body.Close()
			want, at := 4, 4*time.Second
			if path == "/long" {
				want, at = 5, 4500*time.Millisecond
			}
			if lines != want || time.Since(start) != at || (sc.Err() != nil) != (path == "/long") {
				t.Errorf("%s: %d events, then %v after %v", path, lines, sc.Err(), time.Since(start))
			}
		}
	})
}

func TestTimeoutNested(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		for _, tt := range []struct{ outer, inner time.Duration }{{1, 3}, {3, 1}} {
			release := make(chan bool)
			deaf := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
			inner := httpmw.Timeout(tt.inner*time.Second, &httpmw.TimeoutOptions{Body: "inner"})(deaf)
			s := timeoutServe(t, httpmw.Timeout(tt.outer*time.Second, &httpmw.TimeoutOptions{Body: "outer"})(inner))
			a := s.get(t, version)
			body := "inner"
			if tt.outer < tt.inner {
				body = "outer"
			}
			a.want(t, 503, body, min(tt.outer, tt.inner)*time.Second)
			close(release)
		}
	})
}

func TestTimeoutClientThatLeaves(t *testing.T) {
	timeoutBoth(t, func(t *testing.T, version int) {
		left := make(chan error, 1)
		s := timeoutServe(t, httpmw.Timeout(time.Hour, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			left <- r.Context().Err()
		})))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/", http.NoBody)
		if a := s.do(t, version, r); a.err == nil {
			t.Error("the client did not leave")
		}
		start := time.Now()
		if err := <-left; !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("the handler learned %v after %v", err, time.Since(start))
		}
	})
}

func TestTimeoutWithoutTime(t *testing.T) {
	for _, d := range []time.Duration{0, -1} {
		w := httptest.NewRecorder()
		httpmw.Timeout(d, nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("the handler runs")
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if w.Code != 503 || w.Body.String() != "Service Unavailable" {
			t.Errorf("%v: %d %q", d, w.Code, w.Body)
		}
	}
}

func TestTimeoutSkip(t *testing.T) {
	opts := &httpmw.TimeoutOptions{Skip: func(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }}
	handler := httpmw.Timeout(time.Nanosecond, opts)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := r.Context().Deadline(); ok {
			t.Error("it has a limit")
		}
	}))
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Upgrade", "websocket")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

func TestTimeoutThatCannotAnswer(t *testing.T) {
	for _, status := range []int{-1, 100, 200, 204, 304, 399, 600} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("status %d is accepted", status)
				}
			}()
			httpmw.Timeout(time.Second, &httpmw.TimeoutOptions{Status: status})
		}()
	}
}
