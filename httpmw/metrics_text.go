package httpmw

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// exposition writes metrics in the text format of Prometheus, version 0.0.4.
type exposition struct {
	out    *bufio.Writer // keeps the first error
	prefix string
	bounds []string // of the buckets, with +Inf
}

func newExposition(w io.Writer, settings *metricsSettings) *exposition {
	e := &exposition{out: bufio.NewWriter(w), prefix: settings.prefix}
	for _, b := range settings.bounds {
		e.bounds = append(e.bounds, formatFloat(b))
	}
	e.bounds = append(e.bounds, "+Inf")
	return e
}

// formatFloat writes a number as Prometheus does.
func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// write writes strings. Errors stay in e.out, whose Flush returns the first.
func (e *exposition) write(parts ...string) {
	for _, p := range parts {
		_, _ = e.out.WriteString(p)
	}
}

// family begins a metric, and returns its full name. The help must have no character that
// needs an escape.
func (e *exposition) family(name, kind, help string) string {
	name = e.prefix + name
	e.write("# HELP ", name, " ", help, "\n", "# TYPE ", name, " ", kind, "\n")
	return name
}

// single writes a whole metric that has one value without labels.
func (e *exposition) single(name, kind, help string, value int64) {
	name = e.family(name, kind, help)
	e.write(name, " ", strconv.FormatInt(value, 10), "\n")
}

// sample writes a count. The label le is left out if it is empty.
func (e *exposition) sample(name, labels, le string, n uint64) {
	e.write(name, "{", labels)
	if le != "" {
		e.write(`,le="`, le, `"`)
	}
	e.write("} ", strconv.FormatUint(n, 10), "\n")
}

// histogram writes the values of one series.
func (e *exposition) histogram(name string, s reading) {
	for i, n := range s.counts {
		e.sample(name+"_bucket", s.labels, e.bounds[i], n)
	}
	e.write(name, "_sum{", s.labels, "} ", formatFloat(s.sum), "\n")
	e.sample(name+"_count", s.labels, "", s.count)
}

// escapeLabel escapes the value of a label. Any other character stands for itself.
var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// labels returns the labels of a series as they are shown. An empty host is the same as
// none, for Prometheus too.
func labels(k seriesKey) string {
	s := `method="` + escapeLabel.Replace(k.method) +
		`",class="` + escapeLabel.Replace(k.class) +
		`",pattern="` + escapeLabel.Replace(k.pattern) + `"`
	if k.host != "" {
		s += `,host="` + escapeLabel.Replace(k.host) + `"`
	}
	return s
}
