package httpmw_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// FuzzExposition observes requests with any labels. Every line must parse, every label come
// back as it was, and nothing be there twice, which metricsRead checks.
func FuzzExposition(f *testing.F) {
	f.Add("GET", "2xx", "/", "", int64(1000), int64(5))                                        // a request
	f.Add("", "", "", "", int64(0), int64(0))                                                  // nothing
	f.Add("A\\", "\"", "\n", "{}", int64(-1), int64(-1))                                       // what needs an escape, and numbers below 0
	f.Add(`\n`, `\\"`, "\\\n", `",le="1"} 7`, int64(1), int64(1))                              // what looks like an escape, and like the end
	f.Add("\xff", "\xc3\x28", "\x00", "\ufeff", int64(math.MaxInt64), int64(math.MaxInt64))    // no UTF-8, and the longest
	f.Add("\r", "\u2028", "# TYPE", strings.Repeat("\xff", 1025), int64(1e9), int64(1)<<53+1)  // other ends of lines, and a long label
	f.Add(strings.Repeat("é", 512), strings.Repeat("é", 513), "other", "", int64(5), int64(5)) // around the limit
	f.Fuzz(func(t *testing.T, method, class, pattern, host string, duration, bytes int64) {
		m := new(httpmw.Metrics)
		o := httpmw.Observation{Method: method, Class: class, Pattern: pattern, Host: host, Duration: time.Duration(duration), Bytes: bytes}
		end := func(o httpmw.Observation) {
			m.Begin()
			m.End(o)
		}
		end(o)
		end(o)
		// Two that are shown alike are one.
		o.Pattern = strings.ReplaceAll(pattern, "\xff", "\xfe")
		end(o)
		x := metricsRead(t, m)
		if got := x.value(t, "http_requests_total"); got != 3 {
			t.Errorf("http_requests_total = %v, want 3", got)
		}
		want := map[string]string{"method": fuzzLabel(method), "class": fuzzLabel(class), "pattern": fuzzLabel(pattern)}
		if host != "" {
			want["host"] = fuzzLabel(host)
		}
		series := 0
		for _, s := range x.samples {
			if len(s.labels) == 0 {
				continue
			}
			if s.name == "http_requests_total" {
				series++
			}
			delete(s.labels, "le")
			if got := fmt.Sprint(s.labels); got != fmt.Sprint(want) {
				t.Errorf("%s has the labels %q, want %q", s.name, got, want)
			}
		}
		if series != 1 {
			t.Errorf("there are %d series, want 1", series)
		}
	})
}

// fuzzLabel returns what a label comes back as.
func fuzzLabel(s string) string {
	if len(s) > 1024 {
		return "other"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
