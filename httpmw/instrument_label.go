package httpmw

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

const (
	other     = "other"     // the label of what is not in a closed set
	unmatched = "unmatched" // the label of requests without a pattern
)

// methodLabel returns the label of a method. Clients can send any word as the method, so
// that only those that exist have a label of their own.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return other
}

// classLabel returns the label of a status, which is 0 if there is none.
func classLabel(status int) string {
	switch status / 100 {
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return other
}

// muxPattern returns the pattern that an http.ServeMux found.
//
// When the mux sends CONNECT on from /tree to /tree/, it takes the client's path for the
// pattern, of which there is no end below a pattern such as /{user}/. It cannot be told
// from a registered one, so that neither is believed.
func muxPattern(r *http.Request) string {
	p := r.Pattern
	if r.Method == http.MethodConnect && len(p) > 1 && p[0] == '/' && p[len(p)-1] == '/' {
		return ""
	}
	return p
}

// A hostSet maps the hosts that have a label to it.
type hostSet map[string]string

// maxHost is longer than any name of the DNS, and than an address.
const maxHost = 256

func newHostSet(hosts []string) hostSet {
	if len(hosts) == 0 {
		return nil
	}
	set := make(hostSet, len(hosts))
	for _, h := range hosts {
		if bare := bareHost(h); bare == "" || len(bare) > maxHost || hasPort(h) {
			panic(fmt.Sprintf("httpmw: Instrument for the host %q, which must be one without a port", h))
		}
		label := string(appendLower(nil, bareHost(h)))
		set[label] = label
	}
	return set
}

// hasPort reports whether a host has a port, also an empty one.
func hasPort(host string) bool {
	_, _, err := net.SplitHostPort(host)
	return err == nil
}

// label returns the label of a request's host, without allocating.
func (s hostSet) label(host string) string {
	if s == nil {
		return ""
	}
	host = bareHost(host)
	if len(host) > maxHost {
		return ""
	}
	var buf [maxHost]byte
	return s[string(appendLower(buf[:0], host))]
}

// appendLower appends s with the letters of ASCII in lower case.
func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// bareHost returns a host without its port, the brackets of an IPv6 address, or the dot
// that ends a fully qualified name.
func bareHost(host string) string {
	if strings.HasPrefix(host, "[") {
		address, _, ok := strings.Cut(host[1:], "]")
		if !ok {
			return ""
		}
		return address
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i == strings.IndexByte(host, ':') {
		host = host[:i] // with more colons it is an address
	}
	return strings.TrimSuffix(host, ".")
}
