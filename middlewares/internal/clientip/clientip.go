// Package clientip finds the address that a middleware takes for the client's: the entry point's own
// resolution, or an ipStrategy's choice among X-Forwarded-For.
package clientip

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the ipStrategy section of several middlewares. At most one of Depth and ExcludedIPs
// counts, Depth first; without either the entry point's resolution is used.
type Config struct {
	// Depth takes the n-th address of X-Forwarded-For, from the right, starting at 1.
	Depth int `json:"depth,omitempty"`
	// ExcludedIPs takes the first address from the right that is in none of these ranges.
	ExcludedIPs []string `json:"excludedIPs,omitempty"`
	// IPv6Subnet cuts an IPv6 address to its first bits (1-128).
	IPv6Subnet *int `json:"ipv6Subnet,omitempty"`
}

// Strategy is a Config made ready.
type Strategy struct {
	depth    int
	excluded Ranges
	subnet   int
}

// New makes a strategy; a nil Config is the entry point's resolution.
func New(c *Config) (*Strategy, error) {
	s := &Strategy{}
	if c == nil {
		return s, nil
	}
	if c.Depth < 0 {
		return nil, fmt.Errorf("ipStrategy: depth %d is negative", c.Depth)
	}
	if c.IPv6Subnet != nil {
		if s.subnet = *c.IPv6Subnet; s.subnet < 1 || s.subnet > 128 {
			return nil, fmt.Errorf("ipStrategy: ipv6Subnet %d is not between 1 and 128", s.subnet)
		}
	}
	s.depth = c.Depth
	if s.depth == 0 && len(c.ExcludedIPs) > 0 {
		var err error
		if s.excluded, err = ParseRanges(c.ExcludedIPs); err != nil {
			return nil, fmt.Errorf("ipStrategy: excludedIPs: %w", err)
		}
	}
	return s, nil
}

// Of is the client's address; the zero Addr when the strategy finds none.
func (s *Strategy) Of(x *exchange.Exchange) netip.Addr {
	var addr netip.Addr
	switch {
	case s.depth > 0:
		addr = nthFromRight(x, s.depth)
	case s.excluded != nil:
		addr = firstOutside(x, s.excluded)
	default:
		addr = Plain(x.Client)
	}
	if s.subnet > 0 && addr.Is6() {
		if prefix, err := addr.Prefix(s.subnet); err == nil {
			addr = prefix.Addr()
		}
	}
	return addr
}

// nthFromRight counts from the right over all X-Forwarded-For fields.
func nthFromRight(x *exchange.Exchange, n int) netip.Addr {
	for i, item := range forwardedFor(x) {
		if i == n {
			return parse(item)
		}
	}
	return netip.Addr{}
}

// firstOutside is the first address from the right that is in none of the ranges. What is no address
// at all ends the search: whoever wrote it is not to be trusted with what stands further left.
func firstOutside(x *exchange.Exchange, excluded Ranges) netip.Addr {
	for _, item := range forwardedFor(x) {
		if addr := parse(item); !addr.IsValid() || !excluded.Contains(addr) {
			return addr
		}
	}
	return netip.Addr{}
}

// forwardedFor yields the addresses of X-Forwarded-For from right to left, numbered from 1, as the
// peer sent them: the peer itself, which the entry point put at the end for the server, is left out.
func forwardedFor(x *exchange.Exchange) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		var items [][]byte
		for value := range x.Request.Header.Values(exchange.XForwardedFor) {
			items = slices.AppendSeq(items, exchange.List(value))
		}
		if n := len(items); n > 0 && string(items[n-1]) == x.Conn.PeerText {
			items = items[:n-1]
		}
		for i := range items {
			if !yield(i+1, items[len(items)-1-i]) {
				return
			}
		}
	}
}

func parse(item []byte) netip.Addr {
	addr, err := netip.ParseAddr(string(item))
	if err != nil {
		return netip.Addr{}
	}
	return Plain(addr)
}

// Plain is addr without zone, and as IPv4 when it is one.
func Plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// Ranges is a set of addresses.
type Ranges []netip.Prefix

// ParseRanges reads addresses and CIDR ranges.
func ParseRanges(list []string) (Ranges, error) {
	ranges := make(Ranges, 0, len(list))
	for _, text := range list {
		text = strings.TrimSpace(text)
		if addr, err := netip.ParseAddr(text); err == nil {
			addr = Plain(addr)
			ranges = append(ranges, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an IP address nor a CIDR range such as 10.0.0.0/8", text)
		}
		ranges = append(ranges, prefix.Masked())
	}
	return ranges, nil
}

// Contains reports whether a plain address is in one of the ranges.
func (r Ranges) Contains(addr netip.Addr) bool {
	for _, prefix := range r {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
