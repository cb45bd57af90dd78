package httpmw

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// How many attributes a record has: always, sometimes, and of the handlers' before those
// need memory of their own.
const (
	always    = 11
	sometimes = 4
	handlers  = 6

	// front is how many of the first a record takes without memory of its own, beside
	// the one that stands for all others.
	front = 4
)

// An event is what WideEvent keeps of one request.
//
// The idea: it is the request's context, has the recorder and the attributes inside, and
// the record refers to them there, so that all of it is one allocation. No pool takes it back,
// as handlers may keep a context, and loggers a record. What it need not hold it does not:
// memory that is used once costs more than the work that is done in it.
type event struct {
	context.Context // the one that the request came with

	// own is the recorder, unless the writer had one.
	own   Recorder
	begun time.Time
	// What the client sent, of what handlers can change, some even when they no longer
	// should: the URL and the map of headers are not copied with a request.
	path, rawPath, query, agent string

	mu    sync.Mutex
	ended bool
	// attrs begins with room for those that are set at the end.
	attrs  []slog.Attr
	inline [always - front + sometimes + handlers]slog.Attr
}

func newEvent(r *http.Request) *event {
	e := &event{Context: r.Context(), begun: time.Now(), agent: r.UserAgent()}
	if r.URL != nil {
		e.path, e.rawPath, e.query = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
	}
	e.attrs = e.inline[:always-front+sometimes]
	return e
}

// eventKey is the key of an event in a context.
type eventKey struct{}

// Value implements context.Context.
func (e *event) Value(key any) any {
	if key == (eventKey{}) {
		return e
	}
	return e.Context.Value(key)
}

// end returns all attributes; no more are added.
func (e *event) end() []slog.Attr {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	return e.attrs
}

// AddFields adds attributes to the record that [WideEvent] writes about the request with
// this context. It does nothing if there is none, or if it has been written. It may be
// called by several goroutines. Their values are the caller's: nothing is escaped or left
// out, and there is no limit on how many there are.
func AddFields(ctx context.Context, attrs ...slog.Attr) {
	e, ok := ctx.Value(eventKey{}).(*event)
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.attrs = append(e.attrs, attrs...)
	}
}
