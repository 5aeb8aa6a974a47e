package ipallowlist_test

import (
	"net/netip"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/middlewares/ipallowlist"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestIPAllowList(t *testing.T) {
	ranges := []string{"10.0.0.0/8", "192.168.1.7", "2001:db8::/32"}
	depth := &clientip.Config{Depth: 1}
	for _, c := range []struct {
		name   string
		config ipallowlist.Config
		client string
		xff    string
		status int
	}{
		{"in a range", ipallowlist.Config{SourceRange: ranges}, "10.1.2.3", "", 200},
		{"an address", ipallowlist.Config{SourceRange: ranges}, "192.168.1.7", "", 200},
		{"not listed", ipallowlist.Config{SourceRange: ranges}, "192.168.1.8", "", 403},
		{"ipv6", ipallowlist.Config{SourceRange: ranges}, "2001:db8::1", "", 200},
		{"ipv4 in ipv6", ipallowlist.Config{SourceRange: ranges}, "::ffff:10.0.0.1", "", 200},
		{"own status", ipallowlist.Config{SourceRange: ranges, RejectStatusCode: 404}, "1.1.1.1", "", 404},
		{"a forged header is not looked at", ipallowlist.Config{SourceRange: ranges}, "1.1.1.1", "10.0.0.1", 403},
		{"an empty strategy is the default one", ipallowlist.Config{SourceRange: ranges, IPStrategy: &clientip.Config{}}, "1.1.1.1", "10.0.0.1", 403},
		{"depth", ipallowlist.Config{SourceRange: ranges, IPStrategy: depth}, "1.1.1.1", "9.9.9.9, 10.0.0.1", 200},
		{"depth, other", ipallowlist.Config{SourceRange: ranges, IPStrategy: depth}, "10.0.0.1", "10.0.0.1, 9.9.9.9", 403},
		{"depth without a header", ipallowlist.Config{SourceRange: ranges, IPStrategy: depth}, "10.0.0.1", "", 403},
		{"everyone, but no address", ipallowlist.Config{SourceRange: []string{"0.0.0.0/0", "::/0"}, IPStrategy: depth}, "10.0.0.1", "", 403},
	} {
		m, err := ipallowlist.New(c.config)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		x := exchangetest.Request("GET", "/", "X-Forwarded-For: "+c.xff)
		x.Client = netip.MustParseAddr(c.client)
		backend := &exchangetest.Backend{}
		if r := exchangetest.Do(m(backend), x); r.Status != c.status || (backend.Calls == 1) != (c.status == 200) {
			t.Errorf("%s: %d, %d calls", c.name, r.Status, backend.Calls)
		}
	}
	for _, config := range []ipallowlist.Config{
		{}, {SourceRange: []string{"x"}}, {SourceRange: ranges, RejectStatusCode: 99},
		{SourceRange: ranges, IPStrategy: &clientip.Config{Depth: -1}},
	} {
		if _, err := ipallowlist.New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, _ := ipallowlist.New(ipallowlist.Config{SourceRange: []string{"10.0.0.0/8", "192.0.2.0/24"}})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "/"))
}

func BenchmarkIPAllowList(b *testing.B) {
	m, _ := ipallowlist.New(ipallowlist.Config{SourceRange: []string{"10.0.0.0/8", "192.0.2.0/24"}})
	exchangetest.Bench(b, m, exchangetest.Request("GET", "/"))
}
