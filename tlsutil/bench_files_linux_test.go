package tlsutil_test

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// What a mutual handshake costs the server when its files are watched, when the same
// certificates are in memory, and with a plain *tls.Config. They take turns, each first as
// often as the others; the ratios are of medians, which what else the machine does
// hardly moves.
func BenchmarkFilesHandshake(b *testing.B) {
	p := newPeer(b)
	f := p.generation(b, "only").inFolder(b)
	f.Interval = 100 * time.Millisecond // 50 times as often as usual
	w := watchFiles(b, f)
	held := *w.Current()
	mutual := func(src tlsutil.Source) *tls.Config {
		config, err := tlsutil.MutualServer(src, nil)
		noError(b, err)
		return config
	}
	configs := []*tls.Config{mutual(w), mutual(&held), {
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{held.Certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    held.Roots,
	}}
	times := make([][]time.Duration, len(configs))
	s := startMeasured(b)
	round := 0
	for b.Loop() {
		for i := range configs {
			i = (i + round) % len(configs)
			times[i] = append(times[i], s.handshake(b, configs[i], p.config))
		}
		round++
	}
	median := func(i int) float64 {
		slices.Sort(times[i])
		return float64(times[i][len(times[i])/2])
	}
	b.ReportMetric(median(0)/float64(time.Microsecond), "watched-µs")
	b.ReportMetric(median(0)/median(1), "watched/static")
	b.ReportMetric(median(0)/median(2), "watched/plain")
}
