package proxy_test

import (
	"net"
	"testing"

	"github.com/netparts/netparts/proxy"
)

// What follows a header is spliced: while an upstream does not read, bytes are in a
// pipe. That holds behind a Prepend of the user's too, and not behind a connection that
// may read otherwise.
func TestRelaySplicesBehindHeader(t *testing.T) {
	for _, tt := range []struct {
		name    string
		wrap    func(net.Conn) net.Conn
		spliced bool
	}{
		{"header", func(c net.Conn) net.Conn { return c }, true},
		{"header and head", func(c net.Conn) net.Conn { return proxy.Prepend(c, make([]byte, 4)) }, true},
		{"wrapped", func(c net.Conn) net.Conn { return struct{ net.Conn }{c} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &proxy.HeaderListener{Listener: listen(t, "tcp"), Policy: policyOf(proxy.HeaderRequired)}
			defer l.Close()
			client := dial(t, l.Addr())
			send(t, client, headerLine)
			accepted, err := l.Accept()
			must(t, err)
			upstream, dialed := join(t, "tcp")
			r := relayBetween(t, client, tt.wrap(accepted), dialed, upstream, nil)
			wantSpliced(t, r, tt.spliced)
		})
	}
}
