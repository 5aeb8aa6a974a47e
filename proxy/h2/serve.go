package h2

import (
	"runtime/debug"
	"sync"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// inBuffer is a connection's read buffer while frames arrive: a whole frame fits, and what comes behind.
type inBuffer [2 * (frame.MinMaxSize + frame.HeaderLen)]byte

var inBuffers = sync.Pool{New: func() any { return new(inBuffer) }}

// serve runs the connection until it ends or parks.
func (c *downConn) serve() {
	done := false // parked: c is another goroutine's
	defer func() {
		if p := recover(); p != nil {
			c.srv.Logger.Error("panic outside a handler", "panic", p, "stack", string(debug.Stack()))
			c.fail(breach(frame.InternalError, "panic"))
		}
		if !done {
			c.end()
		}
	}()
	for {
		err := c.io.Loop(c.step)
		if err == nil {
			err = c.lost
		}
		switch c.woken(err) {
		case serving:
		case parking:
			if done = c.io.Park(c); done {
				return
			}
			c.unparked()
		case ending:
			return
		}
	}
}

// woken tells why the loop was left, and what is to be done: go on serving, park, or end.
func (c *downConn) woken(err error) phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil || c.over || c.phase == ending || !interrupted(err):
		return ending
	case c.phase != parking:
		return ending // interrupted, and not by the sweeper
	}
	c.io.Resume()
	c.lost = nil
	if len(c.streams) > 0 || c.working > 0 || c.in != nil || c.out != nil || c.flushing {
		c.phase = serving
		return serving
	}
	c.phase = parked
	c.streams, c.ready, c.blocked = nil, nil, nil
	c.enc.Rest()
	return parking
}

func (c *downConn) unparked() {
	c.mu.Lock()
	if c.phase == parked {
		c.phase = serving
	}
	c.since = clock.Now()
	c.mu.Unlock()
}

// Wake is listen.Parked: there is something to read.
func (c *downConn) Wake() {
	c.unparked()
	c.serve()
}

// step runs whenever there may be something to read: it takes every frame that has arrived. It returns
// true to leave the loop for good.
func (c *downConn) step() bool {
	c.flushNow()
	for {
		if c.in == nil {
			c.in, c.r, c.w = inBuffers.Get().(*inBuffer), 0, 0
		}
		ahead := c.io.Ahead() // the socket behind it may have something too
		n, err := c.io.Read(c.in[c.w:])
		if err == listen.ErrWouldBlock {
			break
		}
		if err != nil {
			c.lost = err
			return true
		}
		c.w += n
		full := c.w == len(c.in)
		if e := c.take(); e != nil {
			c.fail(e)
			return true
		}
		c.begin()
		c.flushNow()
		if !ahead && !full && !c.io.Ahead() {
			break
		}
	}
	if c.r == c.w {
		c.giveBack()
	}
	return false
}

// take handles the frames in the buffer and moves what is left of an unfinished one to its beginning.
func (c *downConn) take() *frame.Error {
	if c.greeted == nothing {
		if ok, e := c.preface(); !ok {
			return e
		}
	}
	whole := false
	for c.r < c.w {
		f, n, _, err := c.frames.Next(c.in[c.r:c.w])
		var bad *frame.Error
		if err != nil {
			if bad = err.(*frame.Error); bad.Stream == 0 {
				return bad
			}
		} else if n == 0 {
			break
		}
		if e := c.handle(&f, bad); e != nil {
			if e.Stream == 0 {
				return e
			}
			if e = c.fault(e); e != nil {
				return e
			}
		}
		c.r += n
		whole = true
	}
	c.owed(whole)
	if c.r > 0 {
		c.w = copy(c.in[:], c.in[c.r:c.w])
		c.r = 0
	}
	return nil
}

// owed notes since when the client has owed the rest of a frame, a header block or its greeting. whole
// says that a frame has just been finished.
func (c *downConn) owed(whole bool) {
	rest := c.in[c.r:c.w]
	data := len(rest) > 3 && frame.Type(rest[3]) == frame.Data
	switch head := c.open.stream != 0 || c.greeted != settings; {
	case !head && len(rest) == 0:
		if c.partial == 0 {
			return
		}
		c.owe(0, nil)
	case !head && data: // a body: what counts is that it goes on
		c.owe(clock.Now(), ruleSlowBody)
	case c.partial == 0 || whole && !head:
		c.owe(clock.Now(), ruleSlowHead)
	}
}

func (c *downConn) owe(since int64, breach *frame.Error) {
	c.mu.Lock()
	c.partial, c.breach = since, breach
	c.mu.Unlock()
}

func (c *downConn) giveBack() {
	if c.in != nil {
		inBuffers.Put(c.in)
		c.in = nil
	}
}
