package httpmw

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
)

// maxStack is how many bytes of a stack are logged.
const maxStack = 64 << 10

// Recover returns a middleware that ends a panic of the handler: it logs its value and
// stack at level Error, and answers 500 if the response has not begun. If it has, the
// connection is cut by panicking with [http.ErrAbortHandler], so that the client does not take
// half a response for a whole one. A connection that was hijacked stays with those who have it.
//
// A panic with http.ErrAbortHandler itself, which says that a handler meant to do so, passes
// through and is not logged; as with net/http, an error that wraps it is another value.
// [WideEvent] and [Instrument] learn of a panic that Recover has ended if there is neither a
// [Timeout] nor a writer of another package between them.
//
// What is logged of the value is escaped and cut as with WideEvent, and of the stack there are
// at most 64 KiB. A nil logger is silent.
func Recover(logger *slog.Logger) Middleware {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec, w := Record(w)
			encoding := w.Header()["Content-Encoding"]
			defer func() {
				v := recover()
				if v == nil { // it returned, or runtime.Goexit goes on
					return
				}
				if v == http.ErrAbortHandler {
					panic(v)
				}
				rec.panicked = panicType(v)
				logPanic(logger, r, v, rec.stack)
				rec.stack = nil // it belongs to this panic alone
				switch {
				case rec.hijacked:
				case rec.status != 0:
					panic(http.ErrAbortHandler)
				default:
					answerPanic(w, encoding)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// logPanic must be called by the deferred function, below which the stack still is, unless it
// is another's.
func logPanic(logger *slog.Logger, r *http.Request, v any, stack []byte) {
	ctx := r.Context()
	if !logger.Enabled(ctx, slog.LevelError) {
		return
	}
	if stack == nil {
		stack = make([]byte, maxStack)
		stack = stack[:runtime.Stack(stack, false)]
	}
	logger.LogAttrs(ctx, slog.LevelError, "panic of a handler",
		slog.String("method", printable(r.Method)),
		slog.String("uri", logged(r.URL, nil)),
		slog.String("type", panicType(v)),
		slog.String("value", panicValue(v)),
		slog.String("stack", string(stack[:min(len(stack), maxStack)])))
}

// panicValue prints a value. Package fmt bears a method that panics, but not one that
// panics with a value like itself.
func panicValue(v any) (s string) {
	defer func() {
		if recover() != nil {
			s = "(it panics when it is printed)"
		}
	}()
	return printable(fmt.Sprint(v))
}

// answerPanic answers 500 without the headers that were set for another response. Which
// encoding there was before the handler is that of a middleware outside, which goes on.
func answerPanic(w http.ResponseWriter, encoding []string) {
	h := w.Header()
	for _, name := range [...]string{
		"Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
		"Content-Location", "Content-Range", "Etag", "Expires", "Last-Modified", "Location", "Trailer",
		"Transfer-Encoding",
	} {
		delete(h, name)
	}
	if encoding != nil {
		h["Content-Encoding"] = encoding
	}
	http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
}
