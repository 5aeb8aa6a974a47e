package clientip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// The address found is always one that stands in the header as a member of its own.
func FuzzOf(f *testing.F) {
	for _, seed := range []string{"10.0.0.1, 11.0.0.1", "::ffff:1.2.3.4", "fe80::1%eth0,", ",,", `"1.1.1.1,2.2.2.2"`, "192.0.2.1", "x"} {
		f.Add(seed, 1)
	}
	f.Fuzz(func(t *testing.T, xff string, depth int) {
		xff = strings.NewReplacer("\r", " ", "\n", " ").Replace(xff)
		x := exchangetest.Request("GET", "/", "X-Forwarded-For: "+xff)
		for _, config := range []clientip.Config{{Depth: max(depth, 1)}, {ExcludedIPs: []string{"10.0.0.0/8", "::/1"}}} {
			s, err := clientip.New(&config)
			if err != nil {
				t.Fatal(err)
			}
			found := s.Of(x)
			if !found.IsValid() {
				continue
			}
			listed := false
			for item := range strings.SplitSeq(xff, ",") {
				addr, err := netip.ParseAddr(strings.Trim(item, " \t"))
				listed = listed || err == nil && clientip.Plain(addr) == found
			}
			if !listed || found.Zone() != "" || found.Is4In6() {
				t.Errorf("%q: %v", xff, found)
			}
		}
	})
}
