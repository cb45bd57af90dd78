package httpmw_test

import (
	"fmt"
	"maps"
	"math"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/netparts/netparts/httpmw"
)

// A metricsSample is a line with a value.
type metricsSample struct {
	name   string
	labels map[string]string
	value  float64
}

// series returns the labels other than le in a form that can be compared.
func (s metricsSample) series() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s.labels)) {
		if k != "le" {
			fmt.Fprintf(&b, "%s=%q ", k, s.labels[k])
		}
	}
	return b.String()
}

// metricsText is an exposition that has been parsed and checked.
type metricsText struct {
	kinds   map[string]string // by the name of a family
	samples []metricsSample
}

// value returns the sum of all samples of this name.
func (x metricsText) value(t *testing.T, name string) (sum float64) {
	t.Helper()
	found := false
	for _, s := range x.samples {
		if s.name == name {
			sum, found = sum+s.value, true
		}
	}
	if !found {
		t.Errorf("there is no sample of %s", name)
	}
	return sum
}

// metricsRead asks for the metrics, and parses and checks them.
func metricsRead(t *testing.T, m *httpmw.Metrics) metricsText {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d, want 200", w.Code)
	}
	return metricsParse(t, w.Body.String())
}

// metricsParse parses the text format 0.0.4, of which it allows no more than is needed.
func metricsParse(t *testing.T, text string) metricsText {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("the text is no UTF-8:\n%q", text)
	}
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line does not end")
	}
	x := metricsText{kinds: make(map[string]string)}
	family, help := "", ""
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			help, rest, _ = strings.Cut(rest, " ")
			if rest == "" || x.kinds[help] != "" {
				t.Errorf("%q: no help, or the second of its name", line)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if name != help || !slices.Contains([]string{"counter", "gauge", "histogram"}, kind) {
				t.Errorf("%q does not follow its HELP, or is of no type", line)
			}
			family = name
			x.kinds[name] = kind
			continue
		}
		s, err := metricsLine(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		base := s.name
		if x.kinds[family] == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
		}
		if base != family {
			t.Errorf("%q stands below the type of %s", line, family)
		}
		x.samples = append(x.samples, s)
	}
	metricsCheck(t, x)
	return x
}

// metricsLine parses a line such as name{label="value"} 1.
func metricsLine(line string) (s metricsSample, err error) {
	i := strings.IndexAny(line, "{ ")
	if i <= 0 {
		return s, fmt.Errorf("no name")
	}
	s.name, line = line[:i], line[i:]
	s.labels = make(map[string]string)
	if line[0] == '{' {
		line = line[1:]
		for line[0] != '}' {
			name, rest, ok := strings.Cut(line, `="`)
			if !ok || strings.ContainsAny(name, `",} `) || s.labels[name] != "" {
				return s, fmt.Errorf("no label at %q", line)
			}
			if s.labels[name], line, err = metricsLabel(rest); err != nil {
				return s, err
			}
			line = strings.TrimPrefix(line, ",")
			if line == "" {
				return s, fmt.Errorf("the labels do not end")
			}
		}
		line = line[1:]
	}
	number, ok := strings.CutPrefix(line, " ")
	if !ok {
		return s, fmt.Errorf("no space before the value")
	}
	s.value, err = strconv.ParseFloat(number, 64)
	return s, err
}

// metricsLabel parses a label's value behind its quotation mark, and returns what follows it.
func metricsLabel(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return b.String(), text[i+1:], nil
		case '\\':
			i++
			if i == len(text) {
				return "", "", fmt.Errorf("an escape of nothing")
			}
			switch text[i] {
			case '\\', '"':
				b.WriteByte(text[i])
			case 'n':
				b.WriteByte('\n')
			default:
				return "", "", fmt.Errorf("the escape %q", text[i-1:i+1])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("a label's value does not end")
}

// metricsCheck checks what must hold in any one exposition: nothing is there twice, buckets
// rise up to +Inf, and counts agree.
func metricsCheck(t *testing.T, x metricsText) {
	t.Helper()
	seen := make(map[string]float64)
	bound := make(map[string]float64) // the last of a series, and how many are below it
	below := make(map[string]float64)
	for _, s := range x.samples {
		id := s.name + " " + s.series()
		if le, ok := s.labels["le"]; ok {
			b, err := strconv.ParseFloat(le, 64)
			if last, ok := bound[id]; err != nil || ok && b <= last || s.value < below[id] {
				t.Errorf("%s le=%q %v: the buckets do not rise (%v)", id, le, s.value, err)
			}
			bound[id], below[id] = b, s.value
			id += " le=" + le
		}
		if _, ok := seen[id]; ok {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = s.value
	}
	for _, s := range x.samples {
		if base, ok := strings.CutSuffix(s.name, "request_duration_seconds_count"); ok {
			bucket := base + "request_duration_seconds_bucket " + s.series()
			if !math.IsInf(bound[bucket], 1) || below[bucket] != s.value {
				t.Errorf("%v: the bucket +Inf has %v, the count is %v", s.labels, below[bucket], s.value)
			}
			if total := seen[base+"requests_total "+s.series()]; total != s.value {
				t.Errorf("%v: requests_total is %v, the count is %v", s.labels, total, s.value)
			}
		}
	}
}
