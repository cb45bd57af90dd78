package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// restrictLong are paths that make a check work, to be repeated to any length.
var restrictLong = map[string]string{
	"letters":          "a",
	"slashes":          "/",
	"dots":             "../",
	"exempt names":     ".ok/",
	"percent":          "%",
	"percent digit":    "%2",
	"percents, digit":  "%%2",
	"decoded once":     "%25",
	"decoded for ever": "%25%32%35",
	"nested":           "%25252561",
	"nested dots":      "%252525252e",
	"nested exempt":    "%2ook%252f.ok/",
	"two bytes":        "é",
	"overlong":         "\xc0",
	"not UTF-8":        "\xff%2561",
	"four bytes":       "%25f0%259f%2598%2580",
	"prefix, nearly":   "%2eo%2fok/",
}

// restrictCheck returns a function that checks a path of that length, made of one part.
func restrictCheck(part string, length int) func() {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	h := httpmw.RestrictPrefix(".o", &httpmw.RestrictOptions{Exempt: []string{".ok", ".other"}, NotFound: next})(next)
	r := &http.Request{URL: &url.URL{Path: "/" + strings.Repeat(part, length/len(part))}}
	w := httptest.NewRecorder()
	return func() { h.ServeHTTP(w, r) }
}

// A path of 64 KiB takes eight times the work of one of 8 KiB, and not 64 times. All that is
// not "%" is looked at once in each round.
func TestRestrictPrefixWorkIsLinear(t *testing.T) {
	most := 0
	for name, part := range restrictLong {
		short := httpmw.RestrictWork(restrictCheck(part, 8<<10))
		long := httpmw.RestrictWork(restrictCheck(part, 64<<10))
		if long > 8*short+1000 || long > 64<<14 {
			t.Errorf("%s: 8 KiB take %d steps, and 64 KiB %d", name, short, long)
		}
		most = max(most, long)
	}
	if most < 64<<10 {
		t.Errorf("at most %d steps, so this shows nothing", most)
	}
}
