package acme

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// arpaAddress is the address that a reverse-mapping name stands for: authorities ask for addresses by
// such names, since SNI holds no addresses. Any other name is returned as it is. RFC 8738 §6.
func arpaAddress(name string) string {
	lower := strings.TrimSuffix(strings.ToLower(name), ".")
	if rest, ok := strings.CutSuffix(lower, ".in-addr.arpa"); ok {
		labels := strings.Split(rest, ".")
		slices.Reverse(labels)
		if ip, err := netip.ParseAddr(strings.Join(labels, ".")); err == nil {
			return ip.String()
		}
	}
	if rest, ok := strings.CutSuffix(lower, ".ip6.arpa"); ok {
		labels := strings.Split(rest, ".")
		if len(labels) != 32 {
			return name
		}
		var raw [16]byte
		for i, label := range labels {
			nibble, err := strconv.ParseUint(label, 16, 4)
			if err != nil {
				return name
			}
			raw[15-i/2] |= byte(nibble) << (4 * (i % 2))
		}
		return netip.AddrFrom16(raw).String()
	}
	return name
}
