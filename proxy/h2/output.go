package h2

import (
	"sync"

	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// outBuffer holds frames until they are written.
type outBuffer struct{ p []byte }

const (
	outRoom  = 64 << 10 // from here on who has more to send waits until it is written
	outSmall = 16 << 10 // what most batches of frames need
	// maxPayload is the largest payload that we send, whatever the client takes: streams share a
	// connection better that way.
	maxPayload = frame.MinMaxSize
)

var outBuffers = sync.Pool{New: func() any { return &outBuffer{make([]byte, 0, outSmall)} }}

func (b *outBuffer) free() {
	if cap(b.p) <= 2*outRoom {
		b.p = b.p[:0]
		outBuffers.Put(b)
	}
}

// flushTurns is how many writes in a row one goroutine makes.
const flushTurns = 8

// output is where frames are appended. With the lock; who appends sees to it that they are written.
func (c *downConn) output() *outBuffer {
	if c.out == nil {
		c.out = outBuffers.Get().(*outBuffer)
	}
	return c.out
}

// full reports whether one must wait before more is appended.
func (c *downConn) full() bool { return c.out != nil && len(c.out.p) >= outRoom }

// release gives the lock up and writes what there is to write, unless somebody does already.
func (c *downConn) release() {
	if c.out == nil || c.flushing || c.over {
		c.mu.Unlock()
		return
	}
	c.flushing = true
	c.mu.Unlock()
	c.flush()
}

// flush writes until there is nothing left to write. Its caller has set flushing, and has work of its own:
// a worker takes over when others have a lot to send.
func (c *downConn) flush() {
	for turn := 0; ; turn++ {
		if turn == flushTurns {
			c.srv.workers.Do(c.info.Shard, c)
			return
		}
		c.mu.Lock()
		out := c.out
		c.out = nil
		c.wrote++
		c.unblock()
		if out == nil || c.over {
			if out != nil {
				c.out = out // for who ends the connection
			}
			c.flushing = false
			if c.over {
				c.quiet.Broadcast()
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if err := c.io.Send(out.p); err != nil {
			c.mu.Lock()
			c.tell(ending)
			c.mu.Unlock()
		}
		out.free()
	}
}

// Run is flush as a worker's job: for who must not wait.
func (c *downConn) Run() { c.flush() }

// kick has a worker write. With the lock.
func (c *downConn) kick() {
	if c.out != nil && !c.flushing && !c.over {
		c.flushing = true
		c.srv.workers.Do(c.info.Shard, c)
	}
}

// flushNow writes what the socket takes without waiting, and leaves the rest to a worker. It is for the
// goroutine that reads: a client that is slow to read may still send.
func (c *downConn) flushNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil || c.flushing || c.over {
		return
	}
	out := c.out
	c.out, c.flushing = nil, true
	c.mu.Unlock()
	n, err := c.io.Offer(out.p)
	c.mu.Lock()
	c.wrote++
	switch c.flushing = false; {
	case err != nil:
		c.tell(ending)
		out.free()
	case n < len(out.p):
		out.p = out.p[:copy(out.p, out.p[n:])]
		if c.out != nil {
			out.p = append(out.p, c.out.p...)
			c.out.free()
		}
		c.out = out
		c.kick()
	default:
		out.free()
		c.unblock()
		c.kick()
	}
	if c.over {
		c.quiet.Broadcast()
	}
}

// unblock wakes all who wait for the connection. With the lock.
func (c *downConn) unblock() {
	for i, s := range c.blocked {
		s.listed = false
		wake(s.wake)
		c.blocked[i] = nil
	}
	c.blocked = c.blocked[:0]
}

// block lists s among those who wait. With the lock.
func (c *downConn) block(s *downStream) {
	if !s.listed {
		s.listed = true
		c.blocked = append(c.blocked, s)
	}
}

// forget takes s off that list. With the lock.
func (c *downConn) forget(s *downStream) {
	for i, other := range c.blocked {
		if other == s {
			last := len(c.blocked) - 1
			c.blocked[i], c.blocked[last] = c.blocked[last], nil
			c.blocked = c.blocked[:last]
			break
		}
	}
	s.listed = false
}
