package dns

import (
	"context"
	"errors"
	"net"
)

// Resolver returns a resolver that asks the server at an address. It is that of package
// net, written in Go on every system: for that there is PreferGo, since the C
// library of the system cannot be told to ask somebody else.
func Resolver(server string) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		// The network is "udp", and "tcp" when an answer did not fit. The address that is
		// left out is that of the machine's own server.
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server)
		},
	}
}

// First asks one resolver after the other until there is an answer. That a name does not exist
// is one. Silence, a server that fails and a server that knows nothing of the name (a
// lame one) are none. If there is no answer, the error joins those of all.
//
// A net.Resolver does the same with the servers of the machine. With a Dial function
// of its own it calls that as often as the machine has servers, so that it
// cannot be relied upon to reach a second one.
func First[T any](ctx context.Context, resolvers []*net.Resolver, ask func(context.Context, *net.Resolver) (T, error)) (T, error) {
	var none T
	var errs []error
	for _, r := range resolvers {
		answer, err := ask(ctx, r)
		if err == nil {
			return answer, nil
		}
		if dnsErr, ok := errors.AsType[*net.DNSError](err); ok && dnsErr.IsNotFound {
			return none, err
		}
		errs = append(errs, err)
	}
	return none, errors.Join(errs...)
}
