package httpmw_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/memnet"
)

// bodyServe serves in memory, for tests in a bubble. It returns what dials.
func bodyServe(t *testing.T, h http.Handler) func() net.Conn {
	t.Helper()
	var network memnet.Network
	l, err := network.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(l)
	t.Cleanup(func() {
		srv.Close()
		time.Sleep(time.Second) // the bubble's: net/http takes its time to end connections
	})
	return func() net.Conn {
		conn, err := network.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
}

// bodyServeTCP is bodyServe with real sockets.
func bodyServeTCP(t *testing.T, h http.Handler) func() net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// A server of httptest would wait for net/http to end its connections.
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return func() net.Conn { return connect(t, "tcp", l.Addr().String()) }
}

var bodyDate = regexp.MustCompile(`Date: [^\r]*\r\n`)

// bodyAnswer reads one response, byte for byte but for the date. Informational ones are
// part of it.
func bodyAnswer(t *testing.T, r *bufio.Reader, method string) string {
	t.Helper()
	var raw bytes.Buffer
	tee := bufio.NewReaderSize(io.TeeReader(bodyOneByte{r}, &raw), 16)
	for {
		resp, err := http.ReadResponse(tee, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("no response but %q: %v", &raw, err)
		}
		if resp.StatusCode < 200 {
			continue
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("a part of a response, %q: %v", &raw, err)
		}
		return bodyDate.ReplaceAllString(raw.String(), "")
	}
}

// bodyOneByte reads no further than its reader asks, so that the next response stays.
type bodyOneByte struct{ r io.Reader }

func (o bodyOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

// bodyReused asks for /next on a connection that has answered, and reports whether that
// is answered too, or the connection ends.
func bodyReused(t *testing.T, conn net.Conn, r *bufio.Reader) bool {
	t.Helper()
	// Where the connection has ended, writing may fail, as reading will.
	_, _ = io.WriteString(conn, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
	return bodyNext(t, r)
}

func bodyNext(t *testing.T, r *bufio.Reader) bool {
	t.Helper()
	if _, err := r.Peek(1); err != nil {
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Fatal("the connection neither answers nor ends")
		}
		return false
	}
	got := bodyAnswer(t, r, "GET")
	if want := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nnext"; got != want {
		t.Fatalf("the next response is %q, want %q", got, want)
	}
	return true
}

// drainSite answers /next itself, and everything else by h behind DrainAndClose.
func drainSite(opts *httpmw.DrainOptions, h http.HandlerFunc) http.Handler {
	drained := httpmw.DrainAndClose(opts)(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/next" {
			if r.Context().Err() != nil {
				http.Error(w, "the context of a new request has ended", http.StatusInternalServerError)
				return
			}
			io.WriteString(w, "next")
			return
		}
		drained.ServeHTTP(w, r)
	})
}

const (
	drainHello    = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello"
	drainBye      = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nhello"
	drainContinue = "HTTP/1.1 100 Continue\r\n\r\n"
)

func drainUnread(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

// drainReads returns a handler that reads n bytes.
func drainReads(n int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got, err := io.CopyN(io.Discard, r.Body, n); got != n {
			http.Error(w, fmt.Sprint(err), http.StatusTeapot)
			return
		}
		io.WriteString(w, "hello")
	}
}

func drainPost(headers string, body string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body
}

func drainLength(n int64) string { return drainPost(fmt.Sprintf("Content-Length: %d\r\n", n), "") }

func drainFixed(n int) string { return drainLength(int64(n)) + strings.Repeat("x", n) }

func drainChunked(n int, end string) string {
	return drainPost("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n", n, strings.Repeat("x", n))+end)
}

type drainCase struct {
	name    string
	opts    *httpmw.DrainOptions
	handler http.HandlerFunc // drainUnread if nil
	send    string
	want    string
	reused  bool
}

