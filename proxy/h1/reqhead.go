package h1

import "github.com/pergola-mesh/pergola/proxy/fields"

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
