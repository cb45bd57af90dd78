package httpmw

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"time"
)

// WideEventOptions are the options of [WideEvent].
type WideEventOptions struct {
	// Message is the message of the records. If empty, it is "request".
	Message string

	// Query names the parameters of the query that are logged with their values. If
	// nil, there are none, since queries carry tokens.
	Query []string

	// Level returns the level of a record by the status. If nil, it is Error
	// from 500 on and Info otherwise. A panic other than [http.ErrAbortHandler]
	// is at least Error whatever it says.
	Level func(status int) slog.Level

	// Skip leaves requests out, such as those of health checks. If nil, none.
	Skip func(*http.Request) bool
}

// WideEvent returns a middleware that writes one record about each request when its handler
// has ended, also when that was by a panic, which goes on. A nil logger is silent.
//
// The attributes, in this order:
//
//	status_code      int       of the final response; 200 if the handler sent none, and 0 if
//	                           there is none: hijacked, or panicked before it began
//	response_length  int64     bytes of the body that were written, 0 for HEAD
//	content_length   int64     what the request declares; -1 if it does not
//	method           string
//	proto            string    such as HTTP/1.1
//	remote_addr      string    the peer's address, without the port
//	uri              string    path and query, as below
//	user_agent       string
//	host             string
//	pattern          string    what the http.ServeMux matched, "" if nothing
//	duration         duration  until the handler ended
//
// Then those that do not fit every request: hijacked (bool), canceled (bool: the client left),
// write_error (string: [Recorder.Err]), panic (string: the type of its value, also of one that
// [Recover] has ended inside; or "http.ErrAbortHandler", or "runtime.Goexit" if that ended the
// handler). Then what handlers and other middleware add with [AddFields].
//
// Nothing secret is logged: of the uri there is the path, and of the query only the parameters
// that the options name, followed by "redacted" if there were others; user names and passwords
// of URLs, cookies, and other headers never appear. A path that is a secret itself, such as
// that of an invitation, is for Skip. What comes from the network is escaped where it is not
// printable, and cut at 1,024 bytes, with "..." at the end.
func WideEvent(logger *slog.Logger, opts *WideEventOptions) Middleware {
	if logger == nil {
		return func(next http.Handler) http.Handler { return next }
	}
	m := &wide{handler: logger.Handler()}
	if opts != nil {
		m.opts = *opts
		m.opts.Query = slices.Clone(opts.Query)
	}
	if m.opts.Message == "" {
		m.opts.Message = "request"
	}
	if m.opts.Level == nil {
		m.opts.Level = defaultLevel
	}
	var pcs [1]uintptr
	runtime.Callers(2, pcs[:])
	m.pc = pcs[0]
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(next, w, r) })
	}
}

func defaultLevel(status int) slog.Level {
	if status >= http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// wide is a WideEvent.
type wide struct {
	handler slog.Handler
	opts    WideEventOptions
	pc      uintptr
}

func (m *wide) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if m.opts.Skip != nil && m.opts.Skip(r) {
		next.ServeHTTP(w, r)
		return
	}
	e := newEvent(r)
	rec := recorderOf(w)
	if rec == nil {
		rec = &e.own
		w = rec.over(w)
	}
	shareTrailer(r)
	passed := r.WithContext(e)
	ended := "runtime.Goexit" // unless it turns out otherwise
	defer func() {
		v := recover()
		if v != nil {
			ended = panicType(v)
		}
		carry(r, passed)
		m.write(e, rec, r, ended)
		if v != nil {
			panic(v)
		}
	}()
	next.ServeHTTP(w, passed)
	ended = ""
}

// aborted is what panicType says of a panic with http.ErrAbortHandler, which has no type of
// its own.
const aborted = "http.ErrAbortHandler"

// panicType describes the value of a panic, without what it holds.
func panicType(v any) string {
	if v == http.ErrAbortHandler {
		return aborted
	}
	return fmt.Sprintf("%T", v)
}

// write writes the record. The handler has panicked unless ended is empty.
func (m *wide) write(e *event, rec *Recorder, r *http.Request, ended string) {
	attrs := e.end()
	now := time.Now()
	status := rec.status
	if status == 0 && !rec.hijacked && ended == "" {
		status = http.StatusOK // by net/http
	}
	if rec.panicked != "" {
		ended = rec.panicked // before Recover made it an answer, or an abort
	}
	level := m.opts.Level(status)
	if ended != "" && ended != aborted {
		level = max(level, slog.LevelError)
	}
	if !m.handler.Enabled(e, level) {
		return
	}

	// Those that do not fit every request end where the handlers' begin, so that all
	// are in a row, however many there are.
	var some [sometimes]slog.Attr
	n := appendSome(some[:0], e, rec, ended)
	first := sometimes - len(n)
	copy(attrs[always-front+first:], n)
	attrs = attrs[first:]
	length := rec.bytes
	if r.Method == http.MethodHead {
		length = 0
	}
	uri := url.URL{Path: e.path, RawPath: e.rawPath, RawQuery: e.query}
	attrs[0] = slog.String("proto", printable(r.Proto))
	attrs[1] = slog.String("remote_addr", printable(withoutPort(r.RemoteAddr)))
	attrs[2] = slog.String("uri", logged(&uri, m.opts.Query))
	attrs[3] = slog.String("user_agent", printable(e.agent))
	attrs[4] = slog.String("host", printable(withoutUser(r.Host)))
	attrs[5] = slog.String("pattern", printable(r.Pattern))
	attrs[6] = slog.Duration("duration", now.Sub(e.begun))

	record := slog.NewRecord(now, level, m.opts.Message, m.pc)
	// Handlers show a group without a name as what is in it. The record so takes the
	// others by reference: of more than five in all it would make a copy.
	record.AddAttrs(
		slog.Int("status_code", status),
		slog.Int64("response_length", length),
		slog.Int64("content_length", r.ContentLength),
		slog.String("method", printable(r.Method)),
		slog.Attr{Value: slog.GroupValue(attrs...)})
	// There is nobody to tell that a log cannot be written.
	_ = m.handler.Handle(e, record)
}

// appendSome appends the attributes that do not fit every request.
func appendSome(attrs []slog.Attr, e *event, rec *Recorder, ended string) []slog.Attr {
	if rec.hijacked {
		attrs = append(attrs, slog.Bool("hijacked", true))
	}
	if e.Err() == context.Canceled { // a time-out is not the client's
		attrs = append(attrs, slog.Bool("canceled", true))
	}
	if rec.err != nil {
		attrs = append(attrs, slog.String("write_error", printable(rec.err.Error())))
	}
	if ended != "" {
		attrs = append(attrs, slog.String("panic", printable(ended)))
	}
	return attrs
}
