package h1

import (
	"sync"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// conn1 is a client's connection. While it is idle this is all there is of it.
type conn1 struct {
	srv      *Server
	io       *listen.Conn
	info     *exchange.Conn
	life     exchange.Life
	progress progress // of the connection: its goroutine enters phases
	intake   progress // of a request body that is streamed in, perhaps by another goroutine
	expired  atomic.Bool
	told     atomic.Bool // the sweeper has interrupted an idle connection
	ticket   *sweep.Ticket
	done     func()

	ws        *workspace  // nil while idle
	served    int         // requests so far
	began     int64       // when the connection was accepted
	parting   parting     // whether and how the connection ends behind this exchange
	changed   bool        // the protocol has changed: passOn goes on
	outside   bool        // the next exchange runs outside the readiness callback: where, not whether it is the last
	informing sync.Mutex  // orders an interim response of the body's reader before the final one
	answered  bool        // the final response has begun
	leave     atomic.Bool // the client was told to go on and send its body: of the exchange, and the sweeper reads it
}

// serve runs the connection until it ends or parks.
func (c *conn1) serve() {
	done := false // parked: c is another goroutine's
	defer c.ended(&done)
	for {
		if err := c.io.Loop(c.step); err != nil {
			ph := c.progress.phase()
			if ph.told() && (c.io.Ahead() || c.ws != nil && c.ws.r < c.ws.w) {
				c.enter(idle) // what it was told came after the next request
				continue
			}
			if ph == parking {
				c.giveBack() // it was told before it waited
				c.enter(parked)
				if done = c.io.Park(c); done {
					return
				}
				c.enter(idle)
				continue
			}
			c.lost(err)
			break
		}
		if !c.outside {
			break
		}
		c.outside = false
		c.run()
		if done = c.changed; done {
			go c.passOn()
			return
		}
		if c.last() {
			break
		}
	}
	if c.parting == lingers {
		c.io.Linger()
	}
}

// ended ends the connection, unless it is another goroutine's by now, and what a panic has left of an exchange. It
// is deferred.
func (c *conn1) ended(elsewhere *bool) {
	if p := recover(); p != nil {
		c.srv.Logger.Error("panic outside a handler", "panic", p, "stack", stack())
		c.io.Abort()
		c.abandon()
	}
	if !*elsewhere {
		c.end()
	}
}

// abandon gives up what an exchange held that a panic has ended. Its memory is not used again, for
// who knows who still has some of it.
func (c *conn1) abandon() {
	if c.ws == nil {
		return
	}
	x := &c.ws.x
	defer func() {
		_ = recover() // the body that has panicked may do so once more
		c.ws = nil
	}()
	defer c.life.End()
	defer x.Free()
	x.Response.Close()
}

// Wake is listen.Parked: there is something to read.
func (c *conn1) Wake() {
	c.enter(idle)
	c.serve()
}

// step runs whenever there may be something to read: it answers every request that is complete. It
// returns true to leave the callback: for an exchange outside it, or for good.
func (c *conn1) step() bool {
	more := true // the last read may have left something unread
	for {
		if c.ws != nil && c.ws.r < c.ws.w {
			switch c.one() {
			case leave:
				return true
			case answered:
				continue
			case partial:
			}
		}
		if !more {
			if c.ws != nil && c.ws.r == c.ws.w {
				c.giveBack()
			}
			return false
		}
		ws := c.takeWorkspace()
		if ws.r == ws.w {
			ws.r, ws.w, ws.seen = 0, 0, 0
		}
		ahead := c.io.Ahead() // the socket behind it may have something too
		n, err := c.io.Read(ws.in[ws.w:])
		if err == listen.ErrWouldBlock {
			if ws.r == ws.w {
				c.giveBack()
				c.awaitRecord()
			}
			return false
		}
		if err != nil {
			c.lost(err)
			c.part(closes)
			return true
		}
		ws.w += n
		more = ahead || ws.w == len(ws.in) || c.io.Ahead()
	}
}

// awaitRecord makes the rest of a record that has begun, like that of a head, due in time: a client that
// sends one byte by byte is not idle.
func (c *conn1) awaitRecord() {
	switch ph, midway := c.progress.phase(), c.io.Midway(); {
	case midway && ph != reading:
		c.enter(reading)
	case !midway && ph == reading:
		c.enter(idle)
	}
}

// lost notes how a connection ended between requests. A head that came too slowly is answered.
func (c *conn1) lost(err error) {
	ws := c.ws
	if ws == nil || ws.r == ws.w || !c.expired.Load() {
		return
	}
	ws.x.Reset(c.info, &c.life, c)
	c.io.Resume()
	c.refuse(exchange.ClientTimeout.With(err))
}
