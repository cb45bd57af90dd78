package httpmw_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// drainRecovers answers a panic with 500.
func drainRecovers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

const drainLong = 64 << 10

func drainWritesLong(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	for range drainLong / 1024 {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 1024)); err != nil {
			return
		}
	}
}

func drainWritesStrings(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	for range drainLong / 1024 {
		if _, err := io.WriteString(w, strings.Repeat("x", 1024)); err != nil {
			return
		}
	}
}

func drainReadsFrom(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "x.txt", time.Time{}, bytes.NewReader(bytes.Repeat([]byte("x"), drainLong)))
}

func drainPanics(http.ResponseWriter, *http.Request) { panic("a handler's") }

// However a handler answers, a client that does not send what it announced gets the
// response after MaxTime, and then the connection ends.
func TestDrainAndCloseCutsAStalledBody(t *testing.T) {
	long := strings.Repeat("x", drainLong)
	chunks := strings.Repeat("400\r\n"+long[:1024]+"\r\n", 62)
	for _, tt := range []struct {
		name    string
		handler http.Handler
		want    string
	}{
		{"buffered", http.HandlerFunc(drainUnread), drainBye},
		{"half-read", drainReads(2), drainBye},
		{"closed", http.HandlerFunc(drainCloses), drainBye},
		{"flushed", http.HandlerFunc(drainFlushes), drainFlushed("Connection: close\r\n")},
		{"full duplex", http.HandlerFunc(drainFullDuplex), drainFlushed("")},
		{
			"long", http.HandlerFunc(drainWritesLong),
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + long[:2048] + "\r\n" + chunks + "0\r\n\r\n",
		},
		{
			"long, of strings", http.HandlerFunc(drainWritesStrings),
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + long[:2048] + "\r\n" + chunks + "0\r\n\r\n",
		},
		{
			"read from", http.HandlerFunc(drainReadsFrom),
			"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: 65536\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" + long,
		},
	} {
		for _, sent := range []string{drainLength(10) + "half!", drainPost("Transfer-Encoding: chunked\r\n", "a\r\nhalf!")} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					opts := &httpmw.DrainOptions{MaxTime: 7 * time.Second}
					conn := bodyServe(t, drainSite(opts, tt.handler.ServeHTTP))()
					start := time.Now()
					if _, err := io.WriteString(conn, sent); err != nil {
						t.Fatal(err)
					}
					r := bufio.NewReader(conn)
					if got := drainUnchunk(bodyAnswer(t, r, "POST")); got != drainUnchunk(tt.want) {
						t.Errorf("response = %.200q, want %.200q", got, tt.want)
					}
					if bodyNext(t, r) {
						t.Error("what follows was answered, want the end of the connection")
					}
					if got := time.Since(start); got != opts.MaxTime {
						t.Errorf("it took %v, want %v", got, opts.MaxTime)
					}
				})
			})
		}
	}
}

// drainUnchunk makes the size of chunks, which is net/http's matter, irrelevant.
func drainUnchunk(response string) string {
	head, body, _ := strings.Cut(response, "\r\n\r\n")
	if strings.Contains(head, "chunked") {
		var b strings.Builder
		for line := range strings.SplitSeq(body, "\r\n") {
			if strings.HasPrefix(line, "x") || line == "hello" {
				b.WriteString(line)
			}
		}
		body = b.String()
	}
	return head + "\r\n\r\n" + body
}

// Nothing is drained after a panic, but what net/http reads then has its time.
func TestDrainAndCloseLetsAPanicPass(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := drainSite(nil, drainPanics)
			if recovers {
				h = drainRecovers(h)
			}
			conn := bodyServe(t, h)()
			start := time.Now()
			if _, err := io.WriteString(conn, drainLength(10)+"half!"); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if recovers {
				want = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
			}
			if got := bodyDate.ReplaceAllString(string(got), ""); !bodySameLines(got, want) {
				t.Errorf("recovered %v: response = %q, want %q", recovers, got, want)
			}
			if got := time.Since(start); got != time.Second {
				t.Errorf("recovered %v: it took %v, want 1s", recovers, got)
			}
		})
	}
	// What net/http reads by itself may be more than DrainAndClose would.
	conn := bodyServeTCP(t, drainRecovers(drainSite(&httpmw.DrainOptions{MaxBytes: -1}, drainPanics)))()
	if _, err := io.WriteString(conn, drainFixed(10)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if got, want := bodyAnswer(t, r, "POST"), "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("response = %q, want %q", got, want)
	}
	if !bodyReused(t, conn, r) {
		t.Error("the connection ended after a panic that was recovered, and a small body")
	}
}

// bodySameLines compares headers in any order.
func bodySameLines(a, b string) bool {
	count := make(map[string]int)
	for line := range strings.SplitSeq(a, "\r\n") {
		count[line]++
	}
	for line := range strings.SplitSeq(b, "\r\n") {
		count[line]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// A body that comes byte by byte for ever is cut like one that does not come.
func TestDrainAndCloseCutsADrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := bodyServe(t, drainSite(nil, drainUnread))()
		start := time.Now()
		go func() {
			_, err := io.WriteString(conn, drainPost("Transfer-Encoding: chunked\r\n", ""))
			for err == nil {
				time.Sleep(300 * time.Millisecond)
				_, err = io.WriteString(conn, "1\r\nx\r\n")
			}
		}()
		r := bufio.NewReader(conn)
		if got := bodyAnswer(t, r, "POST"); got != drainBye {
			t.Errorf("response = %q, want %q", got, drainBye)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("the response took %v, want 1s", got)
		}
	})
}

