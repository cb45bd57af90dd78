package httpmw_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/netparts/netparts/httpmw"
)

func TestPacedExpectContinue(t *testing.T) {
	expecting := strings.Replace(chunked, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1)
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, readAll).dial()
		c.send(expecting)
		if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("first line is %q, %v", line, err)
		}
		if _, err := c.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		c.send("4\r\nabcd\r\n0\r\n\r\n")
		if resp, body := c.answer(); body != "4 0s\n" || resp.Close {
			t.Errorf("answer is %q, Close %t", body, resp.Close)
		}
		c.send(get) // the connection goes on
		c.answer()

		// Leave is not given by a handler that does not read.
		c = paceServe(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }).dial()
		c.send(expecting)
		begin := time.Now()
		if resp, _ := c.answer(); resp.StatusCode != http.StatusForbidden || !resp.Close || time.Since(begin) > 0 {
			t.Errorf("answer is %d, Close %t, after %v", resp.StatusCode, resp.Close, time.Since(begin))
		}
		c.ended()
		if took := time.Since(begin); took > 31*time.Second {
			t.Errorf("the connection ends after %v", took)
		}
	})
}

func TestPacedFullDuplex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			if err := rc.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			b := make([]byte, 4)
			for {
				if _, err := io.ReadFull(r.Body, b); err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						io.WriteString(w, "late")
					}
					return
				}
				w.Write(b)
				rc.Flush()
				time.Sleep(time.Minute)
			}
		}).dial()
		for range 2 {
			c.send(chunked + "4\r\nabcd\r\n")
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.ReadFull(resp.Body, make([]byte, 4))
			c.send("4\r\nefgh\r\n0\r\n\r\n")
			if b, err := io.ReadAll(resp.Body); string(b) != "efgh" || err != nil {
				t.Fatalf("rest of the answer is %q, %v", b, err)
			}
		}
		// After a body that was late, what follows is not taken for a request.
		c.send(chunked + "4\r\nabcd\r\n4\r\nx")
		time.Sleep(100 * time.Second) // a minute of the handler, and 30 seconds
		c.Write([]byte("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"))
		b, _ := io.ReadAll(c.r)
		if n := bytes.Count(b, []byte("HTTP/1.1 ")); n != 1 || !bytes.Contains(b, []byte("4\r\nlate\r\n")) {
			t.Errorf("%d responses in %q, want one, and what was written after the deadline", n, b)
		}
	})
}

// A handler may answer without the end of the body. What comes then is no request.
func TestPacedFullDuplexWithoutTheEnd(t *testing.T) {
	for _, write := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
				if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
					t.Error(err)
				}
				if write {
					io.CopyN(w, r.Body, 4)
				}
			}).dial()
			c.send(chunked + "4\r\nabcd\r\n")
			begin := time.Now()
			if _, body := c.answer(); write && body != "abcd" {
				t.Errorf("answer is %q", body)
			}
			if write {
				time.Sleep(40 * time.Second)
				// The connection has ended.
				_, _ = fmt.Fprintf(c, "%x\r\n%s\r\n0\r\n\r\n", len(get), get)
			}
			c.ended()
			if took := time.Since(begin); took > 41*time.Second || !write && took > 31*time.Second {
				t.Errorf("the connection ends after %v", took)
			}
		})
	}
}

// net/http waits for the next request while the client has not read the response.
func TestPacedBodyThenSlowReader(t *testing.T) {
	for _, read := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					fmt.Fprint(w, r.Context().Err())
					return
				}
				if read {
					io.Copy(io.Discard, r.Body)
				}
				for range 2 * 66 { // in pieces, so that what is beyond 64 KiB stays with net/http
					w.Write(make([]byte, 512))
				}
			}).dial()
			c.send(chunked + "4\r\nabcd\r\n0\r\n\r\n")
			time.Sleep(time.Minute)
			if resp, body := c.answer(); len(body) != 66<<10 || resp.Close {
				t.Errorf("%d bytes, Close %t", len(body), resp.Close)
			}
			c.send(get)
			if _, body := c.answer(); body != "<nil>" {
				t.Errorf("the context of the next request is %s", body)
			}
		})
	}
}

func TestPacedHandlersDeadlineHoldsAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Error(err)
			}
		}).dial()
		c.send(chunked)
		begin := time.Now()
		c.answer()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("net/http waits for %v, want 1s", took)
		}
	})
}

func TestPacedHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadFull(r.Body, make([]byte, 4)); err != nil {
				t.Error(err)
			}
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				defer conn.Close()
				io.CopyN(conn, rw, 4)
			}()
		}).dial()
		c.send(sized + "1234")
		time.Sleep(time.Hour)
		c.send("echo")
		if b, err := io.ReadAll(c.r); string(b) != "echo" || err != nil {
			t.Errorf("the hijacked connection sends %q, %v", b, err)
		}
	})
}

func TestPacedTrailers(t *testing.T) {
	handle := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Trailer)
	}
	synctest.Test(t, func(t *testing.T) {
		s := paceServe(t, handle)
		c := s.dial()
		c.send(chunked + "1\r\nx\r\n0\r\nSum: not announced\r\n\r\n")
		if _, body := c.answer(); body != "map[Sum:[not announced]]" {
			t.Errorf("trailer is %s", body)
		}
		c.send(strings.Replace(chunked, "\r\n\r\n", "\r\nTrailer: Sum\r\n\r\n", 1) + "1\r\nx\r\n0\r\nSum: announced\r\n\r\n")
		if _, body := c.answer(); body != "map[Sum:[announced]]" {
			t.Errorf("trailer is %s", body)
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.addr, io.MultiReader(strings.NewReader("x")))
		if err != nil {
			t.Fatal(err)
		}
		r.Trailer = http.Header{"Sum": {"over HTTP/2"}}
		resp, err := s.h2c().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); string(b) != "map[Sum:[over HTTP/2]]" || err != nil {
			t.Errorf("trailer is %s, %v", b, err)
		}
	})
}

