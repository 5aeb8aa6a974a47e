package h1

import (
	"runtime/debug"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// run answers the exchange that begin prepared, and leaves behind it what was read past its end.
func (c *conn1) run() {
	ws := c.ws
	x := &ws.x
	c.served++
	x.Record.Start = clock.Now()
	c.life.Begin()
	c.enter(busy)
	err := c.handle(x)
	if err == nil {
		err = unfit(x)
	}
	if err != nil {
		x.ResetResponse()
		c.rescue(x, err)
	}
	c.respond(x)
	if !c.changed {
		c.finish(x)
	}
}

// unfit says why the response that a handler has left cannot be sent; nil if it can.
func unfit(x *exchange.Exchange) error {
	p := &x.Response
	switch {
	case p.Tunnel != nil && x.Request.Upgrade == nil:
		return exchange.Internal.Withf("a change of protocol that the client did not ask for")
	case p.Tunnel == nil && p.Status < 200 || p.Status > 999:
		return exchange.Internal.Withf("the handler left a response with status %d", p.Status)
	}
	return nil
}

// handle calls the handler, and makes an error of a panic.
func (c *conn1) handle(x *exchange.Exchange) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = exchange.Internal.Withf("panic: %v", p)
			c.srv.Logger.Error("panic in a handler", "panic", p, "stack", stack())
		}
	}()
	return c.srv.Handler.Handle(x)
}

func stack() string { return string(debug.Stack()) }

// rescue turns an error into a response. A request that was not understood ends the connection.
func (c *conn1) rescue(x *exchange.Exchange, err error) {
	if c.life.Err() != nil {
		err = exchange.ClientAbort.With(err)
	}
	exchange.Rescue(x, err)
	if k := x.Record.Kind; k == exchange.BadRequest || k == exchange.ClientAbort || k == exchange.ClientTimeout {
		c.part(closes)
	}
}

// refuse answers a message that cannot be understood, and ends the connection.
func (c *conn1) refuse(err error) {
	x := &c.ws.x
	c.leave.Store(true)
	c.ws.body.incoming, c.ws.body.short, c.answered = incoming{over: true}, true, false
	c.ws.body.count.Store(0)
	c.enter(busy)
	x.Record.Start = clock.Now()
	x.Request.Scheme = c.srv.Scheme
	c.life.Begin()
	if rule, ok := err.(*fields.Rule); ok && c.srv.Refused != nil {
		c.srv.Refused(rule.Name)
	}
	exchange.Rescue(x, err)
	c.part(lingers)
	c.served++
	c.respond(x)
	c.finish(x)
}

// finish ends the exchange: the record is complete, and the connection is ready for the next.
func (c *conn1) finish(x *exchange.Exchange) {
	ws := c.ws
	x.Response.Close()
	c.life.End()
	c.settleRest()
	x.Record.Duration = clock.Now() - x.Record.Start
	x.Record.RequestBytes = ws.body.count.Load()
	if o := c.srv.Observer; o != nil {
		o.Observe(x)
	}
	c.carry()
	ws.body.release()
	x.Free()
	c.enter(idle)
}

// settleRest settles whether there can be another request behind this one. An unread body is drained
// if it is short. A client that goes on sending is listened to for a while, or it would not get to
// read the response: what nobody reads makes the kernel reset the connection.
func (c *conn1) settleRest() {
	b := &c.ws.body
	if c.last() && (!b.over || b.r < b.w) || !c.last() && !b.drain() {
		c.part(lingers)
	}
}

// carry moves what was read past the end of the request to where the next one is looked for: over the
// request, which is void then.
func (c *conn1) carry() {
	ws := c.ws
	in := &ws.body.incoming
	switch {
	case c.last():
	case in.large == nil:
		ws.r, ws.w = in.r, in.w
	default:
		rest := in.buf[in.r:in.w]
		if len(rest) > len(ws.in) {
			ws.in = make([]byte, bodyBuffer+headBuffer)
		}
		ws.r, ws.w = 0, copy(ws.in, rest)
	}
}
