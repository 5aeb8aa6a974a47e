package h2

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// More requests at once than a server allows on a connection get connections of their own, from the first.
func TestPoolFollowsSmallLimits(t *testing.T) {
	const n = 30
	var inside atomic.Int32
	all := make(chan struct{})
	s := newRaw(t, func(c *rawConn) {
		c.greet(frame.Setting{ID: frame.MaxConcurrentStreams, Value: 1})
		for f, ok := c.until(frame.Headers); ok; f, ok = c.until(frame.Headers) {
			if inside.Add(1) == n {
				close(all)
			}
			<-all
			c.send(c.head(f.Stream, 204, true))
		}
	})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	var asked sync.WaitGroup
	for range n {
		asked.Go(func() {
			if _, err := ask(p, exchangetest.Request("GET", "/")); err != nil {
				t.Error(err)
				if inside.Add(1) == n {
					close(all)
				}
			}
		})
	}
	asked.Wait()
}

// A server that allows no requests at all gets a few connections, not some for each request, and requests
// again once it allows them.
func TestPoolWaitsForWhoAllowsNothing(t *testing.T) {
	allow := make(chan struct{})
	s := newRaw(t, func(c *rawConn) {
		c.greet(frame.Setting{ID: frame.MaxConcurrentStreams, Value: 0})
		<-allow
		c.greet(frame.Setting{ID: frame.MaxConcurrentStreams, Value: 10})
		c.serve("now")
	})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	for range 50 {
		if _, err := ask(p, exchangetest.Request("GET", "/")); exchange.KindOf(err) != exchange.Overloaded {
			t.Error(err)
		}
	}
	if n := len(*p.conns.Load()); n != maxShut {
		t.Errorf("%d connections", n)
	}
	close(allow)
	waittest.Until(t, "it answers", func() bool {
		got, err := ask(p, exchangetest.Request("GET", "/"))
		return err == nil && got == "now"
	})
}
