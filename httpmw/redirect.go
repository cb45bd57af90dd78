package httpmw

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// RedirectHTTPS returns a handler for a plain listener that sends clients to the same path
// and query over HTTPS, with 301 for GET and HEAD, and 308 for other methods, which keeps
// them. Hosts are those that may be sent to, with a port if it is not 443, such as
// "example.com", "example.com:8443" or "[2001:db8::1]". A request goes to the one with the
// name of its Host header, whatever its port; one with another Host, or none, gets 421 (RFC
// 9110 section 15.5.20) and no Location, so that nobody can be sent elsewhere by a forged
// header. So does a request that came over TLS, which would be sent to where it was.
// CONNECT, and what is no path, gets 400.
//
// Browsers may remember such a redirect for good. While it is new, or if plain HTTP is to
// come back, let [SetHeader] set Cache-Control, for example to "max-age=3600".
//
// It panics without a host, if one is not a host with an optional port (names with other
// than ASCII letters in their ASCII form), and if one name has two ports.
func RedirectHTTPS(hosts ...string) http.Handler {
	if len(hosts) == 0 {
		panic("httpmw: RedirectHTTPS without a host")
	}
	origins := make(map[string]string, len(hosts))
	for _, host := range hosts {
		name, port, ok := splitHost(host)
		if !ok || strings.HasSuffix(host, ".") || strings.Contains(host, ".:") || strings.HasSuffix(host, ":") {
			panic(fmt.Sprintf("httpmw: RedirectHTTPS: %q is not a host with an optional port", host))
		}
		origin := "https://" + name
		if port != "" && port != "443" {
			origin += ":" + port
		}
		if other, ok := origins[name]; ok && other != origin {
			panic(fmt.Sprintf("httpmw: RedirectHTTPS: %q has two ports", name))
		}
		origins[name] = origin
	}
	return redirect(origins)
}

// redirect maps the names that may be sent to, as splitHost returns them, to their origins.
type redirect map[string]string

func (h redirect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if path == "" && r.URL.Opaque == "" {
		path = "/" // of a URL that is only a host
	}
	if r.Method == http.MethodConnect || !strings.HasPrefix(path, "/") {
		http.Error(w, "400 bad request", http.StatusBadRequest)
		return
	}
	name, _, _ := splitHost(r.Host)
	origin, known := h[name] // there is no name ""
	if !known || r.TLS != nil {
		http.Error(w, "421 misdirected request", http.StatusMisdirectedRequest)
		return
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		path += "?" + escapeQuery(r.URL.RawQuery)
	}
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	w.Header().Set("Location", origin+path)
	w.WriteHeader(status)
}

// escapeQuery returns a query as it is, except for what cannot stand in one: after "#" the
// client would take the rest for a fragment.
func escapeQuery(query string) string {
	bad := func(c byte) bool { return c <= ' ' || c >= 0x7f || c == '#' || c == '"' || c == '<' || c == '>' }
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; bad(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// splitHost returns the name in a form to compare, and the port, of what can stand in a
// Host header. A name loses the dot of the root, and an IPv6 address keeps its brackets.
func splitHost(host string) (name, port string, ok bool) {
	name = host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
		if port != "" && !isPort(port) {
			return "", "", false
		}
	}
	if inner, bracket := strings.CutPrefix(name, "["); bracket {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false
		}
		return "[" + addr.String() + "]", port, true
	}
	name = strings.TrimSuffix(name, ".")
	// Before ToLower, which makes ASCII letters of some others.
	if !isName(name) {
		return "", "", false
	}
	return strings.ToLower(name), port, true
}

// isPort reports whether s is a port as it is written: without a sign, or zeros in front.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// isName reports whether s is a host name of DNS, or an IPv4 address.
func isName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
