package balance_test

import (
	"net/netip"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance"
	"github.com/pergola-mesh/pergola/proxy/upstream/balance/balancetest"
)

// When a target goes, its clients move and no others.
func TestRendezvousMovesLittle(t *testing.T) {
	targets := balancetest.Targets(1, 2, 3)
	before := balance.NewRendezvous(targets, 0)
	without := balancetest.Targets(1, 2, 3)
	without[1].Out = true
	after := balance.NewRendezvous(without, 0)
	for n := range 2000 {
		x := balancetest.Client(n)
		a, b := before.Pick(x), after.Pick(x)
		if a != 1 && a != b || b == 1 || a != before.Pick(x) {
			t.Fatalf("client %d went from target %d to %d", n, a, b)
		}
	}
}

func TestRendezvousTakesMappedAddressForIPv4(t *testing.T) {
	b := balance.NewRendezvous(balancetest.Targets(1, 1, 1, 1, 1, 1, 1), 0)
	for n := range 50 {
		plain := balancetest.Client(n)
		mapped := &exchange.Exchange{Client: netip.AddrFrom16(plain.Client.As16())}
		if b.Pick(plain) != b.Pick(mapped) {
			t.Errorf("client %v and %v differ", plain.Client, mapped.Client)
		}
	}
}
