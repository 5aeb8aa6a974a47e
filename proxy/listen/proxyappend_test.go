package listen

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestAppendProxy(t *testing.T) {
	v4, v4b := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("198.51.100.2:443")
	v6, v6b := netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:65535")
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:40000")
	for _, c := range []struct {
		source, destination netip.AddrPort
		v1                  string
		parsed              bool
	}{
		{v4, v4b, "PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n", true},
		{mapped, v4b, "PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n", true},
		{v6, v6b, "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", true},
		{v4, v6b, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 40000 65535\r\n", true},
		{netip.AddrPort{}, v4, "PROXY UNKNOWN\r\n", false},
		{netip.AddrPort{}, netip.AddrPort{}, "PROXY UNKNOWN\r\n", false},
	} {
		if got := string(AppendProxy([]byte("x"), 1, c.source, c.destination)); got != "x"+c.v1 {
			t.Errorf("version 1: %q, not %q", got[1:], c.v1)
		}
		for version := 1; version <= 2; version++ {
			header := AppendProxy(nil, version, c.source, c.destination)
			h, size, err := ParseProxy(append(header, "rest"...))
			want := ProxyHeader{}
			if c.parsed {
				want.Source = netip.AddrPortFrom(c.source.Addr().Unmap(), c.source.Port())
				want.Destination = netip.AddrPortFrom(c.destination.Addr().Unmap(), c.destination.Port())
			}
			if err != nil || size != len(header) || fmt.Sprint(h) != fmt.Sprint(want) {
				t.Errorf("version %d of %v %v: %v, %d bytes, %v", version, c.source, c.destination, h, size, err)
			}
		}
	}
}
