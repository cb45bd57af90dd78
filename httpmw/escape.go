package httpmw

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxText is how many bytes of a string that comes from outside are logged.
const maxText = 1024

// printable returns s as it is logged: what is not printable is escaped as in Go, and
// what is too much is cut.
func printable(s string) string {
	if len(s) <= maxText && isASCII(s) {
		return s
	}
	return escape(s, "", maxText)
}

// escape is what printable does to all but the characters of keep, and to so many bytes.
func escape(s, keep string, limit int) string {
	b := make([]byte, 0, min(len(s), limit)+len("..."))
	var quoted [16]byte
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		piece := []byte(s[i : i+size])
		if !strconv.IsPrint(r) && !strings.ContainsRune(keep, r) || r == utf8.RuneError && size == 1 {
			piece = strconv.AppendQuote(quoted[:0], s[i:i+size])
			piece = piece[1 : len(piece)-1]
		}
		if len(b)+len(piece) > limit {
			return string(append(b, "..."...))
		}
		b = append(b, piece...)
		i += size
	}
	return string(b)
}

// isASCII reports whether s is of printable ASCII alone. Nearly all is, and it is looked at
// for every attribute, so that it must not be decoded for that.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// logged returns what may be logged of a URL: the path, and of the query the parameters
// named.
func logged(u *url.URL, names []string) string {
	path := u.EscapedPath()
	if u.RawQuery == "" {
		return cutURL(path)
	}
	b := make([]byte, 0, len(path)+len("?redacted"))
	b = append(b, path...)
	separator := byte('?')
	redacted := false
	for parameter := range strings.SplitSeq(u.RawQuery, "&") {
		if parameter == "" {
			continue
		}
		shown, ok := shownParameter(parameter, names)
		if !ok {
			redacted = true
			continue
		}
		b = append(append(b, separator), shown...)
		separator = '&'
		if len(b) > maxText {
			break
		}
	}
	if redacted {
		b = append(append(b, separator), "redacted"...)
	}
	return cutURL(string(b))
}

// shownParameter returns a parameter with the one spelling that it has as a URL, if it has
// one of the names. It is compared after decoding, as handlers see it. One that package url
// refuses has no name.
func shownParameter(parameter string, names []string) (string, bool) {
	if len(names) == 0 || strings.Contains(parameter, ";") {
		return "", false
	}
	name, value, valued := strings.Cut(parameter, "=")
	name, err := url.QueryUnescape(name)
	if err != nil || !slices.Contains(names, name) {
		return "", false
	}
	value, err = url.QueryUnescape(value)
	if err != nil {
		return "", false
	}
	shown := url.QueryEscape(name)
	if valued {
		shown += "=" + url.QueryEscape(value)
	}
	return shown, true
}

// cutURL cuts what is too much, not within an escape.
func cutURL(s string) string {
	if len(s) <= maxText {
		return s
	}
	s = s[:maxText]
	if i := strings.LastIndexByte(s, '%'); i > maxText-3 {
		s = s[:i]
	}
	return s + "..."
}

// withoutPort returns the host of an address, and one of a Unix socket as it is: "@" or a
// path.
func withoutPort(address string) string {
	if address == "" || address[0] == '@' || address[0] == '/' {
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// withoutUser returns a host without a user name and password, which only clients that
// break the rules put there.
func withoutUser(host string) string { return host[strings.LastIndexByte(host, '@')+1:] }
