package ipallowlist

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

func TestIPAllowList(t *testing.T) {
	g, err := New(Config{SourceRange: []string{"10.0.0.0/8", "192.168.1.7", "2001:db8::/32"}})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]error{
		"10.1.2.3": nil, "192.168.1.7": nil, "::ffff:10.0.0.1": nil, "2001:db8::1": nil, "fe80::1%eth0": exchange.Forbidden,
		"192.168.1.8": exchange.Forbidden, "2001:db9::1": exchange.Forbidden,
	} {
		if err := g.Enter(&exchange.Conn{Peer: netip.AddrPortFrom(netip.MustParseAddr(addr), 1)}); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", addr, err, want)
		}
	}
	if err := g.Enter(&exchange.Conn{}); !errors.Is(err, exchange.Forbidden) {
		t.Errorf("no address: %v", err)
	}
	for _, config := range []Config{{}, {SourceRange: []string{"x"}}} {
		if _, err := New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}
