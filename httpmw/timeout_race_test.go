package httpmw_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// Ten thousand limits hit within a tenth of a millisecond of the handler's end. Whatever comes
// first, the client gets the whole of one of two answers, or sees that it is cut.
func TestTimeoutAtTheLastMoment(t *testing.T) {
	const limit = 120 * time.Microsecond
	var whole, late, cut int
	body := "hello, world, in two"
	handler := httpmw.Timeout(limit, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Handler", "yes")
		d, _ := r.Context().Deadline()
		offset := time.Duration(len(r.URL.Path)%21-10) * 10 * time.Microsecond
		for time.Until(d) > offset {
			runtime.Gosched()
		}
		io.WriteString(w, body[:5])
		w.Header().Set("X-Handler", "no")
		io.WriteString(w, body[5:])
	}))
	trials := 10000
	paths := make([]byte, trials+1)
	for i := range paths {
		paths[i] = '/'
	}
	for i := range trials {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+string(paths[:1+i%21]), http.NoBody)
		r.ProtoMajor = 1 + i%2
		func() {
			defer func() {
				switch got := recover(); got {
				case http.ErrAbortHandler:
					cut++
				case nil:
				default:
					panic(got)
				}
			}()
			handler.ServeHTTP(w, r)
			switch {
			case w.Code == 200 && w.Body.String() == body && w.Header().Get("X-Handler") == "yes":
				whole++
			case w.Code == 503 && w.Body.String() == "Service Unavailable" && w.Header().Get("X-Handler") == "":
				late++
			default:
				t.Fatalf("%d %v %q", w.Code, w.Header(), w.Body)
			}
		}()
	}
	t.Logf("%d whole, %d late, %d cut", whole, late, cut)
	if whole == 0 || late == 0 {
		t.Errorf("%d whole, %d late: the limit is not close to the end", whole, late)
	}
}

// A gigabyte goes through in the memory of its buffers.
func TestTimeoutGigabyte(t *testing.T) {
	const size = 1 << 30
	block := make([]byte, 64<<10)
	for _, major := range []int{1, 2} {
		for _, readFrom := range []bool{false, true} {
			handler := httpmw.Timeout(time.Hour, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if readFrom {
					src := &timeoutZeros{left: size}
					if n, err := w.(io.ReaderFrom).ReadFrom(src); n != size || err != nil {
						t.Errorf("ReadFrom: %d, %v", n, err)
					}
					return
				}
				for range size / len(block) {
					if _, err := w.Write(block); err != nil {
						t.Error(err)
					}
				}
			}))
			w := &timeoutCounter{header: make(http.Header)}
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.ProtoMajor = major
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			handler.ServeHTTP(w, r)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; w.n != size || got > 256<<10 {
				t.Errorf("HTTP/%d, ReadFrom %t: %d bytes written, %d allocated", major, readFrom, w.n, got)
			}
		}
	}
}

type timeoutCounter struct {
	header http.Header
	n      int64
}

func (c *timeoutCounter) Header() http.Header { return c.header }
func (c *timeoutCounter) WriteHeader(int)     {}
func (c *timeoutCounter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func (c *timeoutCounter) ReadFrom(io.Reader) (int64, error) {
	panic("a source that may block was handed on")
}

// timeoutZeros is a source of so many zeros.
type timeoutZeros struct{ left int64 }

func (z *timeoutZeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	return int(n), nil
}
