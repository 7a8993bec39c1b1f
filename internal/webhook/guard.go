package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// errAddress is why a connection was not made.
var errAddress = errors.New("the address is not a public one")

// special are the ranges that lead into somebody's own network, or nowhere, beside those that netip knows (IANA's
// special-purpose registries for IPv4 and IPv6, RFC 6890). The last one is Azure's metadata service, which has a
// public address.
var special = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48",
	"3fff::/20", "168.63.129.16/32")

// global6 is all of IPv6 that has been given out as public addresses (RFC 4291 §2.4), and nat64 the prefix behind which
// an IPv4 address stands (RFC 6052 §2.1).
var (
	global6 = netip.MustParsePrefix("2000::/3")
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(text ...string) (out []netip.Prefix) {
	for _, t := range text {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// public reports whether an address is one on the public internet.
func public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !global6.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// inside reports whether an address is this machine's or one of its own network, where http may do.
func inside(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate()
}

// control is net.Dialer's last word before a connection: address is what the name was resolved to, so no change of the
// name between our look and the call can lead elsewhere.
func control(ok func(netip.Addr) bool) func(network, address string, c syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		a, err := netip.ParseAddr(host)
		if err != nil || !ok(a) {
			return errAddress
		}
		return nil
	}
}

// checkURL returns what is wrong with an endpoint's address. A name is judged again at each connection, by what it is
// then.
func checkURL(text string, private bool) error {
	bad := func(format string, args ...any) error {
		return &FieldError{"url", "invalid_value", fmt.Sprintf(format, args...)}
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || len(text) > MaxURL ||
		strings.ContainsAny(text, " \t\r\n") {
		return bad("must be an address like https://shop.example/dialproof, at most %d bytes", MaxURL)
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !private):
		return bad("must begin with https://")
	case u.User != nil:
		return bad("must hold no user name and password: whoever receives checks the signature")
	case u.Fragment != "":
		return bad("must have no fragment")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	a, err := netip.ParseAddr(host)
	if err != nil {
		if !private && (host == "localhost" || strings.HasSuffix(host, ".localhost")) {
			return bad("must not lead to this machine; webhooks.allow_private allows it for development")
		}
		return nil
	}
	if !private && !public(a) {
		return bad("must be a public address; webhooks.allow_private allows others")
	}
	return nil
}