var drainCases = []drainCase{
	{name: "small", send: drainFixed(10), want: drainHello, reused: true},
	{name: "at the limit", send: drainFixed(256 << 10), want: drainHello, reused: true},
	{name: "over the limit", send: drainFixed(256<<10 + 1), want: drainBye},
	{name: "over the limit, and not sent", send: drainLength(1 << 40), want: drainBye},
	{name: "at a limit above net/http's", opts: &httpmw.DrainOptions{MaxBytes: 1 << 20}, send: drainFixed(1 << 20), want: drainHello, reused: true},
	{name: "over a limit above net/http's", opts: &httpmw.DrainOptions{MaxBytes: 1 << 20}, send: drainFixed(1<<20 + 1), want: drainBye},
	{name: "at a small limit", opts: &httpmw.DrainOptions{MaxBytes: 10}, send: drainFixed(10), want: drainHello, reused: true},
	{name: "over a small limit", opts: &httpmw.DrainOptions{MaxBytes: 10}, send: drainFixed(11), want: drainBye},
	{name: "the largest limit", opts: &httpmw.DrainOptions{MaxBytes: 1<<63 - 1}, send: drainFixed(10), want: drainHello, reused: true},
	{name: "no limit to read within", opts: &httpmw.DrainOptions{MaxBytes: -1}, send: drainFixed(1), want: drainBye},
	{name: "no limit to read within, chunked", opts: &httpmw.DrainOptions{MaxBytes: -5}, send: drainChunked(10, "0\r\n\r\n"), want: drainBye},
	{name: "half-read", handler: drainReads(50), send: drainFixed(100), want: drainHello, reused: true},
	{name: "half-read, the rest at the limit", opts: &httpmw.DrainOptions{MaxBytes: 10}, handler: drainReads(90), send: drainFixed(100), want: drainHello, reused: true},
	{name: "read", handler: drainReads(100), send: drainFixed(100), want: drainHello, reused: true},
	{name: "read beyond the limit", opts: &httpmw.DrainOptions{MaxBytes: -1}, handler: drainReads(100), send: drainFixed(100), want: drainHello, reused: true},
	{name: "empty", opts: &httpmw.DrainOptions{MaxBytes: -1}, send: drainFixed(0), want: drainHello, reused: true},
	{name: "none", send: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", want: drainHello, reused: true},
	{name: "chunked", send: drainChunked(100, "0\r\n\r\n"), want: drainHello, reused: true},
	{name: "chunked at the limit", opts: &httpmw.DrainOptions{MaxBytes: 100}, send: drainChunked(100, "0\r\n\r\n"), want: drainHello, reused: true},
	{name: "chunked over the limit", opts: &httpmw.DrainOptions{MaxBytes: 99}, send: drainChunked(100, "0\r\n\r\n"), want: drainBye},
	{name: "chunked, with trailers", send: drainChunked(100, "0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n"), want: drainHello, reused: true},
	{name: "chunked, with a bad trailer", send: drainChunked(100, "0\r\nGET /next HTTP/1.1\r\n\r\n"), want: drainBye},
	{name: "chunked, then garbage", send: drainChunked(100, "GET /next HTTP/1.1\r\n\r\n"), want: drainBye},
	{name: "garbage for the handler", handler: drainReadsAll, send: drainChunked(100, "zz\r\n"), want: drainBye},
	{name: "closed by the handler", handler: drainCloses, send: drainFixed(100), want: drainHello, reused: true},
	{name: "closed by the handler, over the limit", opts: &httpmw.DrainOptions{MaxBytes: 10}, handler: drainCloses, send: drainFixed(100), want: drainBye},
	{
		name: "HTTP/1.0, kept alive", send: "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nxyz",
		want: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: keep-alive\r\n\r\nhello", reused: true,
	},
	{
		name: "HTTP/1.0", send: "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nxyz",
		want: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello",
	},
	{name: "Connection: close", send: drainPost("Connection: close\r\nContent-Length: 3\r\n", "xyz"), want: drainBye},
	{name: "flushed", handler: drainFlushes, send: drainFixed(100), want: drainFlushed(""), reused: true},
	{name: "flushed, then read", handler: drainFlushesFirst, send: drainFixed(100), want: drainFlushed(""), reused: true},
	{name: "flushed, over the limit", handler: drainFlushes, send: drainFixed(300 << 10), want: drainFlushed("Connection: close\r\n")},
	{name: "flushed, between the limits", opts: &httpmw.DrainOptions{MaxBytes: 1 << 20}, handler: drainFlushes, send: drainFixed(300 << 10), want: drainFlushed("Connection: close\r\n")},
	{name: "full duplex", handler: drainFullDuplex, send: drainFixed(100), want: drainFlushed(""), reused: true},
	{name: "full duplex, over the limit", handler: drainFullDuplex, opts: &httpmw.DrainOptions{MaxBytes: 10}, send: drainFixed(100), want: drainFlushed("")},
	{name: "MaxBytesReader inside", handler: drainLimited, send: drainFixed(100), want: "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n", reused: true},
	{name: "leave to send not given", send: drainPost("Expect: 100-continue\r\nContent-Length: 10\r\n", ""), want: drainBye},
	{name: "leave to send not given, in other letters", send: drainPost("EXPECT: x,\t100-Continue\r\nContent-Length: 10\r\n", ""), want: drainBye},
	{name: "leave to send not given, and closed", handler: drainCloses, send: drainPost("Expect: 100-continue\r\nContent-Length: 10\r\n", ""), want: drainBye},
	{name: "leave to send not waited for", send: drainPost("Expect: 100-continue\r\nContent-Length: 10\r\n", "0123456789"), want: drainBye},
	{name: "leave to send given", handler: drainReads(5), send: drainPost("expect: 100-Continue\r\nContent-Length: 10\r\n", "0123456789"), want: drainContinue + drainHello, reused: true},
	{name: "leave to send given, over the limit", opts: &httpmw.DrainOptions{MaxBytes: 4}, handler: drainReads(5), send: drainPost("Expect: 100-continue\r\nContent-Length: 10\r\n", "0123456789"), want: drainContinue + drainBye},
	{name: "read to the end with leave", handler: drainReadsAll, send: drainPost("Expect: 100-continue\r\nContent-Length: 10\r\n", "0123456789"), want: drainContinue + drainHello, reused: true},
}

func drainReadsAll(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // what garbage leads to is for the table
	io.WriteString(w, "hello")
}

func drainCloses(w http.ResponseWriter, r *http.Request) {
	err := r.Body.Close()
	if _, readErr := r.Body.Read(make([]byte, 1)); err != nil || readErr != http.ErrBodyReadAfterClose {
		http.Error(w, fmt.Sprint(err, readErr), http.StatusTeapot)
		return
	}
	io.WriteString(w, "hello")
}

func drainFlushes(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, "hello")
	http.NewResponseController(w).Flush() // the response shows if it fails
}

