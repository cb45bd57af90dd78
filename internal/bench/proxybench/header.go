//go:build linux

package proxybench

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"

	"github.com/pires/go-proxyproto"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/proxy"
)

const goProxyProto = "go-proxyproto"

func header(version int) proxy.Header {
	return proxy.Header{
		Version: version, Network: "tcp",
		Source:      netip.MustParseAddrPort("192.0.2.17:49152"),
		Destination: netip.MustParseAddrPort("198.51.100.200:443"),
	}
}

// headerMetric is the CPU time of one header.
var headerMetric = lab.CallMetrics("ns")[0].Name

const headerReason = "Of the time for version 1, about two fifths are finding the end of the line and its fields, a fifth is the one copy that the addresses are parsed from, and a sixth is net/netip, which parses them."

// parseHeader parses headers of the PROXY protocol.
func parseHeader(version int) lab.Case {
	return lab.Case{
		Name:    fmt.Sprintf("parse a PROXY header, version %d", version),
		About:   "Parses the header of a TCP connection over IPv4, ours from a slice, the peer from a bufio.Reader, which is what it takes. The addresses that ours finds are compared, and the version that the peer does.",
		Sides:   sides(lab.Ours, goProxyProto),
		Metrics: lab.CallMetrics("ns"),
		Targets: []lab.Target{
			{Metric: headerMetric, Than: goProxyProto, AtMost: 0.4, Reason: headerReason},
			{Metric: lab.Allocs, AtMost: 1},
		},
		Run: func(t *lab.T) {
			want := header(version)
			wire, err := want.AppendBinary(nil)
			t.Fatal(err)
			memory, reader := bytes.NewReader(wire), bufio.NewReader(nil)
			calls(t, func() error {
				h, n, err := proxy.ParseHeader(wire)
				if err == nil && (n != len(wire) || h.Source != want.Source || h.Destination != want.Destination) {
					err = fmt.Errorf("parsed %+v", h)
				}
				return err
			}, func() error {
				memory.Reset(wire)
				reader.Reset(memory)
				h, err := proxyproto.Read(reader)
				if err == nil && int(h.Version) != version {
					err = fmt.Errorf("parsed %+v", h)
				}
				return err
			})
		},
	}
}

// formatHeader formats them.
func formatHeader(version int) lab.Case {
	return lab.Case{
		Name:    fmt.Sprintf("format a PROXY header, version %d", version),
		About:   "Formats the header of a TCP connection over IPv4, ours into a slice that is there already. What both make is compared.",
		Sides:   sides(lab.Ours, goProxyProto),
		Metrics: lab.CallMetrics("ns"),
		Run: func(t *lab.T) {
			h := header(version)
			wire, err := h.AppendBinary(nil)
			t.Fatal(err)
			want := bytes.Clone(wire)
			theirs, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(wire)))
			t.Fatal(err)
			var other []byte
			calls(t, func() (err error) {
				wire, err = h.AppendBinary(wire[:0])
				return err
			}, func() (err error) {
				other, err = theirs.Format()
				return err
			})
			if !bytes.Equal(wire, want) || !bytes.Equal(other, want) {
				t.Fatalf("ours is %q and the other is %q, want %q", wire, other, want)
			}
		},
	}
}

// calls has both sides take turns.
func calls(t *lab.T, ours, peer func() error) {
	repeat := func(one func() error) func(n int) error {
		return func(n int) error {
			for range n {
				if err := one(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	c := lab.Calls{
		T: t, Unit: "ns", Count: lab.Of(t, 200_000, 200), Slice: lab.Of(t, 2_000, 100),
		Work: map[string]func(int) error{lab.Ours: repeat(ours), goProxyProto: repeat(peer)},
	}
	c.Run()
}
