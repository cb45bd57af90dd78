package main

import (
	"bytes"
	"strings"
	"testing"
)

// A histogram that counts as it should, for tests to spoil.
const goodPage = `# TYPE open_connections gauge
open_connections 2
# TYPE request_count counter
request_count 6
# TYPE write_errors_count counter
write_errors_count 0
# TYPE request_duration_histogram_seconds histogram
request_duration_histogram_seconds_bucket{le="0.1"} 1
request_duration_histogram_seconds_bucket{le="0.2"} 4
request_duration_histogram_seconds_bucket{le="+Inf"} 6
request_duration_histogram_seconds_sum 1.5
request_duration_histogram_seconds_count 6
`

// What is wrong with the totals is found, and said.
func TestCheckPage(t *testing.T) {
	c := config{clients: 2, requests: 3}
	for _, tt := range []struct {
		name, old, new string
		want           string
	}{
		{"all is well", "", "", ""},
		{"a connection too many", "open_connections 2", "open_connections 3", "open_connections is 3, want 2"},
		{"a request is missing", "request_count 6", "request_count 5", "request_count is 5, want 6"},
		{"a write failed", "errors_count 0", "errors_count 1", "write_errors_count is 1, want 0"},
		{"a count falls", `"0.2"} 4`, `"0.2"} 0`, "the bucket up to 0.2 has 0 after 1 up to 0.1"},
		{"a bound twice", `le="0.2"`, `le="0.1"`, "the bucket up to 0.1 has 4 after 1 up to 0.1"},
		{"the last bucket lacks one", `"+Inf"} 6`, `"+Inf"} 5`, "the last bucket, up to +Inf, has 5"},
		{"no last bucket", "4\nrequest_duration_histogram_seconds_bucket{le=\"+Inf\"}", "", "the last bucket, up to 0.2"},
		{"a duration is missing", "seconds_count 6", "seconds_count 5", "5"},
		{"no gauge", "open_connections 2\n", "", `0 metrics "open_connections"`},
		{"two counters", "request_count 6\n", "request_count{a=\"1\"} 3\nrequest_count{a=\"2\"} 3\n", `2 metrics "request_count"`},
		{"not a page", "request_count 6", "request_count six", "cannot be read"},
	} {
		page := goodPage
		if tt.old != "" {
			page = strings.Replace(goodPage, "\n"+tt.old, "\n"+tt.new, 1)
			if page == goodPage {
				page = strings.Replace(goodPage, tt.old, tt.new, 1)
			}
		}
		err := c.checkPage([]byte(page), 2)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Without a namespace and a subsystem there is no prefix. Comments, and metrics that are not
// among those named, are left out all the same.
func TestLinesWithoutPrefix(t *testing.T) {
	const page = "# HELP a A.\n# TYPE a counter\na 1\nb_a 2\ngo_threads 3\n"
	for prefix, want := range map[string]string{"": "a 1\n", "b_": "b_a 2\n", "c_": ""} {
		if got := string(linesOf([]byte(page), prefix, "a", "x")); got != want {
			t.Errorf("prefix %q: %q, want %q", prefix, got, want)
		}
	}
}

// Whatever a server sends as its metrics, reading it ends with totals or an error.
func FuzzParseTotals(f *testing.F) {
	f.Add([]byte(goodPage))                                                 // the good one
	f.Add([]byte(strings.ReplaceAll(goodPage, "histogram", "summary")))     // of the other type
	f.Add([]byte(strings.ReplaceAll(goodPage, "6", "NaN")))                 // counts that are no numbers
	f.Add([]byte("open_connections{a=\"\\\""))                              // cut off
	f.Add([]byte("# TYPE request_count histogram\nrequest_count_bucket 1")) // a bucket without a bound
	f.Fuzz(func(t *testing.T, page []byte) {
		totals, err := parseTotals(page, "")
		if err == nil && totals.observed > 0 && !bytes.Contains(page, []byte("request_duration_")) {
			t.Errorf("%d durations in %q", totals.observed, page)
		}
		if lines := linesOf(page, "", "open"); len(lines) > len(page) {
			t.Errorf("%d bytes of lines in %d", len(lines), len(page))
		}
	})
}
