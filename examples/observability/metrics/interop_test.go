package metrics_test

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/observability/metrics"
	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/interop"
)

// oldNames are against today's conventions.
var oldNames = []string{
	"web_server1_request_count",
	"web_server1_write_errors_count",
	"web_server1_request_duration_histogram_seconds",
	"web_server1_request_duration_summary_seconds",
}

// promtool reads the page as Prometheus does. What it has against it are names: a counter
// is called "..._total" today, "..._count" is part of a histogram, and a type is no part of a name.
func TestInteropPromtool(t *testing.T) {
	promtool := interop.Command(t, "promtool", "prometheus")
	for _, opts := range []metrics.Options{{}, {Labels: true}, {Summary: true}} {
		opts.Connections = new(httpmw.ConnGauge)
		reg, err := metrics.NewRegistry()
		if err != nil {
			t.Fatal(err)
		}
		m := newMetrics(t, reg, &opts)
		for _, pattern := range []string{"", "GET /{$}", "\\\"\n", "\xff"} {
			m.End(httpmw.Observation{Method: "GET", Class: "2xx", Pattern: pattern, Duration: time.Second})
		}
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(page(t, reg))
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 { // which means: names
			t.Errorf("promtool: %v\n%s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			name, _, _ := strings.Cut(line, " ")
			if !slices.Contains(oldNames, name) {
				t.Errorf("promtool says %s", line)
			}
		}
	}
}