// http.MaxBytesReader tells the writer of net/http to end the connection.
func TestPacedMaxBytesReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := paceServe(t, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
			if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); !ok || tooLarge.Limit != 10 {
				t.Errorf("error is %v", err)
			}
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}).dial()
		c.send(post + "Content-Length: 1000\r\n\r\n" + strings.Repeat("x", 100))
		begin := time.Now()
		if resp, _ := c.answer(); resp.StatusCode != 413 || !resp.Close || time.Since(begin) > 0 {
			t.Errorf("answer is %d, Close %t, after %v", resp.StatusCode, resp.Close, time.Since(begin))
		}
		c.ended()
		if took := time.Since(begin); took > 31*time.Second {
			t.Errorf("the connection ends after %v", took)
		}
	})
}

// The files of a form are removed by net/http, which looks at its own request.
func TestPacedFormLeavesNoFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TMP", os.Getenv("TMPDIR")) // of Windows
	var pattern string
	mux := http.NewServeMux()
	mux.HandleFunc("POST /form", func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(10); err != nil {
			t.Error(err)
		}
		if files, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(files) != 1 {
			t.Errorf("while the handler runs there are %d files, %v, want 1", len(files), err)
		}
	})
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = httpmw.NewServer(mux, nil)
	inner := srv.Config.Handler
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		pattern = r.Pattern
	})
	srv.Start()
	defer srv.Close()

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("file", "name")
	if err != nil {
		t.Fatal(err)
	}
	file.Write(bytes.Repeat([]byte("x"), 20<<20))
	w.Close()
	resp, err := srv.Client().Post(srv.URL+"/form", w.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	srv.Close() // waits for the request
	if files, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(files) != 0 {
		t.Errorf("after it there are %d files, %v, want none", len(files), err)
	}
	if pattern != "POST /form" {
		t.Errorf("outside the pattern is %q", pattern)
	}
}

// A length that is zero, or none, does not mean that no body is awaited.
func TestPacedHTTP2LengthOfNoUse(t *testing.T) {
	for _, length := range []string{"0", "abc"} {
		synctest.Test(t, func(t *testing.T) {
			returned := make(chan time.Time, 1)
			s := paceServe(t, func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				returned <- time.Now()
			})
			conn, err := s.network.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fr := paceFramer(t, conn)
			if err := fr.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, EndHeaders: true,
				BlockFragment: paceHeaders(":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/", "content-length", length),
			}); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			select {
			case at := <-returned:
				if took := at.Sub(begin); took != 30*time.Second {
					t.Errorf("length %q: the handler waits %v, want 30s", length, took)
				}
			case <-time.After(time.Hour):
				t.Errorf("length %q: the handler waits for ever", length)
			}
		})
	}
}

// paceFramer begins HTTP/2 on a connection, and answers what has to be answered.
func paceFramer(t *testing.T, conn net.Conn) *http2.Framer {
	t.Helper()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	fr := http2.NewFramer(conn, conn)
	if err := fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go func() {
		in := http2.NewFramer(conn, conn)
		for {
			f, err := in.ReadFrame()
			if err != nil {
				return
			}
			if answerFrame(in, f) != nil {
				return
			}
		}
	}()
	return fr
}

// paceHeaders encodes names and values in turn.
func paceHeaders(pairs ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// With a body the handler gets another writer, which can do the same.
func TestPacedWriterCanTheSame(t *testing.T) {
	able := func(w http.ResponseWriter) []bool {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, p := w.(http.Pusher)
		_, r := w.(io.ReaderFrom)
		return []bool{f, h, p, r}
	}
	for _, version := range []int{1, 2} {
		got := make(map[string][]bool)
		srv := httptest.NewUnstartedServer(nil)
		srv.Config = httpmw.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got[r.Method] = able(w) }), nil)
		srv.EnableHTTP2 = version == 2
		srv.StartTLS()
		for _, method := range []string{"GET", "POST"} {
			var body io.Reader
			if method == "POST" {
				body = strings.NewReader("body")
			}
			r, err := http.NewRequestWithContext(t.Context(), method, srv.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.ProtoMajor != version {
				t.Errorf("the response is of %s", resp.Proto)
			}
		}
		srv.Close()
		if !reflect.DeepEqual(got["GET"], got["POST"]) || len(got["GET"]) != 4 {
			t.Errorf("HTTP/%d: with a body the writer is %v, without %v", version, got["POST"], got["GET"])
		}
	}
}

func BenchmarkPacedHandler(b *testing.B) {
	handler := httpmw.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}), nil).Handler
	for _, method := range []string{"GET", "POST"} {
		b.Run(method, func(b *testing.B) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, "/", nil)
			body := strings.NewReader("")
			if method == "POST" {
				r.Body, r.ContentLength = io.NopCloser(body), 1000
			}
			text := strings.Repeat("x", 1000)
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(text)
				handler.ServeHTTP(w, r)
			}
		})
	}
}

func TestNoBodyCostsNoAllocation(t *testing.T) {
	handler := httpmw.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil).Handler
	for _, proto := range []int{1, 2} {
		r := httptest.NewRequest("GET", "/", nil)
		r.ProtoMajor = proto
		if proto == 2 {
			r.Body = io.NopCloser(strings.NewReader("")) // as net/http makes it
		}
		w := httptest.NewRecorder()
		if n := testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }); n != 0 {
			t.Errorf("HTTP/%d: a request without a body costs %v allocations", proto, n)
		}
	}
}