func drainFlushesFirst(w http.ResponseWriter, r *http.Request) {
	drainFlushes(w, r)
	if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		fmt.Fprint(w, err)
	}
}

func drainFlushed(header string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" + header + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
}

func drainFullDuplex(w http.ResponseWriter, r *http.Request) {
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	drainFlushes(w, r)
}

func drainLimited(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 10)); err == nil {
		err = errors.New("no error")
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	w.WriteHeader(http.StatusRequestEntityTooLarge)
}

func (tt drainCase) test(t *testing.T, serve func(*testing.T, http.Handler) func() net.Conn) {
	if tt.handler == nil {
		tt.handler = drainUnread
	}
	conn := serve(t, drainSite(tt.opts, tt.handler))()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// The server may end the connection under it.
		_, _ = io.WriteString(conn, tt.send)
	}()
	r := bufio.NewReader(conn)
	if got := bodyAnswer(t, r, "POST"); got != tt.want {
		t.Errorf("response = %q, want %q", got, tt.want)
	}
	if tt.reused {
		<-sent
		if !bodyReused(t, conn, r) {
			t.Error("the connection ended, want it reused")
		}
	} else if bodyNext(t, r) {
		t.Error("what follows was answered, want the end of the connection")
	}
}

// Each case says whether the connection is reused or ends, and what the response is to
// the byte. The tables run over sockets, and in memory, where there is no buffer of a
// kernel between the two ends.
func TestDrainAndClose(t *testing.T) {
	for _, tt := range drainCases {
		t.Run("tcp/"+tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, bodyServeTCP)
		})
		t.Run("memory/"+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.test(t, bodyServe) })
		})
	}
}

// A request that was sent behind a body that nobody read begins where the body ends, and
// one inside a body is none.
func TestDrainAndCloseFindsThePipelinedRequest(t *testing.T) {
	next := "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	bad := "GET /bad HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, send := range []string{
		drainPost(fmt.Sprintf("Content-Length: %d\r\n", len(bad)), bad) + next,
		drainPost("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\nX: y\r\n\r\n", len(bad), bad)) + next,
	} {
		dial := bodyServeTCP(t, drainSite(nil, drainUnread))
		conn := dial()
		if _, err := io.WriteString(conn, send); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if got := bodyAnswer(t, r, "POST"); got != drainHello {
			t.Errorf("first response = %q, want %q", got, drainHello)
		}
		if !bodyNext(t, r) {
			t.Error("the connection ended before the pipelined request")
		}
	}
	// Over the limit nothing behind is answered: the rest of a body must not be taken
	// for a request.
	conn := bodyServeTCP(t, drainSite(&httpmw.DrainOptions{MaxBytes: 5}, drainUnread))()
	if _, err := io.WriteString(conn, drainPost(fmt.Sprintf("Content-Length: %d\r\n", len(bad)), bad)+next); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if got := bodyAnswer(t, r, "POST"); got != drainBye {
		t.Errorf("response = %q, want %q", got, drainBye)
	}
	if bodyNext(t, r) {
		t.Error("what followed a body over the limit was answered")
	}
}
