package httpmw

import (
	"net/http"
	"strings"
)

// SetHeader returns a middleware that sets a response header before the handler runs, which
// may change or delete it. It panics if name or value is not allowed in a header (RFC 9110
// section 5).
func SetHeader(name, value string) Middleware {
	if !isToken(name) {
		panic("httpmw: SetHeader of a name that is not allowed: " + name)
	}
	if !isFieldValue(value) {
		panic("httpmw: SetHeader of a value that is not allowed for " + name)
	}
	key := http.CanonicalHeaderKey(name)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A slice for each response, since the handler may change it.
			w.Header()[key] = []string{value}
			next.ServeHTTP(w, r)
		})
	}
}

// NoSniff is the middleware that tells browsers to believe the Content-Type.
func NoSniff(next http.Handler) http.Handler {
	return SetHeader("X-Content-Type-Options", "nosniff")(next)
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2), as methods and the names
// of headers are.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isFieldValue reports whether s is the value of a header field (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return strings.Trim(s, " \t") == s
}
