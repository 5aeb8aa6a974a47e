package h3

import (
	"bytes"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// taking is a tunnel that tells how much it was given.
type taking struct {
	*exchangetest.Silent
	took chan int
}

func (t taking) Write(p []byte) (int, error) {
	t.took <- len(p)
	return len(p), nil
}

// An idle tunnel holds no buffer of 32 KiB, in either direction: nor behind a message that was long enough for one.
func TestAnIdleTunnelHoldsNoBuffers(t *testing.T) {
	took := make(chan int)
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Proto = 200, exchange.HTTP3
		x.Response.Tunnel = taking{exchangetest.NewSilent(), took}
		return nil
	}))
	r := s.raw()
	connect := headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "localhost", ":path", "/chat")
	message := frameOf(frame.Data, bytes.Repeat([]byte("x"), 3*headBuffer))
	more := func(n int) {
		for range n {
			r.send(connect, message)
			for left := 3 * headBuffer; left > 0; {
				left -= within(t, "the message", took)
			}
		}
	}
	more(10)
	const tunnels = 80
	before := exchangetest.Held()
	more(tunnels)
	exchangetest.AtMost(t, (exchangetest.Held()-before)/tunnels, 28<<10) // quic-go's streams at both ends included
}
