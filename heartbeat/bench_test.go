package heartbeat_test

import (
	"io"
	"testing"

	"github.com/netparts/netparts/heartbeat"
)

// BenchmarkTouch touches one Pinger. What ten thousand of them take, beside other designs,
// is measured in internal/bench.
func BenchmarkTouch(b *testing.B) {
	b.ReportAllocs()
	p := &heartbeat.Pinger{Writer: io.Discard}
	if err := p.Start(func(error) {}); err != nil {
		b.Fatal(err)
	}
	defer p.Stop()
	for b.Loop() {
		p.Touch()
	}
}
