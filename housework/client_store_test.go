package housework_test

import (
	"context"
	"net"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/housework/storetest"
	"github.com/netparts/netparts/internal/memnet"
)

// A client of a server behaves as the store of the server does.
func TestClientIsAStore(t *testing.T) {
	t.Run("tls", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) housework.Store {
			return serverPair(t, &housework.Server{Rosie: serverRosie()}, &housework.ClientOptions{})
		})
	})
	t.Run("memory, small pages", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) housework.Store {
			rosie := serverRosie()
			rosie.MaxPage = 7
			return serverDialMem(t, &housework.Server{Rosie: rosie, Insecure: true})
		})
	})
}

// serverDialMem returns a client of a server in memory.
func serverDialMem(t testing.TB, s *housework.Server) *housework.Client {
	t.Helper()
	l := new(memnet.Network)
	listener, err := l.Listen("tcp", "192.0.2.1:34443")
	serverMust(t, err)
	serverServe(t, s, listener)
	return serverDial(t, "192.0.2.1:34443", &housework.ClientOptions{
		Insecure: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return l.DialContext(ctx, network, address)
		},
	})
}
