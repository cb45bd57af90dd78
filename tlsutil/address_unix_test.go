//go:build unix

package tlsutil_test

import (
	"net"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// A client may bind its Unix socket to a path that reads like an address of the network.
func TestUnixSocketThatIsCalledLikeAnAddress(t *testing.T) {
	t.Chdir(t.TempDir())
	p := newParties(t)
	l, err := net.Listen("unix", "s")
	must(t, err)
	defer l.Close()
	client, err := net.DialUnix("unix", &net.UnixAddr{Net: "unix", Name: "127.0.0.1:443"}, &net.UnixAddr{Net: "unix", Name: "s"})
	must(t, err)
	server, err := l.Accept()
	must(t, err)
	if server.RemoteAddr().String() != "127.0.0.1:443" {
		t.Fatalf("the client comes from %v", server.RemoteAddr())
	}
	o := meetOver(t, client, server, mutualClient.config(t, p.client, dialed),
		mutualServer.config(t, p.server, &tlsutil.Options{Address: true}))
	o.want(t, remote(tlsutil.ErrRefused), local(tlsutil.ErrAddressMismatch))
}
