package h3

import (
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// endPhase is how far a graceful end has come. RFC 9114 §5.2.
type endPhase uint8

const (
	staying   endPhase = iota
	announced          // the client has been told that requests will be refused
	refusing           // and from which on
	closed
)

// goAway begins the graceful end of a connection. The sweeper brings it about.
func (c *conn) goAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == staying {
		c.ending, c.ends = announced, clock.Now()
		c.tell(maxStreamID)
	}
}

// tell sends a GOAWAY. A client that lets nothing be written to it is not told.
func (c *conn) tell(id uint64) {
	_ = c.control.TryWriteAll(frame.AppendGoAway(nil, id))
}

// Sweep is the connection's timer.
func (c *conn) Sweep(now int64) {
	s := c.srv
	if s.killed.Load() {
		c.shut(codeInternal)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.streams {
		r.sweep(now)
	}
	none := len(c.streams) == 0
	switch c.ending {
	case staying:
		if s.draining.Load() || none && s.Timeouts.Idle > 0 && now-c.quiet > int64(s.Timeouts.Idle) ||
			s.MaxAge > 0 && now-c.began > int64(s.MaxAge) {
			c.ending, c.ends = announced, now
			c.tell(maxStreamID)
		}
	case announced:
		// Who has only just connected is about to ask, and may not try again.
		if now-c.ends > int64(drainStep) && (c.next > 0 || now-c.began > int64(drainSilent)) {
			c.ending, c.refuse = refusing, c.next
			c.tell(uint64(c.next))
		}
	case refusing:
		// What was written last may be on its way still, or lost and to be sent again: closing drops it.
		if none && now-c.quiet > int64(drainLinger) {
			c.ending = closed
			c.shut(codeNoError)
		}
	}
}
