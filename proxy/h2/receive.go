package h2

import (
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// handle takes a frame. bad is what is wrong with it, as far as its stream is concerned. The error is
// one of the connection, or of a stream that is then to be reset.
func (c *downConn) handle(f *frame.Frame, bad *frame.Error) *frame.Error {
	if c.greeted == preface {
		if f.Type != frame.Settings || f.IsAck() {
			return ruleGreeting
		}
		c.greeted = settings
	}
	switch f.Type {
	case frame.Headers:
		if f.Last() {
			return c.section(f.Stream, f.Ends(), f.Payload, bad)
		}
		c.open = openBlock{f.Stream, f.Ends(), bad, append(c.open.text[:0], f.Payload...)}
		return nil
	case frame.Continuation:
		return c.continued(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f.Type {
	case frame.Data:
		return c.data(f)
	case frame.WindowUpdate:
		if !c.budget.spend(costFrame) {
			return ruleFlood
		}
		if bad != nil {
			if f.Stream > c.highest {
				return ruleIdle
			}
			return bad
		}
		return c.windowUpdate(f.Stream, f.Increment())
	case frame.RSTStream:
		return c.rst(f.Stream)
	case frame.Settings:
		return c.settings(f)
	}
	if !(f.Type == frame.Ping && c.said) && !c.budget.spend(costFrame) {
		return ruleFlood
	}
	if bad != nil {
		return bad
	}
	if f.Type == frame.Ping && !f.IsAck() {
		c.said = false
		b := c.output()
		b.p = frame.AppendPing(b.p, true, f.Opaque())
	}
	return nil // PRIORITY, GOAWAY and unknown types ask for nothing
}

// openBlock is a header block that comes in several frames. RFC 9113 §4.3.
type openBlock struct {
	stream uint32 // 0: none
	ends   bool
	bad    *frame.Error
	text   []byte
}

// continued takes a Continuation frame.
func (c *downConn) continued(f *frame.Frame) *frame.Error {
	c.mu.Lock()
	afford := c.budget.spend(costFrame)
	c.mu.Unlock()
	if !afford {
		return ruleFlood
	}
	o := &c.open
	o.text = append(o.text, f.Payload...)
	// Coding does not make a block longer, but for fields that are sent in vain.
	if len(o.text) > c.srv.Limits.HeaderBytes+frame.MinMaxSize {
		return ruleBlockSize
	}
	if !f.Last() {
		return nil
	}
	block := *o
	*o = openBlock{text: o.text[:0]}
	if cap(o.text) > 2*frame.MinMaxSize {
		o.text = nil
	}
	return c.section(block.stream, block.ends, block.text, block.bad)
}

// data takes a Data frame. RFC 9113 §6.1.
func (c *downConn) data(f *frame.Frame) *frame.Error {
	if f.Stream > c.highest || f.Stream&1 == 0 {
		return ruleIdle
	}
	if len(f.Payload) == 0 && !f.Ends() && !c.budget.spend(costFrame) {
		return ruleFlood
	}
	if f.Size > c.recvWindow {
		return ruleWindow
	}
	c.recvWindow -= f.Size
	s := c.streams[f.Stream]
	if s == nil {
		c.credit(f.Size)
		switch c.past.how(f.Stream) {
		case byUs: // sent before the client knew
			if f.Ends() {
				c.ended(f.Stream)
			}
			return nil
		case byEnd:
			return ruleClosed
		}
		return on(f.Stream, ruleClosed)
	}
	if s.ended {
		c.credit(f.Size)
		return on(f.Stream, ruleClosed)
	}
	return s.receive(f)
}

// windowUpdate takes leave to send more. RFC 9113 §6.9.
func (c *downConn) windowUpdate(stream uint32, increment int) *frame.Error {
	if stream == 0 {
		if c.window += increment; c.window > frame.MaxWindow {
			return ruleWindowSize
		}
		c.unblock()
		return nil
	}
	if stream > c.highest || stream&1 == 0 {
		return ruleIdle
	}
	if s := c.streams[stream]; s != nil {
		if s.window += increment; s.window > frame.MaxWindow {
			return on(stream, ruleWindowSize)
		}
		wake(s.wake)
	}
	return nil
}

// rst takes the end of a stream by the client. RFC 9113 §6.4.
func (c *downConn) rst(stream uint32) *frame.Error {
	if stream > c.highest || stream&1 == 0 {
		return ruleIdle
	}
	if !c.budget.spend(costReset) {
		return ruleFlood
	}
	if s := c.streams[stream]; s != nil {
		s.drop(byClient, errReset)
	} else {
		c.ended(stream)
	}
	return nil
}

// settings takes the client's settings. Of several the last counts. RFC 9113 §6.5.
func (c *downConn) settings(f *frame.Frame) *frame.Error {
	if !c.budget.spend(costFrame + len(f.Payload)/64) {
		return ruleFlood
	}
	if f.IsAck() {
		c.unacked = 0
		return nil
	}
	window := c.peerWindow
	for id, value := range f.Settings() {
		switch id {
		case frame.HeaderTableSize:
			c.enc.SetTableSize(int(min(value, 1<<30)))
		case frame.InitialWindowSize:
			window = int(value)
		case frame.MaxFrameSize:
			c.peerFrame = min(int(value), maxPayload)
		}
	}
	if delta := window - c.peerWindow; delta != 0 {
		c.peerWindow = window
		for _, s := range c.streams {
			if s.window += delta; s.window > frame.MaxWindow {
				return ruleWindowSize
			}
			wake(s.wake)
		}
	}
	b := c.output()
	b.p = frame.AppendSettingsAck(b.p)
	return nil
}

// section takes a whole header block: of a request, or of a trailer.
func (c *downConn) section(id uint32, ends bool, block []byte, bad *frame.Error) *frame.Error {
	switch {
	case id&1 == 0:
		return ruleStreamEven
	case id <= c.highest: // which only this goroutine changes
		return c.later(id, ends, block, bad)
	}
	s := newStream(c, id)
	s.block.Reset(&c.srv.Limits)
	if c.dec.Decode(&s.block, block) != nil {
		s.free()
		return ruleCompressed
	}
	c.mu.Lock()
	c.highest = id
	late := id > c.final
	c.mu.Unlock()
	if late { // begun before the client knew that it must not: it will be asked elsewhere
		s.free()
		return nil
	}
	if bad != nil {
		s.free()
		return bad
	}
	return c.request(s, ends)
}

// later takes a header block on a stream that was begun before: a trailer. RFC 9113 §8.1.
func (c *downConn) later(id uint32, ends bool, block []byte, bad *frame.Error) *frame.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	var into *fields.Block
	if s != nil && !s.ended {
		into = &s.trailer
	} else {
		into = &fields.Block{} // what nobody reads still goes through the decoder's table
	}
	into.Reset(&fields.TrailerLimits)
	if c.dec.Decode(into, block) != nil {
		return ruleCompressed
	}
	switch {
	case s == nil:
		switch c.past.how(id) {
		case byUs:
			if ends {
				c.ended(id)
			}
			return nil
		case notSeen:
			return ruleStreamOld
		}
		return ruleClosed
	case s.ended:
		return on(id, ruleClosed)
	case bad != nil:
		return bad
	case !ends:
		return on(id, breach(frame.ProtocolError, "trailer_end"))
	}
	if err := into.Trailer(&s.x.Request.Trailer); err != nil {
		return on(id, breach(frame.ProtocolError, err.(*fields.Rule).Name))
	}
	return s.end()
}
