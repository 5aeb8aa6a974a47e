package clientip_test

import (
	"net/netip"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestOf(t *testing.T) {
	xff := []any{"X-Forwarded-For: 10.0.0.1, 11.0.0.1", "X-Forwarded-For: 12.0.0.1,13.0.0.1"}
	for _, c := range []struct {
		name    string
		config  *clientip.Config
		client  string
		headers []any
		want    string
	}{
		{"the entry point's", nil, "", xff, "192.0.2.1"},
		{"mapped", nil, "::ffff:10.1.1.1", xff, "10.1.1.1"},
		{"zone", nil, "fe80::1%eth0", xff, "fe80::1"},
		{"depth 1", &clientip.Config{Depth: 1}, "", xff, "13.0.0.1"},
		{"depth 3", &clientip.Config{Depth: 3}, "", xff, "11.0.0.1"},
		{"the peer that the entry point added does not count", &clientip.Config{Depth: 1}, "",
			[]any{"X-Forwarded-For: 10.0.0.1, 11.0.0.1, 192.0.2.1"}, "11.0.0.1"},
		{"nobody but the peer", &clientip.Config{Depth: 1}, "", []any{"X-Forwarded-For: 192.0.2.1"}, ""},
		{"excluded, with the peer", &clientip.Config{ExcludedIPs: []string{"11.0.0.1"}}, "",
			[]any{"X-Forwarded-For: 10.0.0.1, 11.0.0.1", "X-Forwarded-For: 192.0.2.1"}, "10.0.0.1"},
		{"depth too deep", &clientip.Config{Depth: 5}, "", xff, ""},
		{"depth without a header", &clientip.Config{Depth: 1}, "", nil, ""},
		{"depth wins", &clientip.Config{Depth: 1, ExcludedIPs: []string{"13.0.0.1"}}, "", xff, "13.0.0.1"},
		{"excluded", &clientip.Config{ExcludedIPs: []string{"13.0.0.0/8", "12.0.0.1"}}, "", xff, "11.0.0.1"},
		{"all excluded", &clientip.Config{ExcludedIPs: []string{"0.0.0.0/0"}}, "", xff, ""},
		{"garbage hides what is left of it", &clientip.Config{ExcludedIPs: []string{"12.0.0.1"}}, "",
			[]any{"X-Forwarded-For: 10.0.0.1, nonsense, 12.0.0.1"}, ""},
		{"subnet", &clientip.Config{IPv6Subnet: new(64)}, "2001:db8:1:2:3::4", nil, "2001:db8:1:2::"},
		{"subnet of what depth finds", &clientip.Config{Depth: 1, IPv6Subnet: new(64)}, "",
			[]any{"X-Forwarded-For: 2001:db8:1:2:3::4"}, "2001:db8:1:2::"},
		{"subnet of what is not excluded", &clientip.Config{ExcludedIPs: []string{"13.0.0.1"}, IPv6Subnet: new(64)}, "",
			[]any{"X-Forwarded-For: 2001:db8:1:2:3::4, 13.0.0.1"}, "2001:db8:1:2::"},
		{"no subnet of nothing", &clientip.Config{ExcludedIPs: []string{"::/0"}, IPv6Subnet: new(64)}, "",
			[]any{"X-Forwarded-For: 2001:db8:1:2:3::4"}, ""},
		{"subnet leaves IPv4 alone", &clientip.Config{IPv6Subnet: new(64)}, "10.0.0.7", nil, "10.0.0.7"},
	} {
		s, err := clientip.New(c.config)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		x := exchangetest.Request("GET", "/", c.headers...)
		if c.client != "" {
			x.Client = netip.MustParseAddr(c.client)
		}
		var want netip.Addr
		if c.want != "" {
			want = netip.MustParseAddr(c.want)
		}
		if got := s.Of(x); got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		if n := testing.AllocsPerRun(50, func() { s.Of(x) }); n != 0 && c.config == nil {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func TestBadStrategies(t *testing.T) {
	for _, c := range []clientip.Config{
		{Depth: -1}, {ExcludedIPs: []string{"x"}}, {ExcludedIPs: []string{"10.0.0.0/33"}},
		{IPv6Subnet: new(0)}, {IPv6Subnet: new(129)},
	} {
		if _, err := clientip.New(&c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
