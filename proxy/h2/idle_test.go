package h2

import (
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
	exchangetest.IdleTunnels(t, 80, 16<<10, func() *exchange.Exchange { // both ends of the gateway's
		x := exchangetest.Request("GET", "/", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		if err := p.Handle(x); err != nil {
			t.Fatal(err)
		}
		return x
	})
}
