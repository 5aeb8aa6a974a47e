package h2

import (
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// An idle tunnel of a client of HTTP/2, or of a server, holds no buffer, of which the smallest are 16 KiB.
func TestAnIdleTunnelHoldsNoBuffers(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Tunnel, x.Response.Proto = 101, exchangetest.NewSilent(), exchange.HTTP2
		return nil
	})
	p := newTestPool(t, PoolConfig{Dial: (&reference{addr: r.addr}).dial})
	var all sync.WaitGroup
	var open []*exchange.Exchange
	more := func(n int) {
		for range n {
			x := exchangetest.Request("GET", "/", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			if err := p.Handle(x); err != nil {
				t.Fatal(err)
			}
			open = append(open, x)
			all.Go(func() {
				in := exchange.IntakeOf(x.Response.Tunnel)
				defer in.Free()
				in.Next()
			})
		}
	}
	more(10)
	const tunnels = 80
	before := exchangetest.Held()
	more(tunnels)
	if each := (exchangetest.Held() - before) / tunnels; each > 16<<10 { // both ends of the gateway's
		t.Errorf("%d bytes of heap for each", each)
	} else {
		t.Logf("%d bytes of heap for each", each)
	}
	for _, x := range open {
		x.Response.Tunnel.Close()
	}
	all.Wait()
	for _, x := range open {
		x.Response.Close()
		x.Free()
	}
}
