package httpmw_test

import (
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/interop"
)

// promtool parses metrics as Prometheus does, and says what is against its conventions.
func TestInteropPromtool(t *testing.T) {
	promtool := interop.Command(t, "promtool", "prometheus")
	served := &httpmw.Metrics{Connections: new(httpmw.ConnGauge)}
	addr := randomServer(t, served)
	for _, client := range instrumentClients(t) {
		for _, path := range []string{"/list", "/status/204", "/status/999", "/missing"} {
			if err := instrumentGet(t, client, "GET", "http://"+addr+path); err != nil {
				t.Fatal(err)
			}
		}
	}
	nasty := &httpmw.Metrics{Namespace: "web", Subsystem: "server1", Buckets: []float64{0.1, 1}, Connections: new(httpmw.ConnGauge)}
	for _, label := range []string{"", "\\", `"`, "\n", `\n`, "{}", "=,", "\xff", "\x00\r\t\v", "\u2028é\U0001f4e1", "# TYPE a gauge", strings.Repeat("\xff", 2000)} {
		nasty.Begin()
		nasty.End(httpmw.Observation{
			Method: "GET", Class: "2xx", Pattern: label, Host: label,
			Duration: time.Second, Bytes: 1 << 40, WriteErr: errors.New("as intended"), Panicked: true,
		})
	}
	for i := range 3 {
		nasty.Connections.ConnState(nil, http.ConnState(i))
	}
	for _, tt := range []struct {
		name string
		text string
	}{
		{"no traffic", metricsGet(t, new(httpmw.Metrics))},
		{"no traffic, with connections", metricsGet(t, &httpmw.Metrics{Connections: new(httpmw.ConnGauge)})},
		{"requests", metricsGet(t, served)},
		{"any labels", metricsGet(t, nasty)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
			cmd.Stdin = strings.NewReader(tt.text)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
				t.Errorf("promtool: %v\n%s\nabout:\n%s", err, out, tt.text)
			}
		})
	}
	// It does find faults.
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader("# TYPE a_count counter\na_count 1\n")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("promtool has nothing against bad names: %s", out)
	}
}
