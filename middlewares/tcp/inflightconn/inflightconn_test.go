package inflightconn

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

func from(addr string) *exchange.Conn {
	return &exchange.Conn{Peer: netip.AddrPortFrom(netip.MustParseAddr(addr), 1)}
}

func TestInFlightConn(t *testing.T) {
	g, err := New(Config{Amount: 2})
	if err != nil {
		t.Fatal(err)
	}
	enter := func(addr string, want error) {
		t.Helper()
		if err := g.Enter(from(addr)); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", addr, err, want)
		}
	}
	enter("192.0.2.1", nil)
	enter("::ffff:192.0.2.1", nil) // the same address
	enter("192.0.2.1", exchange.TooManyRequests)
	enter("192.0.2.2", nil)
	g.Leave(from("192.0.2.1"))
	enter("192.0.2.1", nil)
	for _, addr := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"} {
		g.Leave(from(addr))
	}
	if n := len(g.(*gate).open); n != 0 {
		t.Errorf("%d addresses are remembered without a connection", n)
	}
	for _, amount := range []int{0, -1} {
		if _, err := New(Config{Amount: amount}); err == nil {
			t.Errorf("amount %d is taken", amount)
		}
	}
}