// Of an endless body no more is read than the limit, and what is in buffers.
func TestDrainAndCloseCutsAnEndlessBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := bodyServe(t, drainSite(&httpmw.DrainOptions{MaxBytes: 1 << 20}, drainUnread))()
		took := make(chan int)
		go func() {
			n, err := io.WriteString(conn, drainPost("Transfer-Encoding: chunked\r\n", ""))
			total := n
			for chunk := drainChunkOf(1024); err == nil; total += n {
				n, err = io.WriteString(conn, chunk)
			}
			took <- total
		}()
		r := bufio.NewReader(conn)
		if got := bodyAnswer(t, r, "POST"); got != drainBye {
			t.Errorf("response = %q, want %q", got, drainBye)
		}
		if bodyNext(t, r) {
			t.Error("what follows was answered, want the end of the connection")
		}
		time.Sleep(time.Second)
		if got := <-took; got < 1<<20 || got > 1<<20+128<<10 {
			t.Errorf("the server took %d bytes, want about %d", got, 1<<20)
		}
	})
}

func drainChunkOf(n int) string { return "400\r\n" + strings.Repeat("x", n) + "\r\n" }

// The client need not send the body: the response goes out at once, and if the client does
// not end the connection, the server does.
func TestDrainAndCloseAnswersAnUnaskedBodyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := bodyServe(t, drainSite(nil, drainCloses))()
		start := time.Now()
		if _, err := io.WriteString(conn, drainPost("Expect: 100-continue\r\nContent-Length: 10\r\n", "")); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if got := bodyAnswer(t, r, "POST"); got != drainBye {
			t.Errorf("response = %q, want %q", got, drainBye)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("the response took %v, want none", got)
		}
		if bodyNext(t, r) {
			t.Error("what follows was answered, want the end of the connection")
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("the connection ended after %v, want 1s", got)
		}
	})
}

// The deadline is for what the handler has left, not for what it reads, nor for what
// comes after.
func TestDrainAndCloseLeavesOtherReadsTheirTime(t *testing.T) {
	drip := func(conn net.Conn, s string) error {
		for _, c := range s {
			time.Sleep(500 * time.Millisecond)
			if _, err := io.WriteString(conn, string(c)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"read by the handler", drainReads(10), drainHello},
		{"read after a first write", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "he")
			if n, err := io.Copy(io.Discard, r.Body); n == 10 && err == nil {
				io.WriteString(w, "llo")
			}
		}, drainHello},
		{"read in full duplex", func(w http.ResponseWriter, r *http.Request) {
			if http.NewResponseController(w).EnableFullDuplex() != nil {
				return
			}
			w.(http.Flusher).Flush()
			if n, err := io.Copy(io.Discard, r.Body); n == 10 && err == nil {
				io.WriteString(w, "hello")
			}
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"slow source", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			src := io.MultiReader(drainSleeps{}, strings.NewReader(strings.Repeat("x", 1024)))
			if _, err := w.(io.ReaderFrom).ReadFrom(src); err != nil {
				return
			}
			if r.Context().Err() != nil {
				io.WriteString(w, "the context has ended")
			}
		}, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("x", 1024)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				site := drainSite(nil, tt.handler)
				conn := bodyServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					site.ServeHTTP(w, r)
					time.Sleep(5 * time.Second)
					if err := r.Context().Err(); err != nil {
						t.Errorf("the context ended behind DrainAndClose: %v", err)
					}
				}))()
				sent := make(chan error, 1)
				go func() {
					_, err := io.WriteString(conn, drainLength(10))
					if err == nil {
						err = drip(conn, "0123456789")
					}
					sent <- err
				}()
				r := bufio.NewReader(conn)
				if got := drainUnchunk(bodyAnswer(t, r, "POST")); got != drainUnchunk(tt.want) {
					t.Errorf("response = %q, want %q", got, tt.want)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
				if !bodyReused(t, conn, r) {
					t.Error("the connection ended")
				}
			})
		})
	}
}

// drainSleeps is a source that takes 20 s to be empty.
type drainSleeps struct{}

func (drainSleeps) Read([]byte) (int, error) {
	time.Sleep(20 * time.Second)
	return 0, io.EOF
}

// A middleware outside may put a body of its own in the way, at whose end the connection
// is not at the end of what it carries.
func TestDrainAndCloseLiftsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := drainSite(nil, drainUnread)
		conn := bodyServe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			shorter := r.WithContext(r.Context())
			shorter.Body = io.NopCloser(io.LimitReader(r.Body, 5))
			site.ServeHTTP(w, shorter)
		}))()
		if _, err := io.WriteString(conn, drainLength(10)+"01234"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := io.WriteString(conn, "56789"); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if got := bodyAnswer(t, r, "POST"); got != drainHello {
			t.Errorf("response = %q, want %q", got, drainHello)
		}
		if !bodyReused(t, conn, r) {
			t.Error("the connection ended")
		}
	})
}

// A connection that the handler took is its own, whatever of the body is unread.
func TestDrainAndCloseLeavesAHijackedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := make(chan *bufio.ReadWriter, 1)
		conn := bodyServe(t, drainSite(nil, func(w http.ResponseWriter, _ *http.Request) {
			c, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { c.Close() })
			taken <- rw
		}))()
		if _, err := io.WriteString(conn, drainLength(10)+"01234"); err != nil {
			t.Fatal(err)
		}
		rw := <-taken
		time.Sleep(time.Minute)
		if _, err := io.WriteString(conn, "56789"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		if _, err := io.ReadFull(rw, b); err != nil || string(b) != "0123456789" {
			t.Errorf("the handler's connection has %q, %v, want the whole body", b, err)
		}
	})
}
