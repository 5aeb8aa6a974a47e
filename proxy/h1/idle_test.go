package h1

import (
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// Whoever takes a tunnel of a server of HTTP/1.1 to a client that speaks something else holds no buffer either, nor the
// one that the server's answer came in.
func TestAnIdleTunnelOfAServerHoldsNoBuffers(t *testing.T) {
	if portable || secure {
		t.Skip("what reads without the loop waits with a buffer, and crypto/tls has buffers of its own")
	}
	r := newRig(t, nil, changing)
	exchangetest.IdleTunnels(t, 100, 14<<10, func() *exchange.Exchange { // the test's server included
		x := exchangetest.Request("GET", "/", "Upgrade: echo")
		if err := r.pool.Handle(x); err != nil || x.Response.Tunnel == nil {
			t.Fatal(err)
		}
		return x
	})
}
