package h2

import (
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// request makes an exchange of the header block in s.block and keeps it for begin. RFC 9113 §8.3.1.
func (c *downConn) request(s *downStream, ends bool) *frame.Error {
	r := &s.x.Request
	s.x.Reset(c.info, &s.life, s)
	err := s.block.Request(r, ends)
	if err == nil && r.Upgrade != nil {
		s.change.Offer(r)
	}
	r.Proto, r.Scheme = exchange.HTTP2, c.srv.Scheme
	s.x.Record.Start = clock.Now()
	s.life.Begin()
	if err != nil {
		rule := err.(*fields.Rule)
		if rule.Malformed() {
			return c.malformed(s, rule)
		}
		c.srv.refused(rule.Name)
		s.refusal = rule // the client is told why
		if !ends {
			r.Length = -1 // of which nothing is known: it is no fault that it comes
		}
	}
	s.ended = ends
	if s.left = r.Length; r.Upgrade != nil {
		s.left = -1 // what comes is the tunnel's
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.refusal != nil && !c.budget.spend(costLarge) {
		s.free()
		return ruleFlood
	}
	if c.working >= c.srv.maxStreams() {
		id := s.id
		s.free()
		c.past.add(id, byUs)
		if !c.budget.spend(costReset) {
			return ruleFlood
		}
		b := c.output()
		b.p = frame.AppendRSTStream(b.p, id, frame.RefusedStream)
		return nil
	}
	s.window = c.peerWindow
	if c.streams == nil {
		c.streams = map[uint32]*downStream{}
	}
	c.streams[s.id] = s
	c.working++
	c.ready = append(c.ready, s)
	if c.requests++; c.phase == serving && c.srv.MaxRequests > 0 && c.requests >= c.srv.MaxRequests {
		c.leave()
	}
	return nil
}

// malformed refuses a request that means nothing, or not one thing only. RFC 9113 §8.1.1.
func (c *downConn) malformed(s *downStream, rule *fields.Rule) *frame.Error {
	id := s.id
	exchange.Rescue(&s.x, rule)
	s.finish()
	s.free()
	return on(id, breach(frame.ProtocolError, rule.Name))
}

// begin has the requests that have come answered: each by a goroutine of its own, which may wait. What
// came behind a request in the same read is with it already.
func (c *downConn) begin() {
	for i, s := range c.ready {
		c.ready[i] = nil
		c.srv.workers.Do(c.info.Shard, s)
	}
	c.ready = c.ready[:0]
}

// fault resets a stream for an error of the client's. What is returned is an error of the connection.
func (c *downConn) fault(e *frame.Error) *frame.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.budget.spend(costFault) {
		return ruleFlood
	}
	c.srv.refused(e.Rule)
	if s := c.streams[e.Stream]; s != nil {
		s.drop(byUs, exchange.BadRequest.With(e))
	} else if c.past.how(e.Stream) == notSeen {
		c.past.add(e.Stream, byUs)
	}
	b := c.output()
	b.p = frame.AppendRSTStream(b.p, e.Stream, e.Code)
	return nil
}
