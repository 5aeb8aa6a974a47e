package h2

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// oneWay is a connection that can be made to take nothing more.
type oneWay struct {
	net.Conn
	broken *atomic.Bool
}

func (c oneWay) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// A server that has answered, or said what it will not answer, and gone is heard to its end, though what we
// had to say meanwhile could not be said.
func TestPoolHearsWhoHasGone(t *testing.T) {
	ping := frame.AppendPing(nil, false, [8]byte{1})
	for _, test := range []struct {
		name   string
		method string
		last   func(c *rawConn, stream uint32) []byte
		want   string
	}{
		{"answered", "POST", func(c *rawConn, s uint32) []byte {
			return frame.AppendData(c.head(s, 200, false), s, []byte("last"), true)
		}, "last"},
		{"left before", "POST", func(c *rawConn, s uint32) []byte {
			return frame.AppendGoAway(nil, 0, frame.NoError, "")
		}, "next"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			var broken atomic.Bool
			var p *Pool
			s := newRaw(t, func(c *rawConn) {
				c.greet()
				f, _ := c.until(frame.Headers)
				u := (*p.conns.Load())[0]
				broken.Store(true)
				c.send(ping)
				waittest.Until(t, "our answer failed", func() bool {
					u.mu.Lock()
					defer u.mu.Unlock()
					return u.muted != nil || u.over != nil
				})
				c.send(test.last(c, f.Stream))
			}, func(c *rawConn) { c.greet(); c.serve("next") })
			first := true
			p = newTestPool(t, PoolConfig{Dial: func(ctx context.Context) (net.Conn, error) {
				c, err := s.dial(ctx)
				if first && err == nil {
					first, c = false, oneWay{c, &broken}
				}
				return c, err
			}})
			if got, err := ask(p, exchangetest.Request(test.method, "/", []byte("body"))); err != nil || got != test.want {
				t.Errorf("%q, %v", got, err)
			}
			p.Close()
		})
	}
}

// One that does not end such a connection is not waited for.
func TestPoolGivesUpWhoDoesNotGo(t *testing.T) {
	checkLeaks(t)
	var broken atomic.Bool
	s := newRaw(t, func(c *rawConn) {
		c.greet()
		c.until(frame.Headers)
		broken.Store(true)
		c.send(frame.AppendPing(nil, false, [8]byte{1}))
		c.drain()
	})
	p := newTestPool(t, PoolConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		c, err := s.dial(ctx)
		return oneWay{c, &broken}, err
	}})
	if _, err := ask(p, exchangetest.Request("POST", "/")); exchange.KindOf(err) != exchange.UpstreamReset {
		t.Error(err)
	}
	p.Close()
}
