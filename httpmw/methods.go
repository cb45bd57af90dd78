package httpmw

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// methods is the handler that Methods makes. It does not change.
type methods struct {
	handlers map[string]http.Handler // none is nil
	allow    string
}

// Methods returns a handler that chooses by the request's method. The map is read once.
//
// HEAD is answered by the handler for GET, whose body net/http leaves out, unless the map
// has one for HEAD. OPTIONS is answered with 204 and the methods in an Allow header, unless
// the map has one for it. Every other method gets 405 with the same header (RFC 9110
// section 15.5.6): the methods of the map, HEAD and OPTIONS as above, sorted, in one line.
// Methods are case-sensitive (RFC 9110 section 9.1), so "get" is another method than "GET".
// An empty map allows OPTIONS alone.
//
// A method whose handler is nil is named in Allow, and gets 500: the server, not the
// request, is at fault. So does one with a nil pointer or function in it. Methods panics if
// a key is no method (RFC 9110 section 5.6.2), such as "" or "GET POST".
func Methods(handlers map[string]http.Handler) http.Handler {
	m := &methods{handlers: make(map[string]http.Handler, len(handlers)+2)}
	for method, h := range handlers {
		mustBeMethod(method)
		if isNil(h) {
			h = http.HandlerFunc(noHandler)
		}
		m.handlers[method] = h
	}
	if get, ok := m.handlers[http.MethodGet]; ok && m.handlers[http.MethodHead] == nil {
		m.handlers[http.MethodHead] = get
	}
	if m.handlers[http.MethodOptions] == nil {
		m.handlers[http.MethodOptions] = http.HandlerFunc(m.options)
	}
	m.allow = strings.Join(slices.Sorted(maps.Keys(m.handlers)), ", ")
	return m
}

func (m *methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := m.handlers[r.Method]; ok {
		h.ServeHTTP(w, r)
		return
	}
	notAllowed(w, m.allow)
}

func (m *methods) options(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", m.allow)
	w.WriteHeader(http.StatusNoContent)
}

// RejectMethods returns a middleware that answers requests with one of these methods with
// 405, for example TRACE, which repeats a request's secrets in its response. Allow lists
// the methods of RFC 9110 and PATCH (RFC 5789) that are left. It panics if one is no
// method.
func RejectMethods(methods ...string) Middleware {
	rejected := make(map[string]bool, len(methods))
	for _, method := range methods {
		mustBeMethod(method)
		rejected[method] = true
	}
	left := []string{
		http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
		http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodTrace,
	}
	left = slices.DeleteFunc(left, func(method string) bool { return rejected[method] })
	allow := strings.Join(left, ", ")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rejected[r.Method] {
				notAllowed(w, allow)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// notAllowed answers 405.
func notAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// noHandler answers for a handler that is nil.
func noHandler(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
}

func mustBeMethod(method string) {
	if !isToken(method) {
		panic(fmt.Sprintf("httpmw: %q is no method", method))
	}
}

// isNil reports whether h is nil, or holds a nil pointer or function. A nil map or slice
// can still be a handler that works.
func isNil(h http.Handler) bool {
	if h == nil {
		return true
	}
	v := reflect.ValueOf(h)
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}
