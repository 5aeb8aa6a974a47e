package h1

import (
	"sync"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
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

// workspace is what an exchange in progress needs. It is pooled, so that idle connections hold none.
type workspace struct {
	x    exchange.Exchange
	f    framing
	in   []byte // read buffer; in[r:w] is unread
	r, w int
	seen int     // how far in[r:w] was searched for the end of a head
	out  *buffer // for the response; nil until it begins
	body requestBody
}

var workspaces = sync.Pool{New: func() any {
	return &workspace{in: make([]byte, headBuffer)}
}}

func (c *conn1) takeWorkspace() *workspace {
	if c.ws == nil {
		c.ws = workspaces.Get().(*workspace)
	}
	return c.ws
}

// giveBack returns the workspace to the pool.
func (c *conn1) giveBack() {
	ws := c.ws
	if ws == nil {
		return
	}
	c.ws = nil
	ws.r, ws.w, ws.seen = 0, 0, 0
	ws.x.Request.Body, ws.x.Response.Body, ws.x.Record = nil, nil, exchange.Record{}
	ws.recycle()
}

// serve runs the connection until it ends or parks.
func (c *conn1) serve() {
	done := false // parked: c is another goroutine's
	defer c.ended(&done)
	for {
		if err := c.io.Loop(c.step); err != nil {
			if c.progress.phase() == parking && c.ws == nil {
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

type outcome uint8

const (
	answered outcome = iota // go on with what is in the buffer, or wait
	partial                 // the head has not all arrived
	leave                   // leave the callback
)

// one looks for a request at the beginning of the buffer and answers it, if that can be done without
// waiting for more from the client.
func (c *conn1) one() outcome {
	ws := c.ws
	if ws.seen == 0 && ws.in[ws.r] == '\r' && !c.emptyLine() { // RFC 9112 §2.2
		return partial
	}
	head := ws.in[ws.r:ws.w]
	ws.x.Reset(c.info, &c.life, c)
	end, err := c.parse(head)
	if err == nil && end < 0 && len(head) >= c.srv.Limits.HeaderBytes || end > c.srv.Limits.HeaderBytes {
		err = c.tooLarge(head)
	}
	if err == nil && end < 0 {
		if ws.seen == 0 {
			c.enter(reading)
		}
		ws.seen = len(head)
		c.room()
		return partial
	}
	ws.seen = 0
	if err != nil {
		if c.srv.Shared && c.served == 0 && strange(head) {
			c.turnAway(err)
		} else {
			c.refuse(err)
		}
		return leave
	}
	return c.begin(end)
}

// parse parses the head at the beginning of buf, which most often has arrived whole. One that did not
// is parsed again only when its end is there: a client that sends it byte by byte gets no more work
// out of us than it puts in.
func (c *conn1) parse(buf []byte) (int, error) {
	ws := c.ws
	if ws.seen > 0 {
		end, err := headEnd(buf, ws.seen)
		if err != nil || end < 0 {
			return -1, err
		}
	}
	return parseRequest(&ws.x, &ws.f, buf, &c.srv.Limits)
}

// tooLarge tells a long target from a long header.
func (c *conn1) tooLarge(head []byte) error {
	for _, b := range head {
		if b == '\n' {
			return fields.RuleHeaderSize
		}
	}
	return fields.RuleTargetLong
}

// emptyLine skips one empty line before a request. False: the request behind it has yet to come.
func (c *conn1) emptyLine() bool {
	ws := c.ws
	if ws.w-ws.r == 1 {
		c.enter(reading)
		c.room()
		return false
	}
	if ws.in[ws.r+1] == '\n' {
		ws.r += 2
	}
	return ws.r < ws.w
}

// room makes space for the rest of a head.
func (c *conn1) room() {
	ws := c.ws
	if ws.w < len(ws.in) {
		return
	}
	if ws.r > 0 {
		ws.w = copy(ws.in, ws.in[ws.r:ws.w])
		ws.r = 0
		return
	}
	in := make([]byte, min(2*len(ws.in), c.srv.Limits.HeaderBytes+headBuffer))
	ws.w = copy(in, ws.in[:ws.w])
	ws.in = in
}

// begin starts the exchange whose head is in[r:r+end].
func (c *conn1) begin(end int) outcome {
	ws := c.ws
	r := &ws.x.Request
	r.Scheme = c.srv.Scheme
	mode := byNothing
	if r.Length > 0 {
		mode = byLength
	} else if r.Length < 0 {
		mode = byChunks
	}
	base := ws.r + end
	ws.body.begin(c, ws.in, base, ws.w, mode, max(r.Length, 0), &r.Trailer)
	if mode != byNothing {
		r.Body = &ws.body
	}
	c.answered = false
	c.leave.Store(!r.Continue)
	if _, whole := ws.body.Whole(); !whole || r.Upgrade != nil {
		if !whole {
			c.intake.enter(busy)
		}
		c.outside = true
		return leave
	}
	c.run()
	if c.last() {
		return leave
	}
	return answered
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
