package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"

	"github.com/netparts/netparts/proxy"
)

func header(version int) proxy.Header {
	return proxy.Header{
		Version: version, Network: "tcp",
		Source:      netip.MustParseAddrPort("192.0.2.17:49152"),
		Destination: netip.MustParseAddrPort("198.51.100.200:443"),
	}
}

// BenchmarkProxyParseHeader parses headers of the PROXY protocol. The peer reads from a
// bufio.Reader, which is what it takes.
func BenchmarkProxyParseHeader(b *testing.B) {
	for _, version := range []int{1, 2} {
		b.Run(fmt.Sprintf("v%d", version), func(b *testing.B) {
			want := header(version)
			wire, err := want.AppendBinary(nil)
			if err != nil {
				b.Fatal(err)
			}
			ours := func() error {
				h, n, err := proxy.ParseHeader(wire)
				if err == nil && (n != len(wire) || h.Source != want.Source || h.Destination != want.Destination) {
					err = fmt.Errorf("parsed %+v", h)
				}
				return err
			}
			memory, reader := bytes.NewReader(wire), bufio.NewReader(nil)
			peer := func() error {
				memory.Reset(wire)
				reader.Reset(memory)
				h, err := proxyproto.Read(reader)
				if err == nil && int(h.Version) != version {
					err = fmt.Errorf("parsed %+v", h)
				}
				return err
			}
			headersSideBySide(b, ours, peer)
		})
	}
}

// BenchmarkProxyFormatHeader formats them, ours into a slice that is there already.
func BenchmarkProxyFormatHeader(b *testing.B) {
	for _, version := range []int{1, 2} {
		b.Run(fmt.Sprintf("v%d", version), func(b *testing.B) {
			h := header(version)
			wire, err := h.AppendBinary(nil)
			if err != nil {
				b.Fatal(err)
			}
			want := bytes.Clone(wire)
			theirs, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(wire)))
			if err != nil {
				b.Fatal(err)
			}
			ours := func() (err error) {
				wire, err = h.AppendBinary(wire[:0])
				return err
			}
			var other []byte
			peer := func() (err error) {
				other, err = theirs.Format()
				return err
			}
			headersSideBySide(b, ours, peer)
			if !bytes.Equal(wire, want) || !bytes.Equal(other, want) {
				b.Errorf("ours is %q and theirs is %q, want %q", wire, other, want)
			}
		})
	}
}

// headersSideBySide times ours and peer, and counts what they allocate.
func headersSideBySide(b *testing.B, ours, peer func() error) {
	b.Helper()
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
	sideBySide(b, repeat(ours), repeat(peer))
	for name, one := range map[string]func() error{"ours": ours, "peer": peer} {
		allocs := testing.AllocsPerRun(100, func() {
			if err := one(); err != nil {
				b.Fatal(err)
			}
		})
		b.ReportMetric(allocs, name+"-allocs/record")
	}
}
