package httpmw

import (
	"math/bits"
	"net/http"
	"strings"
)

// RestrictOptions are the options of [RestrictPrefix] and [RestrictFS].
type RestrictOptions struct {
	// Exempt are names that are not restricted although they begin with the
	// prefix, for example ".well-known". They are compared exactly.
	Exempt []string

	// NotFound answers what is restricted. If nil, the answer is the one of
	// [http.FileServer] for a file that is missing, byte for byte, which is also
	// the one of [http.NotFound]. A handler that differs from what missing files
	// get tells which names are restricted. RestrictFS does not use it.
	NotFound http.Handler

	// AllowEncodedPercent passes paths that still hold "%" after they were decoded
	// once, without decoding them again. It is for handlers that serve names with
	// "%", and that nothing behind decodes a second time.
	AllowEncodedPercent bool
}

// RestrictPrefix returns a middleware that hides every path with a segment that begins
// with prefix, such as "." for what Unix hides (.git, .env). To the client it looks as if
// nothing were there, with any method.
//
// It looks at the decoded path of the URL, before anything cleans it. Segments end at "/",
// "\" and NUL. One that begins with the prefix hides the path even if a later ".." leaves
// it again, because what stands behind may resolve that in another way. The segments "."
// and ".." navigate, and are not restricted themselves. What remains of a cleaned path may
// be its root, "", "." or "/", as below [http.StripPrefix].
//
// A path that still holds "%" is decoded up to three times more, and looked at each time.
// One that would go on changing after that, or that decodes to invalid UTF-8, is hidden.
// "%" without two hexadecimal digits behind it stays as it is, and "+" is no space. Of the
// path that net/http has decoded, only overlong UTF-8 (C0 AE for ".") is hidden: names in
// other encodings, such as Latin-1, pass.
//
// Names are compared byte for byte. Where a file system takes several names for one file,
// those must be restricted too: "PRIVATE" beside "private" where case does not count, and
// on Windows the short names that volumes may keep (SECRET~1 for .secret).
//
// A check of paths sees no directory listings and no symbolic links: use [RestrictFS] for
// the files behind it as well.
//
// RestrictPrefix panics if prefix is empty (which would hide everything) or holds "/", "\",
// NUL or "%", and if an exempt name does.
func RestrictPrefix(prefix string, opts *RestrictOptions) Middleware {
	rule := newRestriction("RestrictPrefix", prefix, opts)
	var missing http.Handler = http.HandlerFunc(missingFile)
	final := false
	if opts != nil {
		final = opts.AllowEncodedPercent
		if opts.NotFound != nil {
			missing = opts.NotFound
		}
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rule.hidesPath(r.URL.Path, final) || r.URL.Opaque != "" {
				missing.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// missingFile answers as [http.FileServer] does for a missing file. It also takes back what
// middleware further out has set for files that there are, as that does.
func missingFile(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"Cache-Control", "Content-Encoding", "Etag", "Last-Modified"} {
		w.Header().Del(name)
	}
	http.NotFound(w, r)
}

// A restriction is what [RestrictPrefix] and [RestrictFS] have in common: which names are
// restricted.
type restriction struct {
	prefix string
	exempt []string // "." and ".." too, which name nothing
}

// newRestriction panics in the name of a function if prefix or an exempt name cannot be the
// name of a file.
func newRestriction(function, prefix string, opts *RestrictOptions) restriction {
	rule := restriction{prefix: prefix, exempt: []string{".", ".."}}
	if opts != nil {
		rule.exempt = append(rule.exempt, opts.Exempt...)
	}
	for _, name := range append([]string{prefix}, rule.exempt...) {
		if name == "" || strings.ContainsAny(name, "/\\\x00%") {
			panic("httpmw: " + function + `: the prefix and exempt names must not be empty or hold "/", "\", NUL or "%"`)
		}
	}
	return rule
}

// hidesPath reports whether the path of a URL is to be hidden. Final means that nothing
// behind decodes it again.
func (r *restriction) hidesPath(path string, final bool) bool {
	found := r.scan(path)
	if found&(foundRestricted|foundOverlong) != 0 {
		return true
	}
	return found&foundPercent != 0 && !final && r.hidesEncoded(path)
}

// What scan finds.
const (
	foundRestricted = 1 << iota // a restricted segment; then it stops
	foundOverlong               // overlong UTF-8
	foundPercent                // what can be decoded again
)

// remarkable are the bytes that scan has to look at.
var remarkable = func() (is [256]bool) {
	for c := range is {
		is[c] = separates(byte(c)) || c == '%' || c >= 0xC0
	}
	return is
}()

// scan looks at a path as it is.
func (r *restriction) scan(path string) (found int) {
	first := r.prefix[0] // which alone sorts out nearly all
	if path != "" && path[0] == first && r.restricts(path, 0, 0) {
		return foundRestricted
	}
	for i := range len(path) {
		c := path[i]
		if !remarkable[c] {
			continue
		}
		switch {
		case c == '%':
			if _, _, escaped := decoded(path, i, 1); escaped {
				found |= foundPercent
			}
		case c >= 0xC0:
			if overlong(path[i:]) {
				found |= foundOverlong
			}
		case i+1 < len(path) && path[i+1] == first && r.restricts(path, i+1, 0):
			return found | foundRestricted
		}
	}
	return found
}

// restricts reports whether the segment at path[i:], decoded so many times, is restricted.
func (r *restriction) restricts(path string, i, rounds int) bool {
	if _, ok := after(path, i, rounds, r.prefix); !ok {
		return false
	}
	for _, name := range r.exempt {
		end, ok := after(path, i, rounds, name)
		if !ok {
			continue
		}
		if end == len(path) {
			return false
		}
		if c, _, _ := decoded(path, end, rounds); separates(c) {
			return false
		}
	}
	return true
}

// after returns where path[i:], decoded so many times, goes on after text, if it begins
// with that.
func after(path string, i, rounds int, text string) (end int, ok bool) {
	for j := range len(text) {
		if i == len(path) {
			return 0, false
		}
		c, next, _ := decoded(path, i, rounds)
		if c != text[j] {
			return 0, false
		}
		i = next
	}
	return i, true
}

// separates reports whether a segment ends at c: for some server or file system each of
// these does.
func separates(c byte) bool { return c == '/' || c == '\\' || c == 0 }

// overlong reports whether s begins with a character in more bytes than it needs, in UTF-8
// as it was up to six bytes long. Decoders that allow this read C0 AE as ".".
func overlong(s string) bool {
	n := bits.LeadingZeros8(^s[0]) // how many bytes there should be
	if n < 2 || n > 6 || n > len(s) {
		return false
	}
	for i := 1; i < n; i++ {
		if s[i]&0xC0 != 0x80 {
			return false
		}
	}
	if n == 2 {
		return s[0] < 0xC2
	}
	// The bits of the first byte are all zero, and those of the second that the
	// form of n-1 bytes has no room for.
	return s[0] == byte(0xFF<<(8-n)) && s[1] < 0x80|1<<(8-n)
}
