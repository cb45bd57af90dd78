// Package bridge lets middleware for net/http serve in Caddy.
//
//	limit := bridge.New(httpmw.MaxBody(1 << 20)) // a caddyhttp.MiddlewareHandler
//
// The two kinds differ in three things, and each is a way to go wrong. Middleware of
// net/http is given the next handler once, when the program is put together; Caddy passes
// it with each request. Handlers of Caddy return an error, for which the configuration may
// have routes (handle_errors); those of net/http have to answer themselves. And Caddy's
// placeholders, such as {http.request.method}, are tied to the one *http.Request that its
// server has made, where middleware of net/http passes on copies.
package bridge

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A Middleware is middleware for net/http that Caddy can run. It is made by [New], and is
// safe for concurrent use if the middleware is.
type Middleware struct {
	handler http.Handler
}

var _ caddyhttp.MiddlewareHandler = (*Middleware)(nil)

// New wraps middleware. It calls wrap once, since a counter or a cache may live in what
// that returns.
//
// The error of Caddy's next handler passes by wrap: to wrap it looks as if that handler had
// returned without an answer. So what counts statuses or writes something of its own after
// the next handler belongs to Caddy's own means.
//
// Middleware that answers before the next handler has returned, as [http.TimeoutHandler]
// does, works; Caddy goes on when that handler has returned too, for the request is its own.
func New(wrap func(http.Handler) http.Handler) *Middleware {
	return &Middleware{handler: wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := crossingOf(w, r); c != nil {
			c.pass(w, r, c.next)
		}
	}))}
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler]. The error is the one of next, or of
// what [Handler] has wrapped.
func (m *Middleware) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	ctx := r.Context() // what is passed on will be written over r
	c := &crossing{next: next, turn: make(chan struct{}, 1), request: r}
	// Deferred, so that after a panic too nobody uses the request any more.
	defer c.end(ctx)
	m.handler.ServeHTTP(w, r.WithContext(context.WithValue(ctx, contextKey{}, c)))
	c.end(ctx)
	if err := c.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Handler turns a handler of Caddy into one for use inside of middleware that [New] wraps,
// for example as the one that answers what is refused. Its error goes to Caddy. Elsewhere
// it answers 500.
func Handler(h caddyhttp.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := crossingOf(w, r); c != nil {
			c.pass(w, r, h)
		}
	})
}

// contextKey is the key of the crossing in the context of a request.
type contextKey struct{}

// A crossing is one request on its way through middleware. Its turns are by a channel, and
// not by a mutex, for which time in a bubble of testing/synctest would stand still.
type crossing struct {
	next caddyhttp.Handler
	err  atomic.Pointer[error]

	turn    chan struct{} // holds one token while a handler of Caddy has what follows
	request *http.Request // the one that Caddy knows
	ended   bool
}

// crossingOf returns the crossing that a request is on. If middleware has put another
// request in its place, or the request is across, there is none, and it has answered.
func crossingOf(w http.ResponseWriter, r *http.Request) *crossing {
	c, _ := r.Context().Value(contextKey{}).(*crossing)
	if c == nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
	return c
}

// pass has a handler of Caddy serve the request, and keeps its error.
func (c *crossing) pass(w http.ResponseWriter, r *http.Request, h caddyhttp.Handler) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.ended {
		return // the middleware has answered, and w belongs to somebody else
	}
	// What the middleware has changed in its copy is written into the request that the
	// placeholders look at. It is across then: a Handler further behind would wait for
	// its own end.
	*c.request = *r.WithContext(context.WithValue(r.Context(), contextKey{}, (*crossing)(nil)))
	if err := h.ServeHTTP(w, c.request); err != nil {
		c.err.Store(&err)
	}
}

// end waits for handlers that still run, keeps others from beginning, and gives the request
// its own context back: the middleware's may be canceled now.
func (c *crossing) end(ctx context.Context) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.ended {
		return
	}
	c.ended = true
	*c.request = *c.request.WithContext(ctx)
}
