package balance_test

import (
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance/balancetest"
)

func TestConform(t *testing.T) {
	for _, name := range balance.Names() {
		t.Run(name, func(t *testing.T) {
			make, err := balance.Named(name)
			if err != nil {
				t.Fatal(err)
			}
			balancetest.Conform(t, make)
		})
	}
}

func TestNamed(t *testing.T) {
	if _, err := balance.Named(""); err != nil {
		t.Error(err)
	}
	if _, err := balance.Named("ip_hash"); err == nil || !strings.Contains(err.Error(), "hrw, leastconn, leasttime") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, name := range balance.Names() {
		b.Run(name, func(b *testing.B) {
			make, _ := balance.Named(name)
			balancer, x := make(balancetest.Targets(1, 1, 1), 0), balancetest.Client(1)
			b.ReportAllocs()
			for b.Loop() {
				balancer.Pick(x)
			}
		})
	}
}

// picks returns the first n picks as a string of letters.
func picks(b balance.Balancer, n int) string {
	s, x := make([]byte, n), &exchange.Exchange{}
	for k := range s {
		s[k] = 'a' + byte(b.Pick(x))
	}
	return string(s)
}
