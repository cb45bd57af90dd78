package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// pageLimit bounds what is read of a page of metrics.
const pageLimit = 4 << 20

// scrape reads metrics as Prometheus does.
func scrape(ctx context.Context, url string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return get(ctx, client, url, pageLimit)
}

// linesOf returns the lines of a page whose names begin with prefix and one of names, which
// leaves out the comments. The prefix alone would not do: it may be empty, or go_, and then
// the metrics of the runtime have it too.
func linesOf(page []byte, prefix string, names ...string) (lines []byte) {
	for line := range bytes.Lines(page) {
		if rest, ok := bytes.CutPrefix(line, []byte(prefix)); ok && slices.ContainsFunc(names, func(name string) bool {
			return bytes.HasPrefix(rest, []byte(name))
		}) {
			lines = append(lines, line...)
		}
	}
	return lines
}

// prefix is what the names of the metrics begin with.
func (c *config) prefix() string {
	return strings.TrimSuffix(prometheus.BuildFQName(c.namespace, c.subsystem, "x"), "x")
}

// checkPage compares a page with what was sent.
func (c *config) checkPage(page []byte, open int) error {
	t, err := parseTotals(page, c.prefix())
	if err != nil {
		return err
	}
	return errors.Join(
		t.check("open_connections", t.open, open),
		t.check("request_count", t.requests, c.clients*c.requests),
		t.check("write_errors_count", t.writeErrors, 0),
		t.check("the count of durations", float64(t.observed), c.clients*c.requests),
	)
}

// totals are what a page of metrics says of all requests.
type totals struct {
	open, requests, writeErrors float64
	observed                    uint64 // durations
}

// check compares one of the totals.
func (totals) check(what string, got float64, want int) error {
	if got != float64(want) {
		return fmt.Errorf("%s is %v, want %d", what, got, want)
	}
	return nil
}

// parseTotals reads the metrics with names that begin with prefix. The durations may be in a
// histogram or in a summary.
func parseTotals(page []byte, prefix string) (t totals, err error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return t, fmt.Errorf("the metrics cannot be read: %w", err)
	}
	one := func(name string, value func(*dto.Metric) error) error {
		list := families[prefix+name].GetMetric()
		if len(list) != 1 {
			return fmt.Errorf("there are %d metrics %q, want one", len(list), prefix+name)
		}
		return value(list[0])
	}
	duration := "request_duration_histogram_seconds"
	if families[prefix+duration] == nil {
		duration = strings.Replace(duration, "histogram", "summary", 1)
	}
	err = errors.Join(
		one("open_connections", func(m *dto.Metric) error { t.open = m.GetGauge().GetValue(); return nil }),
		one("request_count", func(m *dto.Metric) error { t.requests = m.GetCounter().GetValue(); return nil }),
		one("write_errors_count", func(m *dto.Metric) error { t.writeErrors = m.GetCounter().GetValue(); return nil }),
		one(duration, func(m *dto.Metric) error {
			t.observed = m.GetHistogram().GetSampleCount() + m.GetSummary().GetSampleCount()
			return checkBuckets(m.GetHistogram())
		}),
	)
	return t, err
}

// checkBuckets checks that buckets are cumulative: a duration counts in each bucket whose
// bound it does not exceed, so that none has less than the one before it, and the last, whose
// bound is infinite, has them all.
func checkBuckets(h *dto.Histogram) error {
	if h == nil {
		return nil // of a summary
	}
	var count uint64
	bound := math.Inf(-1)
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() <= bound || b.GetCumulativeCount() < count {
			return fmt.Errorf("the bucket up to %v has %d after %d up to %v", b.GetUpperBound(), b.GetCumulativeCount(), count, bound)
		}
		bound, count = b.GetUpperBound(), b.GetCumulativeCount()
	}
	if !math.IsInf(bound, 1) || count != h.GetSampleCount() {
		return fmt.Errorf("the last bucket, up to %v, has %d, want %d up to +Inf", bound, count, h.GetSampleCount())
	}
	return nil
}
