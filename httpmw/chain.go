package httpmw

import (
	"net/http"
	"slices"
)

// A Middleware makes a handler of another, and is in the form that packages agree on.
type Middleware = func(http.Handler) http.Handler

// Chain returns the middleware that applies all of those given: a request meets the first
// one first. Without any it returns handlers as they are. A Chain can be part of another,
// it does not change with the slice that it was made from, and it may be used for many
// handlers.
//
// A nil handler at its end answers 404, and never is [http.DefaultServeMux], with which any
// imported package can register. Chain panics if a middleware is nil.
func Chain(middleware ...Middleware) Middleware {
	chain := slices.Clone(middleware)
	if slices.ContainsFunc(chain, func(m Middleware) bool { return m == nil }) {
		panic("httpmw: Chain of a nil middleware")
	}
	return func(h http.Handler) http.Handler {
		if h == nil {
			h = http.NotFoundHandler()
		}
		for _, m := range slices.Backward(chain) {
			h = m(h)
		}
		return h
	}
}
