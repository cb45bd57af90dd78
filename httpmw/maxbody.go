package httpmw

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// MaxBody returns a middleware that limits the bodies of requests to n bytes. A body whose
// Content-Length is more is answered with 413 (RFC 9110 section 15.5.14) before the handler runs.
// Reading one that turns out longer fails with [*http.MaxBytesError], as with
// [http.MaxBytesReader]. Either way a connection of HTTP/1 ends with the response, which
// does not wait for the rest of the body; with HTTP/2 only the stream ends. It panics if n
// is negative.
func MaxBody(n int64) Middleware {
	if n < 0 {
		panic("httpmw: MaxBody of a negative limit")
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !hasBody(r):
				next.ServeHTTP(w, r)
			case r.ContentLength > n:
				refuseBody(w, r)
			default:
				limitBody(w, r, n, next)
			}
		})
	}
}

// hasBody reports whether a server's request may have a body that is not empty.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// refuseBody answers 413.
func refuseBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		endSoon(w, false)
	}
	http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
}

func limitBody(w http.ResponseWriter, r *http.Request, n int64, next http.Handler) {
	body := &countedBody{ReadCloser: r.Body}
	shareTrailer(r)
	limited := new(http.Request)
	*limited = *r
	// http.MaxBytesReader ends the connection only through net/http's own writer, and
	// from whatever goroutine reads. So this one gets none; but it is what handlers get
	// to see, since net/http has a limit of its own for forms with any other body.
	limited.Body = http.MaxBytesReader(nil, body, n)
	rec, w := Record(w)
	defer func() {
		carry(r, limited)
		if r.ProtoMajor == 1 && body.read.Load() > n && !rec.Hijacked() {
			endSoon(w, rec.Status() != 0)
		}
	}()
	next.ServeHTTP(w, limited)
}

// endSoon ends the connection after the response, with a limit for what net/http still
// reads then of a body that may be on its way.
func endSoon(w http.ResponseWriter, begun bool) {
	endConnection(w, begun)
	// A writer without deadlines leaves it without the limit.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(defaultDrainTime))
}

// A countedBody counts what is read of it.
type countedBody struct {
	io.ReadCloser
	read atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

// endConnection makes net/http close a connection of HTTP/1 after the response to the
// request at hand, in the way that spares the response: with Connection: close if the
// header is not on its way yet, without reading the rest of the body first, and with a
// pause between the end of what is sent and the end of the connection. Only
// http.MaxBytesReader can ask for that, of the very writer of net/http.
//
// With a writer that does not lead there the header alone must do, unless it has begun.
// endConnection reports whether it found net/http's.
func endConnection(w http.ResponseWriter, begun bool) bool {
	if !begun {
		w.Header().Set("Connection", "close")
	}
	for {
		if s, ok := w.(interface{ endConnection() bool }); ok {
			return s.endConnection()
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	tooLong := http.MaxBytesReader(w, io.NopCloser(strings.NewReader("x")), 0)
	_, _ = tooLong.Read(make([]byte, 1)) // the error is that it is too long
	t := reflect.TypeOf(w)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "net/http" && t.Elem().Name() == "response"
}

// endConnection lets a core that must not be passed by have its say.
func (s *shell) endConnection() bool {
	if c, ok := s.core.(interface{ endConnection() bool }); ok {
		return c.endConnection()
	}
	return endConnection(s.below, true)
}

// endConnection is for a handler that has time left: afterwards the writer is the server's.
func (g *guard) endConnection() bool {
	if g.use() != nil {
		return false
	}
	defer g.mu.RUnlock()
	return endConnection(g.w, true)
}
