package tlsutil

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A host is what a certificate can be for: a name, or if that is empty, an address.
type host struct {
	name string
	addr netip.Addr
}

func (h host) String() string {
	if h.name != "" {
		return h.name
	}
	return h.addr.String()
}

// parseHosts drops none but those that are there already.
func parseHosts(list []string) ([]host, error) {
	var hosts []host
	for _, s := range list {
		h, err := parseHost(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	return hosts, nil
}

// parseHost tells whether s is a name or an address, and returns the form of it that is
// compared.
func parseHost(s string) (host, error) {
	h, err := classify(s)
	if err != nil {
		return host{}, fmt.Errorf("host %.300q: %w", s, err)
	}
	return h, nil
}

func classify(s string) (host, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addrHost(addr)
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if addr, err := netip.ParseAddr(inner); err == nil && addr.Is6() {
				return addrHost(addr)
			}
		}
	}
	if err := foreign(s); err != nil {
		return host{}, err
	}
	name := strings.TrimSuffix(strings.ToLower(s), ".")
	return host{name: name}, checkName(name)
}

func addrHost(addr netip.Addr) (host, error) {
	if addr.Zone() != "" {
		return host{}, errors.New("an address with a zone, which means something on one machine only")
	}
	return host{addr: addr.Unmap()}, nil
}

// foreign tells what s is instead of a name.
func foreign(s string) error {
	switch {
	case s == "":
		return errors.New("empty")
	case strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }):
		return errors.New("not ASCII; write the name in its xn-- form")
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("has a space or a control character")
	case strings.Contains(s, "/"):
		return errors.New("a URL, a path or a prefix, not a host")
	case strings.Contains(s, "@"):
		return errors.New("has a user, not only a host")
	case strings.ContainsAny(s, ":[]"):
		return errors.New("has a port, or is an IPv6 address that is not well-formed")
	}
	return nil
}

// checkName checks a name in lower case, without a dot at its end.
func checkName(name string) error {
	if len(name) > 253 {
		return errors.New("longer than 253 characters")
	}
	labels := strings.Split(name, ".")
	if labels[0] == "*" {
		if labels = labels[1:]; len(labels) == 0 {
			return errors.New("a wildcard needs a domain to stand before")
		}
	}
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	// As browsers do: a name that ends with a number is an IPv4 address, or nothing.
	if isNumber(labels[len(labels)-1]) {
		return errors.New("ends with a number, and is not an IPv4 address")
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("has an empty label")
	case len(label) > 63:
		return errors.New("has a label longer than 63 characters")
	case strings.Contains(label, "*"):
		return errors.New("a wildcard is the whole first label")
	case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
		return errors.New("has a label that begins or ends with a hyphen")
	}
	// An underscore is in no host's name, but in some that services are given.
	if i := strings.IndexFunc(label, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' }); i >= 0 {
		return fmt.Errorf("has the character %q", label[i])
	}
	return nil
}

func isAlphanumeric(r rune) bool { return isDigit(r) || 'a' <= r && r <= 'z' }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// isNumber reports whether a label is a number in C's notation.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return !strings.ContainsFunc(label, func(r rune) bool { return !isDigit(r) })
}
