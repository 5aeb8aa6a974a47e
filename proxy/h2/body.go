package h2

import (
	"io"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// requestBody is what a client sends on a stream. The connection's goroutine fills it; Next is called by
// one goroutine at a time, which need not be the stream's. The client gets leave to send more only as
// the body is taken.
type requestBody struct {
	s     *downStream
	wake  chan struct{}
	count atomic.Int64 // bytes handed out

	// With the connection's lock.
	backlog
	window  int   // how much the client may send
	drained int   // taken since it was last told
	err     error // why there is no more
	closed  bool  // nobody wants the rest
	waiting bool  // somebody waits for more
}

// begin makes the body that of the request, if it has one.
func (b *requestBody) begin() {
	if r := &b.s.x.Request; r.Length != 0 {
		r.Body = b
	}
}

func (b *requestBody) reset() {
	b.count.Store(0)
	b.window, b.drained = streamWindow, 0
	b.err, b.closed, b.waiting = nil, false, false
	drain(b.wake)
}

// receive takes data of the client. With the lock. RFC 9113 §6.9.1.
func (s *downStream) receive(f *frame.Frame) *frame.Error {
	b, p := &s.body, f.Payload
	if f.Size > b.window {
		s.c.credit(f.Size)
		return on(s.id, ruleWindow)
	}
	b.window -= f.Size
	if s.left >= 0 {
		if int64(len(p)) > s.left {
			s.c.credit(f.Size)
			return on(s.id, breach(frame.ProtocolError, fields.RuleLengthBody.Name))
		}
		s.left -= int64(len(p))
	}
	s.got++
	if b.closed || b.err != nil {
		s.c.credit(f.Size)
	} else {
		if padding := f.Size - len(p); padding > 0 {
			b.took(padding)
		}
		b.push(p)
	}
	if f.Ends() {
		return s.end()
	}
	if len(p) > 0 {
		wake(b.wake)
	}
	return nil
}

// took counts what was taken, and lets the client send that much again. With the lock.
func (b *requestBody) took(n int) {
	c := b.s.c
	c.credit(n)
	if b.drained += n; b.drained >= streamWindow/2 && !b.s.ended && !b.s.reset && !c.over {
		o := c.output()
		o.p = frame.AppendWindowUpdate(o.p, b.s.id, b.drained)
		b.window += b.drained
		b.drained = 0
	}
}

// credit lets the client send n bytes again on the connection. With the lock.
func (c *downConn) credit(n int) {
	if c.drained += n; c.drained >= connWindow/2 && !c.over {
		b := c.output()
		b.p = frame.AppendWindowUpdate(b.p, 0, c.drained)
		c.recvWindow += c.drained
		c.drained = 0
	}
}

// Whole returns the body if all of it has come. It is exchange.Whole.
func (b *requestBody) Whole() ([]byte, bool) {
	s := b.s
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.ended || b.err != nil || b.closed || s.x.Request.Trailer.Len() > 0 {
		return nil, false
	}
	return b.whole()
}

// Next returns more of the body. A client that waits for leave to send it is given leave first, unless a
// server will do so (Request.Continue is then false).
func (b *requestBody) Next() ([]byte, error) {
	s := b.s
	c := s.c
	if r := &s.x.Request; r.Continue {
		r.Continue = false
		if err := s.Inform(100, nil); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	if n := b.takeBack(); n > 0 {
		b.took(n)
	}
	for {
		switch {
		case b.closed:
			c.release()
			return nil, io.ErrClosedPipe
		case b.err != nil:
			err := b.err
			c.release()
			return nil, err
		case !b.empty():
			p := b.take()
			c.release()
			b.count.Add(int64(len(p)))
			return p, nil
		case s.ended:
			c.release()
			return nil, io.EOF
		}
		b.waiting = true
		s.got++
		c.release()
		<-b.wake
		c.mu.Lock()
		b.waiting = false
	}
}

// Close gives up the rest.
func (b *requestBody) Close() error {
	c := b.s.c
	c.mu.Lock()
	b.closed = true
	c.credit(b.discard())
	wake(b.wake)
	c.release()
	return nil
}

// giveBack frees everything: nobody reads any more. With the lock.
func (b *requestBody) giveBack() {
	b.s.c.credit(b.discard() + b.takeBack())
}

// fail ends the body before its time. With the lock.
func (b *requestBody) fail(err error) {
	if b.err == nil {
		b.err = err
	}
	b.s.c.credit(b.discard())
	wake(b.wake)
}

var _ exchange.Whole = (*requestBody)(nil)
