package httpmw_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// stalls sends raw to a server of NewServer, then nothing, and returns how long the
// connection lives.
func stalls(t *testing.T, raw string, handler http.Handler) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, handler.ServeHTTP).dial()
		c.send(raw)
		begin := time.Now()
		if err := c.SetReadDeadline(begin.Add(24 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c.r) // a deadline that is met shows in the time
		took = time.Since(begin)
	})
	return took
}

// stallReads flushes, by which net/http reads a part of the body, and then reads on.
func stallReads(w http.ResponseWriter, r *http.Request) {
	if _, err := io.WriteString(w, "x"); err != nil || http.NewResponseController(w).Flush() != nil {
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
		panic(err)
	}
}

// What DrainAndClose sets for net/http is neither the end of the server's limit nor of the
// handler's own.
func TestDrainAndCloseLeavesTheLimitOnBodies(t *testing.T) {
	before := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.CopyN(io.Discard, r.Body, 200<<10); err != nil {
			t.Error(err)
		}
		stallReads(w, r)
	}
	own := func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Error(err)
		}
		stallReads(w, r)
	}
	short := strings.Replace(sized, "1000000", "10000", 1)
	long := sized + strings.Repeat("x", 300<<10)
	endless := chunked + "f4240\r\n"
	exact := endless + strings.Repeat("x", 200<<10+256<<10+1) // nothing is left for the second read
	for _, tt := range []struct {
		name, raw string
		handler   http.HandlerFunc
		least     time.Duration
		most      time.Duration
	}{
		{"more than net/http reads", long, stallReads, 300 * time.Second, 400 * time.Second},
		{"less than net/http reads of chunks", endless + "0123456789", stallReads, time.Second, time.Second},
		{"read before", exact, before, 200 * time.Second, 300 * time.Second},
		{"less than net/http reads", short + "0123456789", stallReads, time.Second, time.Second},
		{"a deadline of the handler", long, own, 5 * time.Second, 5 * time.Second},
		{"unread", short + "0123456789", func(http.ResponseWriter, *http.Request) {}, time.Second, time.Second},
	} {
		for name, mw := range map[string]httpmw.Middleware{
			"alone":         httpmw.DrainAndClose(nil),
			"twice":         httpmw.Chain(httpmw.DrainAndClose(nil), httpmw.DrainAndClose(nil)),
			"in a Timeout":  httpmw.Chain(httpmw.Timeout(time.Hour, nil), httpmw.DrainAndClose(nil)),
			"over MaxBody":  httpmw.Chain(httpmw.DrainAndClose(nil), httpmw.MaxBody(1<<20)),
			"under MaxBody": httpmw.Chain(httpmw.MaxBody(1<<20), httpmw.DrainAndClose(nil)),
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				if took := stalls(t, tt.raw, mw(tt.handler)); took < tt.least || took > tt.most {
					t.Errorf("the connection ends after %v, want %v to %v", took, tt.least, tt.most)
				}
			})
		}
	}
}

// So it is with a deadline that was set outside of DrainAndClose.
func TestDrainAndCloseLeavesTheDeadlineOfOthers(t *testing.T) {
	handler := httpmw.DrainAndClose(nil)(http.HandlerFunc(stallReads))
	took := stalls(t, sized+strings.Repeat("x", 300<<10), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Error(err)
		}
		handler.ServeHTTP(w, r)
	}))
	if took != 5*time.Second {
		t.Errorf("the connection ends after %v, want 5s", took)
	}
}

// Without the limit of NewServer a deadline of the handler still outlasts a flush.
func TestDrainAndCloseGivesTheHandlersDeadlineBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		conn := bodyServe(t, httpmw.DrainAndClose(nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			if err := rc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
			if err := rc.Flush(); err != nil {
				t.Error(err)
			}
			_, err := io.Copy(io.Discard, r.Body)
			ended <- err
		})))()
		begin := time.Now()
		if _, err := io.WriteString(conn, sized+strings.Repeat("x", 300<<10)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if took := time.Since(begin); took != time.Minute || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("reading ends after %v with %v, want 1m0s and the deadline", took, err)
			}
		case <-time.After(time.Hour):
			t.Error("the handler's deadline is gone")
		}
	})
}

// net/http answers "OPTIONS *" itself, and would wait for the body without a limit.
func TestServerCutsTheBodyOfGeneralOptions(t *testing.T) {
	const options = "OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: "
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") })
	if took := stalls(t, options+"10\r\n\r\n", handler); took > time.Minute {
		t.Errorf("the connection ends after %v", took)
	}
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, handler).dial()
		for _, rest := range []string{"0\r\n\r\n", "2\r\n\r\nxx"} {
			c.send(options + rest)
			if resp, body := c.answer(); resp.StatusCode != 200 || body != "" || resp.ContentLength != 0 || resp.Close {
				t.Errorf("answer is %d, %q, length %d, Close %t", resp.StatusCode, body, resp.ContentLength, resp.Close)
			}
		}
	})
}

// With full duplex net/http goes on after a body that it cannot read.
func TestMalformedBodyInFullDuplexIsTheEnd(t *testing.T) {
	for _, read := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
				rc := http.NewResponseController(w)
				if err := errors.Join(rc.EnableFullDuplex(), rc.Flush()); err != nil {
					t.Error(err)
				}
				if r.Method == http.MethodGet {
					t.Error("the rest of the body was taken for a request")
				}
				if read {
					_, _ = io.Copy(io.Discard, r.Body) // the error is what is sent
				}
			}).dial()
			c.send(chunked + "Z\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
			begin := time.Now()
			c.answer()
			c.ended()
			if took := time.Since(begin); took > time.Second {
				t.Errorf("the connection ends after %v", took)
			}
		})
	}
}

// stallWriter takes note of read deadlines.
type stallWriter struct {
	http.ResponseWriter
	deadline *time.Time
}

func (w stallWriter) SetReadDeadline(t time.Time) error {
	*w.deadline = t
	return nil
}

// stallBody is a body of one byte for each that is sent.
type stallBody chan byte

func (b stallBody) Read(p []byte) (int, error) {
	p[0] = <-b
	return 1, nil
}

func (stallBody) Close() error { return nil }

// A copy of the body that is still under way when another read begins, as those of proxies
// can be, does not use up the time of the body.
func TestReadsOfABodyAtOnceCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deadline time.Time
		body := make(stallBody)
		read := func(r *http.Request) {
			if _, err := r.Body.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		srv := httpmw.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			go read(r)
			time.Sleep(5 * time.Second)
			go read(r)
			go read(r)
			for range 3 {
				time.Sleep(5 * time.Second)
				body <- 'x'
			}
			synctest.Wait()
			go read(r)
			synctest.Wait()
			if left := time.Until(deadline); left < 10*time.Second || left > 11*time.Second {
				t.Errorf("after 20 seconds of reads %v are left, want 10s", left)
			}
			body <- 'x'
		}), nil)
		srv.Handler.ServeHTTP(stallWriter{httptest.NewRecorder(), &deadline}, httptest.NewRequest("POST", "/", body))
	})
}
