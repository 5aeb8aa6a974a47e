package h1

import (
	"sync"
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
	var all sync.WaitGroup
	var open []*exchange.Exchange
	more := func(n int) {
		for range n {
			x := exchangetest.Request("GET", "/", "Upgrade: echo")
			if err := r.pool.Handle(x); err != nil || x.Response.Tunnel == nil {
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
	const tunnels = 100
	before := exchangetest.Held()
	more(tunnels)
	if each := (exchangetest.Held() - before) / tunnels; each > 14<<10 { // the test's server included
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
