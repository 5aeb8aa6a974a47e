package h1

import (
	"cmp"
	"errors"
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// tunnel answers with a change of protocol, behind which passOn is to relay. RFC 9110 §7.8.
func (c *conn1) tunnel(x *exchange.Exchange) {
	t := x.Response.Tunnel
	c.part(closes)
	if !c.ws.body.drain() { // a handler of ours left it
		c.cut(x, exchange.BadRequest.Withf("the protocol was to change before the end of the request's body"))
		return
	}
	head := takeBuffer()
	out := appendStatusLine(head.b, x.Response.Status)
	out = x.Response.Header.AppendTo(out)
	if x.Response.Status == 101 {
		out = append(out, "Connection: Upgrade\r\nUpgrade: "...)
		out = append(out, x.Response.Upgrade...)
		out = append(out, crlf...)
	}
	head.b = append(out, crlf...)
	c.enter(writing)
	err := c.send(head.b, nil)
	head.release()
	if err != nil {
		c.cut(x, err)
		return
	}
	c.enter(tunnelled)
	c.rest()
	both := tunnelCanceler{c.io, t}
	if err := c.life.Bind(both); err != nil {
		both.Cancel(err)
		c.cut(x, err)
		return
	}
	c.changed = true
}

// passOn relays a tunnel until it ends, and then ends the connection. It has a goroutine of its own: that of
// messages has a stack which a tunnel, idle for most of its time, has no use for.
func (c *conn1) passOn() {
	defer c.ended(new(bool))
	x := &c.ws.x
	c.relayBoth(x, x.Response.Tunnel)
	c.finish(x)
}

// relayBoth relays bytes both ways until both ends have closed.
func (c *conn1) relayBoth(x *exchange.Exchange, t exchange.Tunnel) {
	both := tunnelCanceler{c.io, t}
	defer c.life.Bind(nil)
	// The first failure ends both directions, and is the one that counts.
	var broken error
	var once sync.Once
	fail := func(err error) {
		once.Do(func() { broken = err })
		both.Cancel(err)
	}
	var up sync.WaitGroup
	up.Go(func() {
		var err error
		in := inflowOf(c.io)
		defer in.free()
		if x.Record.RequestBytes, err = relay(in, t); err != nil {
			fail(c.tunnelFault(err, true))
		} else {
			t.CloseWrite()
		}
	})
	var err error
	in := exchange.IntakeOf(t)
	x.Record.ResponseBytes, err = relay(&in, tunnelWriter{c.io})
	in.Free()
	if err != nil {
		fail(c.tunnelFault(err, false))
	} else {
		c.io.CloseWrite()
	}
	up.Wait()
	if broken != nil {
		// Not to be taken for the end of what was said: nobody but the two ends could tell.
		c.cut(x, cmp.Or(c.life.Err(), broken))
	}
	c.ws.body.count.Add(x.Record.RequestBytes)
}

// tunnelFault names an error of the direction from the client or to it, after the end that failed.
func (c *conn1) tunnelFault(err error, fromClient bool) error {
	var w unwritten
	if errors.As(err, &w) == fromClient {
		return exchange.UpstreamReset.With(err)
	}
	return c.fault(err).With(err)
}

// unwritten is the error of an end that did not take what came from the other.
type unwritten struct{ error }

// tunnelCanceler ends a tunnel, whatever either direction waits for.
type tunnelCanceler struct {
	near *listen.Conn
	far  exchange.Tunnel
}

// Cancel interrupts both ends.
func (t tunnelCanceler) Cancel(error) {
	t.near.Interrupt()
	t.near.InterruptWrite()
	if far, ok := t.far.(*upTunnel); ok {
		far.call.u.interrupt()
	} else {
		t.far.Close()
	}
}

// tunnelWriter writes to a connection while the other direction reads from it. What an error leaves unsaid is how
// much of p has gone: the tunnel ends with it.
type tunnelWriter struct{ conn *listen.Conn }

func (w tunnelWriter) Write(p []byte) (int, error) { return len(p), w.conn.Send(p) }

// relay copies what arrives on src to dst until src ends.
func relay(src exchange.Yielder, dst io.Writer) (n int64, err error) {
	for {
		p, err := src.Next()
		if len(p) > 0 {
			n += int64(len(p))
			if _, err := dst.Write(p); err != nil {
				return n, unwritten{err}
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
