package tlsutil

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// A Resolver looks up names and addresses. A *net.Resolver is one.
type Resolver interface {
	// LookupAddr returns the names of an address. They may come beside an error.
	LookupAddr(ctx context.Context, addr string) ([]string, error)

	// LookupNetIP returns the addresses of a name. The network is "ip". A name that
	// ends with a dot is whole: no domain of a search list belongs behind it.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// maxLookups is how many names of an address are looked up: whoever has the address decides
// how many it has.
const maxLookups = 8

// remoteAddr returns the address that conn comes from in the form that is compared, or the
// zero Addr if it comes from none.
func remoteAddr(conn net.Conn) netip.Addr {
	if conn == nil || conn.RemoteAddr() == nil {
		return netip.Addr{}
	}
	addr := conn.RemoteAddr()
	if network := addr.Network(); !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return netip.Addr{} // the path of a Unix socket may look like an address
	}
	addrPort, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return bare(addrPort.Addr())
}

// bare takes away what does not count: a zone, which names an interface of this
// machine, and that an IPv4 address is written as one of IPv6.
func bare(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// checkAddress reports whether a certificate is for the address.
func (o *Options) checkAddress(ctx context.Context, addr netip.Addr, leaf *x509.Certificate) error {
	if !addr.IsValid() {
		return fmt.Errorf("%w: the connection has no IP address", ErrAddressMismatch)
	}
	for _, ip := range leaf.IPAddresses {
		if san, ok := netip.AddrFromSlice(ip); ok && bare(san) == addr {
			return nil
		}
	}
	if o.Resolver == nil {
		return fmt.Errorf("%w: %s is not in it", ErrAddressMismatch, addr)
	}
	ctx, cancel := context.WithTimeout(ctx, o.lookupTimeout())
	defer cancel()
	confirmed, err := o.confirmedName(ctx, addr, leaf)
	if confirmed {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: neither %s nor a name of it is in it: %w", ErrAddressMismatch, addr, err)
	}
	return fmt.Errorf("%w: neither %s nor a name of it is in it", ErrAddressMismatch, addr)
}

// confirmedName reports whether the certificate is for a name of the address that leads
// back to it.
func (o *Options) confirmedName(ctx context.Context, addr netip.Addr, leaf *x509.Certificate) (bool, error) {
	// Lookups return what they got beside an error about the rest.
	names, err := o.Resolver.LookupAddr(ctx, addr.String())
	lookups := 0
	for _, full := range names {
		name := strings.TrimSuffix(full, ".")
		if !isName(name) || leaf.VerifyHostname(name) != nil {
			continue
		}
		if lookups++; lookups > maxLookups {
			break
		}
		// With its dot, as otherwise a name of this network that only begins with
		// it could stand in for it.
		addrs, lookupErr := o.Resolver.LookupNetIP(ctx, "ip", full)
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return bare(a) == addr }) {
			return true, nil
		}
		err = errors.Join(err, lookupErr)
	}
	return false, err
}

// isName reports whether what a resolver returned can be compared with the names of a
// certificate: an address would be compared with its addresses, and a wildcard with
// itself.
func isName(name string) bool {
	_, err := netip.ParseAddr(name)
	return err != nil && !strings.ContainsAny(name, "*[]")
}
