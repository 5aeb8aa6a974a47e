package h2

import (
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// stall finds out for how long a count has not changed, and nothing else that moved was seen. It is asked while
// something waits, not before: the time of silence does not count.
type stall struct {
	seen  uint32
	since int64
}

func (t *stall) still(count uint32, moved bool, now int64) time.Duration {
	if t.since == 0 || t.seen != count || moved {
		t.seen, t.since = count, now
	}
	return time.Duration(now - t.since)
}

const (
	// parkAfter is how long a connection is idle before its goroutine ends.
	parkAfter = time.Second
	// leaveAfter is how long a client that was told to begin nothing new may still do so: what it sent
	// before it knew is answered.
	leaveAfter = time.Second
	// ackWithin is how long a peer may take to acknowledge our SETTINGS: until then it need not keep to
	// them. RFC 9113 §6.5.3.
	ackWithin = 10 * time.Second
)

// tell has the goroutine that reads leave its wait. With the lock.
func (c *downConn) tell(p phase) {
	c.phase = p
	c.io.Interrupt()
}

// Sweep is the connection's timer.
func (c *downConn) Sweep(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, t := c.srv, &c.srv.Timeouts
	over := func(still, limit time.Duration) bool { return limit > 0 && still > limit }
	since := func(at int64) time.Duration { return time.Duration(now - at) }
	if c.phase == ending || c.over {
		return
	}
	idle := c.working == 0
	if idle && c.since == 0 {
		c.since = now
	}
	if c.phase == parked {
		if s.draining.Load() || over(since(c.since), t.Idle) || over(since(c.began), s.MaxAge) {
			c.endParked()
		}
		return
	}
	taken := c.flushing && c.io.Taken()
	switch {
	case s.killed.Load():
		c.giveUp(exchange.Draining)
		c.tell(ending)
	case c.partial != 0 && c.breach == ruleSlowHead && over(since(c.partial), t.Header),
		c.partial != 0 && c.breach == ruleSlowBody && over(since(c.partial), t.Body):
		c.expire(c.breach)
	case c.flushing && over(c.writing.still(c.wrote, taken, now), t.Write):
		c.io.InterruptWrite()
		c.expire(ruleStalled)
	case c.unacked != 0 && since(c.unacked) > ackWithin:
		c.expire(ruleUnacked)
	case c.phase == serving && (s.draining.Load() || over(since(c.began), s.MaxAge)):
		c.leave()
		c.kick()
	case c.phase == leaving && since(c.leftAt) > leaveAfter:
		c.final = c.highest
		c.goAway(c.final, frame.NoError, "")
		c.phase = left
		c.kick()
	case c.phase == left && idle && c.out == nil && !c.flushing:
		c.tell(ending)
	case idle && over(since(c.since), t.Idle):
		c.tell(ending)
	case c.phase == serving && idle && since(c.since) > parkAfter && c.io.Fused() && c.partial == 0 && c.unacked == 0:
		c.tell(parking)
	}
	c.tellUnwanted(now)
	for _, st := range c.streams {
		st.sweep(now, taken)
	}
}

// sweep is a stream's timer. taken says that the client takes what the connection has sent it. With the lock.
func (s *downStream) sweep(now int64, taken bool) {
	c := s.c
	t := &c.srv.Timeouts
	got := s.receiving.still(s.got, false, now)
	sent := s.sending.still(s.sent, taken && s.window > 0 && c.window > 0, now) // with windows it waits for room alone
	switch {
	case s.tunnelled:
	case s.body.waiting && t.Body > 0 && got > t.Body:
		s.body.fail(exchange.ClientTimeout.Withf("the client did not go on with its request"))
	case s.listed && t.Write > 0 && sent > t.Write:
		s.drop(byUs, exchange.ClientTimeout.Withf("the client did not go on taking the response"))
		b := c.output()
		b.p = frame.AppendRSTStream(b.p, s.id, frame.Cancel)
		c.kick()
	}
}

// leave tells the client to begin nothing new. What it begins before it knows is still answered.
// RFC 9113 §6.8.
func (c *downConn) leave() {
	c.phase, c.leftAt = leaving, clock.Now()
	c.goAway(maxStream, frame.NoError, "")
}

func (c *downConn) goAway(last uint32, code frame.Code, why string) {
	b := c.output()
	b.p = frame.AppendGoAway(b.p, last, code, why)
}

// expire ends the connection for what its client failed to do in time.
func (c *downConn) expire(e *frame.Error) {
	c.srv.refused(e.Rule)
	c.failed = e
	c.goAway(c.highest, e.Code, e.Rule)
	c.tell(ending)
}

// endParked ends a connection that has no goroutine.
func (c *downConn) endParked() {
	if c.io.Unpark() {
		c.phase = ending
		go c.end()
	}
}
